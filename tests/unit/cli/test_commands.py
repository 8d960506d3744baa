"""Every command answers a person, a pipe and a program, and fails in a sentence."""

import io
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import msgspec
import psutil
import pytest
from paper_workspace import NOW, STORY, PaperWorkspace, replayed
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner, Result

from flyball.cli import draw, tell_decisions, tell_jobs, tell_replay
from flyball.cli.app import app
from flyball.cli.screen import Screen
from flyball.cli.session import Session
from flyball.control.decision_reports import Waiting
from flyball.control.ports import Say
from flyball.control.reports import CommandReport, RunReport, StatusReport, UpReport
from flyball.errors import Conflict, Fault, SpecError
from flyball.records.evidence import Outcome
from flyball.records.jobs import JobStatus
from flyball.wiring import exporting, privacy

READS = [
    ["run"], ["up", "--detach"], ["down"], ["status"], ["versions"], ["decisions"], ["decisions", "--open"], ["explain", "d-000012"],
    ["rollback", "--reason", "worse"], ["approve", "d-000012"], ["refuse", "d-000012"], ["replay"], ["replay", "--policy", "never", "current"],
    ["verify"], ["doctor"], ["findings"], ["findings", "--open"], ["explain", "finding", "3"], ["explain", "f-1"], ["explain", "job", "j-0003"],
    ["explain", "j-0003"], ["acknowledge", "3", "--reason", "a sale"],
    ["release", "status"], ["release", "status", "r-0002"], ["release", "list"],
    ["release", "list", "--replayed"], ["release", "hold", "--reason", "a sale"], ["release", "resume"], ["breaker", "close", "--reason", "seen"],
    ["incidents"], ["incidents", "--open"], ["autonomy", "raise", "retrain", "--reason", "seen"],
    ["serving", "stop", "--reason", "harm"], ["serving", "resume", "--reason", "mended"],
    ["token", "add", "anna"], ["token", "add", "anna", "--role", "owner"], ["token", "list"], ["token", "remove", "anna"],
    ["decisions", "--replayed"], ["findings", "--replayed"], ["findings", "--open", "--policy", "never"], ["incidents", "--replayed"],
    ["explain", "finding", "3", "--replayed"], ["explain", "d-000012", "--policy", "never"],
    ["drill"], ["capture", "export"], ["labels", "import", "outcomes.csv"],
]  # fmt: skip


def call(arguments: list[str], workspace: PaperWorkspace | None = None) -> Result:
    paper = workspace or PaperWorkspace()
    return CliRunner().invoke(app, arguments, obj=Session(opener=lambda _directory: paper))


def console(arguments: list[str], directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    command = [sys.executable, "-m", "flyball", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_every_command_answers_a_program_with_one_json_document(arguments: list[str]) -> None:
    result = call([*arguments, "--json"])
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_every_command_answers_a_pipe_in_plain_lines(arguments: list[str]) -> None:
    result = call(arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()
    assert not any(mark in result.stdout for mark in ("╭", "│", "\x1b"))


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1", "FORCE_COLOR": "1", "COLUMNS": "40"}], ids=["pipe", "terminal"])
def test_plain_lines_lose_no_end_of_a_cell_however_long_others_are(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with redirect_stdout(io.StringIO()) as written:
        screen = Screen()
        assert screen.plain
        screen.answer(None, lambda _, plain: draw.table(("decision", "why"), [("d-000012", "x" * 2000)], plain=plain))
    assert written.getvalue().split()[-2:] == ["d-000012", "x" * 2000]


def test_a_text_from_anywhere_neither_colours_nor_moves_the_terminal() -> None:
    words = call(["explain", "d-000012"]).stdout
    assert "[bold red]not markup[/]" in words
    assert "\x1b" not in words


def test_releases_and_incidents_are_explained_by_the_names_that_other_commands_give_them() -> None:
    assert call(["explain", "r-0002"]).stdout == call(["release", "status", "r-0002"]).stdout
    assert call(["explain", "incident", "3"]).stdout == call(["explain", "finding", "3"]).stdout
    refused = call(["explain", "r-0002", "--replayed"])
    assert refused.exit_code != 0
    assert "flyball release status r-0002 --replayed" in refused.stderr


def test_a_tournament_is_told_with_everybody_in_it_the_winner_first() -> None:
    words = call(["explain", "job", "j-0003"]).stdout
    places = [words.index(name) for name in ("recent:60d", "recalibrate", "weighted:60d")]
    assert places == sorted(places)
    assert "wins" in words
    assert "0.04 to 0.06" in words
    assert call(["explain", "job", "j-0009"]).exit_code != 0


def test_a_job_is_told_with_what_it_was_trained_with_and_with_every_trial() -> None:
    lines = [line.split() for line in call(["explain", "job", "j-0003"]).stdout.splitlines()]
    assert any(line[:3] == ["parameters", "C", "0.31,"] for line in lines)
    assert ["2", "0.52", "C", "4"] in lines
    assert ["3", "0.48", "C", "0.31", "chosen"] in lines
    assert any(line[:3] == ["1", "C", "-0.15"] and len(line) > 3 for line in lines), "and why it failed"
    told = json.loads(call(["explain", "job", "j-0003", "--json"]).stdout)
    assert [trial["value"] for trial in told["trials"]] == [None, 0.52, 0.48]


def test_versions_are_told_with_what_they_were_trained_with() -> None:
    assert "C 0.31" in call(["versions"]).stdout
    (row,) = json.loads(call(["versions", "--json"]).stdout)
    assert (row["parameters"], row["job"]) == ({"C": 0.31}, "j-0001")


@pytest.mark.parametrize("error", ["roc_auc 0.51 is below 0.6", ""])
def test_why_the_gates_refused_who_won_a_tournament_is_told(error: str) -> None:
    refused = msgspec.structs.replace(STORY.job, status=JobStatus.REFUSED, error=error)
    lines = Console(file=io.StringIO(), width=200)
    lines.print(tell_jobs.job_story(msgspec.structs.replace(STORY, job=refused), plain=True))
    words = lines.file.getvalue()
    assert ("roc_auc 0.51 is below 0.6" in words) is bool(error)
    assert "recent:60d" in words


def test_an_open_breaker_is_told_with_what_to_do_about_it() -> None:
    words = call(["status"]).stdout
    assert "open since 2026-03-01 12:00" in words
    assert "retrain: propose" in words
    assert "roll_back: act" not in words
    assert words.rstrip().endswith("Next: flyball explain d-000012, then flyball breaker close.")
    assert call(["breaker", "close"], PaperWorkspace(healthy=False)).exit_code == 1


def test_a_breaker_of_a_replay_is_not_to_be_closed() -> None:
    waits = Waiting(
        approval="", action="the breaker is open", digest="", since=NOW, asked_by="autopilot", unanswered="no policy acts"
    )
    assert tell_decisions.question(waits).endswith("If nobody answers, no policy acts. Next: flyball breaker close")
    assert tell_decisions.question(waits, "--replayed").endswith("If nobody answers, no policy acts")


def test_a_window_without_labels_shows_its_estimate_or_why_there_is_none() -> None:
    words = call(["status"]).stdout
    assert "≈ 0.8431 [0.8201, 0.8662]" in words
    assert "void" in words
    assert "No estimate without labels: <script>" in words


def test_a_finding_is_explained_with_its_picture_its_harm_its_causes_and_what_to_do_next() -> None:
    words = call(["explain", "finding", "3"]).stdout
    for told in (
        "0.31 JS distance, psi 0.8",
        "+0.0123 of the mean bounded loss",
        "61%",
        "2026-02-27",
        "flyball acknowledge 3",
        "d-000012",
    ):
        assert told in words
    assert "██" in words
    assert "░░" in words
    assert "·" in words.partition("Window by window")[2].splitlines()[1]  # the window that was not measured


def test_what_is_neither_decision_nor_finding_is_told() -> None:
    result = call(["explain", "window", "3"])
    assert result.exit_code == 2
    assert "finding 3" in result.output


def test_an_acknowledged_finding_stands_no_longer() -> None:
    paper = PaperWorkspace()
    assert "open" in call(["findings"], paper).stdout
    assert "nobody" in call(["incidents"], paper).stdout
    call(["acknowledge", "3", "--reason", "a sale"], paper)
    assert "Nothing" in call(["findings", "--open"], paper).stdout
    assert "Nothing" in call(["incidents", "--open"], paper).stdout
    assert "user:" in call(["incidents"], paper).stdout
    assert "seen" in call(["findings"], paper).stdout
    assert call(["acknowledge", "3"], paper).exit_code == 2


def test_a_run_ends_with_gates_a_sentence_and_what_to_do_next() -> None:
    words = call(["run"]).stdout
    assert "0.8431 [0.8201, 0.8662]" in words
    assert "not measured (no champion)" in words
    assert words.rstrip().endswith("flyball versions (see it beside the others).")
    assert "Version 1 is registered." in words


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.ERROR])
def test_a_run_that_registered_nothing_ends_with_exit_code_1(outcome: Outcome) -> None:
    assert call(["run"], PaperWorkspace(outcome=outcome)).exit_code == 1


def test_up_prints_commands_that_a_shell_reads_back() -> None:
    words = call(["up", "--detach"]).stdout
    assert words.count("curl -s http://127.0.0.1:8400/models/shop/") == 2
    assert "$(cat .flyball/token)" in words
    block = words[words.index("curl") : words.index("Say what became")]
    shown = subprocess.run(["bash", "-c", block.replace("curl", "printf '%s\\n'", 1)], capture_output=True, text=True, check=True)
    body = json.loads(shown.stdout.splitlines()[-1])
    assert body == {"rows": [{"category": "shoes", "price": 79.9, "customer's rate": None}]}


def test_a_command_to_paste_is_whole_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = call(["up", "--detach"]).stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", call(["up", "--detach"]).stdout)
    commands = [line for line in piped.splitlines() if line.startswith(("curl", "  -"))]
    assert len(commands) == 6
    assert max(map(len, commands)) > 80
    assert [line.rstrip() for line in drawn.splitlines() if line.startswith(("curl", "  -"))] == commands


@pytest.mark.parametrize("command", ["versions", "decisions"])
def test_no_word_is_cut_on_a_terminal_of_80_columns(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    piped = call([command]).stdout.splitlines()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", call([command]).stdout)
    assert max(map(len, drawn.splitlines())) <= 80
    words = {word for line in piped[1:] for word in line.split()}
    assert [word for word in words if word not in drawn] == []


def test_nothing_released_is_told_with_the_next_step() -> None:
    assert "flyball run" in call(["status"], PaperWorkspace(fresh=True)).stdout
    assert "flyball run" in call(["versions"], PaperWorkspace(fresh=True)).stdout
    assert "flyball run" in call(["up"], PaperWorkspace(fresh=True)).stdout


def test_a_trouble_that_says_what_helps_is_not_sent_to_the_doctor() -> None:
    class Troubled(PaperWorkspace):
        words = "Nothing is served: r-0001 was taken back. Next: change what is trained, then flyball run"

        def status(self) -> StatusReport:
            return msgspec.structs.replace(super().status(), trouble=self.words)

        def up(self, detach: bool, say: Say, ready: Callable[[UpReport], None]) -> None:
            super().up(detach, say, lambda report: ready(msgspec.structs.replace(report, trouble=self.words)))

    for typed in (["status"], ["up"]):
        words = call(typed, Troubled(fresh=True)).stdout
        assert "then flyball run" in words
        assert words.count("Next: ") == 1
    Troubled.words = "The controller's ticks fail: the disk is full"
    assert "Next: flyball doctor" in call(["status"], Troubled()).stdout


def test_what_does_not_hold_ends_with_exit_code_1() -> None:
    for command in ("verify", "doctor"):
        result = call([command], PaperWorkspace(healthy=False))
        assert result.exit_code == 1
    assert "entry 7 is missing" in call(["verify"], PaperWorkspace(healthy=False)).stdout


def test_an_error_is_a_sentence_on_stderr_and_its_own_exit_code() -> None:
    result = call(["explain", "d-999999"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "✗ there is no decision 'd-999999'. Next: flyball decisions.\n"


def test_an_error_with_json_is_still_one_document() -> None:
    result = call(["rollback", "--json"], PaperWorkspace(fresh=True))
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["kind"] == "Conflict"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["status", "--bogus"], "flyball status --help"), (["--bogus", "status"], "flyball --help"), (["statsu"], "Did you mean 'status'"),
        (["export"], "Missing argument"), (["release", "list", "x"], "flyball release list --help"),
    ],
)  # fmt: skip
def test_what_is_mistyped_is_still_one_document_with_json(typed: list[str], words: str) -> None:
    result = CliRunner().invoke(app, [*typed, "--json"], obj=Session(), prog_name="flyball")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["kind"] == "UsageError"
    assert words in error["message"] + error["next_step"]
    assert "Usage: flyball" in result.stderr
    assert CliRunner().invoke(app, typed, obj=Session()).stdout == ""


HELPS = [["--version"], ["--help"], ["status", "--help"], ["release"], ["release", "list", "--help"]]


@pytest.mark.parametrize("typed", HELPS)
def test_help_for_a_stdout_that_is_closed_is_not_called_written(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as while_closed:
        while_closed.setattr(sys, "stdout", None)
        with pytest.raises(SystemExit) as ended:
            get_command(app).main(typed, prog_name="flyball", obj=Session())
    assert ended.value.code == 3


@pytest.mark.parametrize("typed", [["versions"], ["versions", "--json"], ["down"], ["rollback", "--json"], *HELPS])
def test_an_answer_that_cannot_be_written_is_no_fault_of_ours(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    context = get_command(app)
    with monkeypatch.context() as while_full, open("/dev/full", "w") as full:
        while_full.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            context.main(
                typed, prog_name="flyball", obj=Session(opener=lambda _directory: PaperWorkspace(fresh=typed[0] == "rollback"))
            )
    assert ended.value.code == (2 if typed[0] == "rollback" else 3)


def test_orders_carry_who_and_why() -> None:
    workspace = PaperWorkspace()
    call(["rollback", "--reason", "worse"], workspace)
    call(["refuse", "d-000012", "--reason", "not now"], workspace)
    assert workspace.calls[0][:2] == ("rollback", "worse")
    assert workspace.calls[0][2].startswith("user:")
    assert (workspace.calls[1][1], workspace.calls[1][3]) == ("d-000012", "not now")


def test_replay_reads_its_days_as_utc() -> None:
    workspace = PaperWorkspace()
    call(["replay", "--since", "2013-03-01", "--until", "2013-05-01T06:00:00"], workspace)
    assert workspace.calls == [("replay", "2013-03-01 00:00:00+00:00", "2013-05-01 06:00:00+00:00", "None", "False")]


def test_policies_to_compare_are_given_once_or_each_with_its_option() -> None:
    workspace = PaperWorkspace()
    call(["replay", "--policy", "never", "current", "other.yaml", "--jobs", "2", "--fresh"], workspace)
    call(["replay", "--policy", "never", "--policy", "other.yaml"], workspace)
    assert workspace.calls == [
        ("compare", "None", "None", "None", "True", "never", "current", "other.yaml", "2"),
        ("compare", "None", "None", "None", "False", "never", "other.yaml", "None"),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"), [(["never"], "flyball replay --policy never"), (["--jobs", "2"], "--jobs without --policy")]
)
def test_what_cannot_be_meant_of_a_replay_is_refused_with_the_command_that_is(arguments: list[str], words: str) -> None:
    workspace = PaperWorkspace()
    result = call(["replay", *arguments], workspace)
    assert (result.exit_code, workspace.calls) == (2, [])
    assert words in result.stderr


def test_a_comparison_names_the_best_and_what_each_cost() -> None:
    out = call(["replay", "--policy", "never", "current"]).stdout
    assert "never (the least cost)" in out, "both made as many errors, and one did not train"
    assert "2 of 2 replayed to the same bytes" in out
    assert "\x1b" not in out


def test_of_policies_one_of_which_failed_the_others_are_told_and_the_command_fails() -> None:
    result = call(["replay", "--policy", "never", "current"], PaperWorkspace(healthy=False))
    assert result.exit_code == 3
    assert "never (the fewest errors)" in result.stdout
    assert "broken: " in result.stdout
    assert "the same command goes on" in result.stdout


@pytest.mark.parametrize(("arguments", "policy"), [(["--replayed"], "None"), (["--replayed", "--policy", "monthly"], "monthly")])
@pytest.mark.parametrize("what", [["d-000012"], ["finding", "3"], ["job", "j-0003"]])
def test_what_a_replay_did_is_explained_from_its_own_ledger(what: list[str], arguments: list[str], policy: str) -> None:
    workspace = PaperWorkspace()
    result = call(["explain", *what, *arguments], workspace)
    assert (result.exit_code, workspace.calls) == (0, [("lived", policy)])
    # All but what is ordered of the project: its findings and decisions have the same numbers.
    orders = re.compile(r"\. Next: flyball (acknowledge|approve) .*")
    assert result.stdout == orders.sub("", call(["explain", *what]).stdout)
    assert not orders.search(result.stdout)


def test_a_replay_tells_what_stood_in_its_way() -> None:
    report = msgspec.structs.replace(
        replayed(0.72, 2), labels_refused=7, rows_refused=11, questions=("d-000007 of 2013-03-09 00:00: ask retrain model:shop",), breaker="retrain failed 3 times",
        failed_ticks=("2013-03-04 01:00 the registry is busy",),
    )  # fmt: skip
    lines = Console(file=io.StringIO(), width=200)
    lines.print(tell_replay.replay_report(report, plain=True))
    out = lines.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        "7: they can be no label",
        "11: the model does not take them",
        "open: retrain failed 3 times",
        "ask retrain model:shop",
        "the registry is busy",
    ):
        assert words in out
    lines = Console(file=io.StringIO(), width=200)
    lines.print(tell_replay.replay_report(replayed(0.72, 2), plain=True))
    assert "breaker" not in lines.file.getvalue()  # type: ignore[attr-defined]


def test_a_fault_in_flyball_yaml_keeps_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "flyball.yaml").write_text("serve: {prot: 8400}\n")
    assert console(["down"], tmp_path).returncode == 2  # nothing was ever started here: the fault is the news
    (tmp_path / ".flyball" / "run").mkdir(parents=True)
    started = subprocess.Popen(["sleep", "600"])
    born = psutil.Process(started.pid).create_time()
    run_file = {"pid": started.pid, "started": born, "gateway_url": "http://127.0.0.1:1", "control_url": None, "children": {}}
    (tmp_path / ".flyball" / "run" / "supervisor.json").write_text(json.dumps(run_file))
    threading.Thread(target=started.wait).start()  # so that it is gone, and not a zombie, once it has ended
    ended = console(["down"], tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "✓ Stopped.\n"), ended.stderr
    assert started.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("fault", ["a directory", "a bad place"])
def test_a_flyball_yaml_that_cannot_be_read_keeps_nothing_running(tmp_path: Path, fault: str) -> None:
    project = tmp_path / ("shop" if fault == "a directory" else "shop%41")
    (project / "flyball.yaml").mkdir(parents=True)
    down = ["down", "--project", str(project)]
    runner = CliRunner()
    before = os.umask(0o077)
    try:
        assert runner.invoke(app, down).exit_code == 3
        (project / ".flyball").mkdir()
        ended = runner.invoke(app, down)
    finally:
        os.umask(before)
    assert (ended.exit_code, ended.stdout.strip()) == (0, "Nothing was running.")


def test_what_is_exported_is_for_this_account_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert call(["export", "1", str(tmp_path / "package"), "--project", str(tmp_path)]).exit_code == 2
    finally:
        assert os.umask(before) == 0o077


def test_what_is_left_out_of_captures_for_want_of_a_rule_is_said_when_it_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "private_process", lambda: None)  # the umask of all tests after it
    monkeypatch.setattr(exporting, "export_version", lambda *_: exporting.ExportedVersion("e" * 64, ("It takes email.",)))
    assert "It takes email." in call(["export", "1", "package"]).output
    assert json.loads(call(["export", "1", "package", "--json"]).stdout)["notes"] == ["It takes email."]


def test_a_gateway_is_not_told_to_listen_everywhere_by_saying_nothing(tmp_path: Path) -> None:
    (tmp_path / "routing.yaml").write_text("models: {}")
    result = call(["gateway", "--routing", str(tmp_path / "routing.yaml"), "--host", ""])
    assert result.exit_code == 2
    assert "found nothing, expected an address" in result.stderr


def test_who_runs_and_who_answers_is_the_account_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "bob")
    said: list[str] = []

    class Who(PaperWorkspace):
        def run(self, say: Say, actor: str) -> RunReport:
            said.append(actor)
            return super().run(say, actor)

        def approve(self, decision_id: str, actor: str, reason: str, digest: str = "") -> CommandReport:
            said.append(actor)
            return super().approve(decision_id, actor, reason, digest)

    for typed in (["run"], ["approve", "d-000001"]):
        call(typed, Who())
    assert said == [f"user:{pwd.getpwuid(os.getuid()).pw_name}"] * 2
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    call(["run"], Who())
    assert said[-1] == "user:uid-4000000001"


def test_a_run_beside_a_running_project_does_not_ask_to_start_it() -> None:
    class Up(PaperWorkspace):
        def run(self, say: Say, actor: str) -> RunReport:
            return msgspec.structs.replace(super().run(say, actor), up=True)

    words = call(["run"], Up()).stdout
    assert "flyball status" in words
    assert "flyball up" not in words


def test_ctrl_c_is_a_sentence_and_130() -> None:
    class Interrupted(PaperWorkspace):
        def status(self) -> None:  # type: ignore[override]
            raise KeyboardInterrupt

    result = call(["status"], Interrupted())
    assert result.exit_code == 130
    assert "Nothing is lost" in result.stderr
    assert result.stdout == ""


def test_the_child_of_a_job_ends_with_its_own_code_and_opens_no_project() -> None:
    def refuse(directory: Path) -> PaperWorkspace:
        raise SpecError([Fault("train", "nothing", "a section")], file=str(directory))

    asked: list[Path] = []
    session = Session(opener=refuse, worker=lambda job_dir: asked.append(job_dir) or 7)
    assert CliRunner().invoke(app, ["step-child", "jobs/j-0001"], obj=session).exit_code == 7
    assert asked == [Path("jobs/j-0001")]


def test_what_nobody_foresaw_is_a_sentence_without_a_trace(tmp_path: Path) -> None:
    code = "import sys\nfrom flyball.cli.screen import quiet_traceback\nsys.excepthook = quiet_traceback\n1/0"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Flyball itself failed: ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.stderr


class Failing(PaperWorkspace):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def status(self) -> StatusReport:
        raise self.error


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), ValueError("a \udcff"), OSError(5, "Input/output error")])
def test_what_nobody_foresaw_is_no_answer_and_a_document(error: Exception) -> None:
    result = call(["status", "--json"], Failing(error))
    assert result.exit_code == 70
    told = json.loads(result.stdout)["error"]
    assert told["kind"] == "InternalError"
    assert type(error).__name__ in told["message"]
    assert "flyball --debug" in told["next_step"]
    assert "This is a fault of ours" in result.stderr
    assert "Traceback" not in result.output


def test_where_it_came_from_is_shown_to_who_asks() -> None:
    result = call(["--debug", "status"], Failing(ZeroDivisionError("by zero")))
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
    assert "in status" in result.stderr


def test_an_error_that_names_a_place_in_other_bytes_has_its_document() -> None:
    for error in (Conflict("\udcff is there", next_step="\udcff"), SpecError([Fault("\udcff", "\udcff", "a section")])):
        result = call(["status", "--json"], Failing(error))
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"]["kind"] == type(error).__name__


def test_a_byte_that_is_no_utf8_keeps_no_order_from_being_given() -> None:
    paper = PaperWorkspace()
    assert call(["rollback", "--reason", "w\udcff\udce4rse", "--json"], paper).exit_code == 0
    assert paper.calls[-1][:2] == ("rollback", "w��rse")
    for typed in (
        ["approve", "\udcff"],
        ["acknowledge", "\udcff"],
        ["explain", "\udcff"],
        ["release", "status", "\udcff"],
        ["token", "add", "\udcff"],
    ):
        result = call([*typed, "--json"], paper)
        assert result.exit_code in {0, 2}, typed
        json.loads(result.stdout)


def test_no_project_says_where_to_go(tmp_path: Path) -> None:
    result = console(["run"], tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "flyball init" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_with_faults_is_answered_with_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "flyball.yaml").write_text("project: shop\nmodel: shop\ntask: binray\ncolour: blue\ntrain: {entrypoint: x}\n")
    result = console(["status", "--json"], tmp_path)
    assert result.returncode == 2
    paths = {fault["path"] for fault in json.loads(result.stdout)["error"]["faults"]}
    assert paths == {"task", "colour", "train.entrypoint", "data"}
    assert all(f"\n  {path}: found" in result.stderr for path in paths)


def test_an_order_that_cannot_be_carried_out_ends_with_exit_code_1() -> None:
    class Without(PaperWorkspace):
        def rollback(self, reason: str, actor: str) -> CommandReport:
            return CommandReport(
                accepted=False, subject="command:c-0001", words="there is no earlier verified unit to go back to"
            )

    result = call(["rollback"], Without())
    assert (result.exit_code, result.stdout) == (1, "there is no earlier verified unit to go back to\n")


HEAVY = (
    "polars",
    "numpy",
    "sklearn",
    "mlflow",
    "deltalake",
    "pandera",
    "optuna",
    "onnxruntime",
    "pydantic",
    "sqlalchemy",
    "httpx",
    "starlette",
)


def test_help_waits_for_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys; from flyball.cli import main; sys.argv = ['flyball', '--help']\n"
        "try: main()\n"
        f"finally: print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert "Usage" in result.stdout
    assert result.stdout.rstrip().endswith("loaded: []")


@pytest.mark.parametrize("command", [each.name or each.callback.__name__.replace("_", "-") for each in app.registered_commands])
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = call([command, "--help"])
    assert result.exit_code == 0
    assert "Example: flyball" in result.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, flyball.cli.app; print([m for m in ('numpy', 'polars', 'sklearn', 'mlflow', 'pydantic', 'cel') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_an_export_names_its_tables_and_what_is_not_in_them() -> None:
    paper = PaperWorkspace(healthy=False)
    words = call(["capture", "export", "--format", "parquet", "--to", "out", "--since", "2026-01-01"], paper).stdout
    assert paper.calls == [("export", "parquet", "out", "2026-01-01 00:00:00+00:00", "None")]
    for part in (
        "1,200",
        "/shop/tables/predictions",
        "unit price is unit_price",
        "77 bytes",
        "2 records were left unfinished",
        "read_parquet(",
    ):
        assert part in words


def test_an_import_that_refused_rows_says_which_and_ends_with_exit_code_1() -> None:
    paper = PaperWorkspace(healthy=False)
    more = ["--label", "returned", "--observed-at", "known", "--reward", "margin"]
    result = call(["labels", "import", "--sql", "ORDERS_URL", "--query", "select 1", *more], paper)
    assert paper.calls == [("import", "None", "ORDERS_URL", "select 1", "id", "returned", "known", "margin")]
    assert result.exit_code == 1
    for part in ("row 1: ", "and 21 more", "not sent", "not known yet", "the gateway is gone", "is stored"):
        assert part in result.stdout
    assert "\x1b" not in result.stdout


def test_a_group_of_commands_that_is_called_alone_shows_its_help() -> None:
    assert "export" in call(["capture"]).output
    assert "import" in call(["labels"]).output

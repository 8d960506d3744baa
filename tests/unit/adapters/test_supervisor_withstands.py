"""What must not end a supervisor, or make it be taken for gone: a full disk, a pipe that nobody reads, a child that cannot be started, another clock."""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from flyball.adapters.clock import SystemClock
from flyball.adapters.engine_lock import engine_is_held
from flyball.adapters.entropy import fresh_token
from flyball.adapters.executor import ProcessExecutor
from flyball.adapters.known_process import KnownProcess, known
from flyball.adapters.supervisor import Layout, RunFile, running, stop, supervise
from flyball.adapters.supervisor.child import BUDGET, Child, Recipe
from flyball.adapters.supervisor.run_file import hold
from flyball.adapters.token import owner_token
from flyball.cli.screen import Screen
from flyball.control.ports import StepRequest
from flyball.errors import Conflict, OperatorError, StoreUnavailable
from flyball.records.jobs import Job, JobStatus
from flyball.spec.load import parse_project

UP = """
import sys
from pathlib import Path
from flyball.adapters.supervisor import Layout, supervise
from flyball.cli.screen import Screen
directory = Path(sys.argv[1])
control = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
supervise(Layout(directory, directory, port=0, control_command=control), Screen().say)
"""
HOUR = 3600.0


def wait_until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def child_of(directory: Path, name: str) -> int | None:
    run = running(directory)
    return run.children[name].pid if run is not None and name in run.children else None


@contextmanager
def up(directory: Path, out: IO[str] | int) -> Iterator[subprocess.Popen[str]]:
    """A supervisor as a person starts it, both children running."""
    owner_token(directory, fresh_token)
    process = subprocess.Popen([sys.executable, "-c", UP, str(directory)], stdout=out, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: child_of(directory, "control") and child_of(directory, "gateway-0"))
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def killed_again(directory: Path) -> None:
    """The control process is killed, which is said, and must come back."""
    before = child_of(directory, "control")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: child_of(directory, "control") not in (None, before))


def test_a_full_disk_takes_words_and_no_process(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full, up(tmp_path, full) as process:
        gateway = child_of(tmp_path, "gateway-0")
        for _ in range(3):
            killed_again(tmp_path)
        assert process.poll() is None
        assert child_of(tmp_path, "gateway-0") == gateway


def test_whoever_reads_the_words_may_leave(tmp_path: Path) -> None:
    with up(tmp_path, subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        gateway = child_of(tmp_path, "gateway-0")
        for _ in range(3):
            killed_again(tmp_path)
        assert process.poll() is None
        assert child_of(tmp_path, "gateway-0") == gateway


def test_what_could_not_be_written_is_not_kept_to_be_written_with_all_that_follows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    with monkeypatch.context() as while_full, io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full:  # type: ignore[arg-type]
        while_full.setattr(sys, "stdout", full)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="No space left"):
                screen.say("plain", "lost")
    screen.say("plain", "kept")
    assert capsys.readouterr().out.split() == ["kept"]


def test_a_child_that_cannot_be_started_is_one_more_death(tmp_path: Path) -> None:
    child = Child(Recipe("short", (str(tmp_path / "nobody"),), tmp_path / "logs" / "log"))
    waits = []
    for _ in range(4):
        with pytest.raises(OperatorError, match=r"short cannot be started: .*nobody: No such file"):
            child.start(0.0)
        assert child.process is None
        waits.append(child.due)
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8])
    child.deaths = [0.0] * BUDGET
    with pytest.raises(OperatorError):
        child.start(0.0)
    assert child.burning


def test_a_first_start_that_fails_is_an_error_in_words_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in its place")
    with pytest.raises(OperatorError, match=r"gateway-0 cannot be started: .*logs: File exists"):
        supervise(Layout(tmp_path, tmp_path, port=0), lambda _style, _words: None)
    assert running(tmp_path) is None


def test_a_child_that_cannot_be_started_again_ends_no_other_and_comes_back(tmp_path: Path) -> None:
    logs, said = tmp_path / "logs", tmp_path / "said"
    with said.open("w") as out, up(tmp_path, out) as process:
        gateway, control = child_of(tmp_path, "gateway-0"), child_of(tmp_path, "control")
        assert control is not None
        for name in ("control", "gateway-0"):
            (logs / f"{name}.log").unlink()
            (logs / f"{name}.log").mkdir()
        os.kill(control, signal.SIGKILL)
        wait_until(lambda: said.read_text().count("control cannot be started: ") > 2)
        process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: "The rolling restart ends here; gateway-0 serves as before. gateway-0 cannot be started" in said.read_text()
        )
        assert process.poll() is None
        assert child_of(tmp_path, "gateway-0") == gateway
        (logs / "control.log").rmdir()
        wait_until(lambda: child_of(tmp_path, "control") not in (None, control))
        killed_again(tmp_path)


def test_a_process_is_known_by_when_it_began_and_not_by_what_the_clock_says_of_it() -> None:
    me = known(os.getpid())
    assert me is not None
    assert me.ticks is not None
    assert me.lives
    assert KnownProcess(pid=me.pid, started=me.started + HOUR, ticks=me.ticks, boot=me.boot).lives
    assert not KnownProcess(pid=me.pid, started=me.started, ticks=me.ticks - 1, boot=me.boot).lives
    assert not KnownProcess(pid=me.pid, started=me.started, ticks=me.ticks, boot="of another start").lives
    assert KnownProcess(pid=me.pid, started=me.started).lives  # as an earlier release wrote it
    assert not KnownProcess(pid=me.pid, started=me.started + HOUR).lives
    ended = subprocess.Popen(["sleep", "600"])
    found = known(ended.pid)
    assert found is not None
    ended.kill()
    wait_until(lambda: not found.lives)
    assert found.is_same, "a zombie keeps its number"
    ended.wait()
    assert not found.is_same
    assert known(ended.pid) is None


def moved_by_an_hour(path: Path) -> None:
    """As the kernel tells the starts of what runs once the clock was set: by its own, nothing that was written is true any more."""
    told = json.loads(path.read_text())
    for each in (told, *told.get("children", {}).values()):
        each["started"] -= HOUR
    path.write_text(json.dumps(told))


def test_a_clock_that_was_set_hides_no_supervisor(tmp_path: Path) -> None:
    with up(tmp_path, subprocess.DEVNULL) as process:
        moved_by_an_hour(tmp_path / "run" / "supervisor.json")
        run = running(tmp_path)
        assert run is not None
        assert run.pid == process.pid
        threading.Thread(target=process.wait).start()
        assert stop(tmp_path)
        assert not any(child.lives for child in run.children.values())


def test_a_clock_that_was_set_hides_no_training(tmp_path: Path) -> None:
    at = datetime(2026, 1, 9, tzinfo=UTC)
    spec = parse_project(
        "{project: shop, model: returns, task: binary, train: {entrypoint: 'pipeline:train'}, data: {source: {files: rows.csv},"
        " time: at, key: id, label: late, label_delay: 1h, features: {hour: number}}}"
    )
    job = Job(id="j-0001", model="returns", status=JobStatus.RUNNING, requested_at=at, as_of=at, cause="user:run")
    executor = ProcessExecutor(tmp_path, SystemClock().now, (sys.executable, "-S", "-c", "import time; time.sleep(600)"))
    executor.launch(StepRequest(job, spec, tmp_path, tmp_path, None))
    told = tmp_path / "jobs" / "j-0001" / "child.json"
    pid = json.loads(told.read_text())["pid"]
    moved_by_an_hour(told)
    executor.cancel("j-0001")
    assert executor.observe("j-0001").state == "absent"
    left = known(pid)
    assert left is None or not left.lives


HOLDS = "import pathlib, sys; from flyball.adapters.supervisor.run_file import hold\nhold(pathlib.Path(sys.argv[1])); print(1, flush=True); input()"


def test_a_supervisor_that_cannot_be_told_is_not_forgotten(tmp_path: Path) -> None:
    card = tmp_path / "gateways" / "0.json"
    card.parent.mkdir()
    card.write_text("{}")
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(
            StoreUnavailable, match=rf"process {holder.pid} holds .*supervisor\.lock.*end process {holder.pid} by hand"
        ):
            stop(tmp_path)
        gone = {
            "pid": holder.pid,
            "started": 1.0,
            "gateway_url": "http://x",
            "control_url": None,
        }  # as an earlier release wrote it
        (tmp_path / "run" / "supervisor.json").write_text(json.dumps(gone))
        with pytest.raises(StoreUnavailable, match=f"end process {holder.pid} by hand"):
            stop(tmp_path)
        assert card.exists()
        assert holder.poll() is None
        holder.kill()
    assert not stop(tmp_path)
    assert not card.exists()


def test_whoever_only_asks_keeps_no_supervisor_from_starting(tmp_path: Path) -> None:
    """As `flyball down` asks, for microseconds: with a shared lock, which keeps an exclusive one out."""
    os.close(hold(tmp_path))
    asking = os.open(tmp_path / "run" / "supervisor.lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    answered = threading.Timer(0.05, os.close, [asking])
    answered.start()
    held = hold(tmp_path)
    answered.join()
    with pytest.raises(Conflict, match="has its supervisor already"):
        hold(tmp_path)
    os.close(held)


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no real-time signals")
def test_a_child_that_a_signal_without_a_name_ended_ends_no_supervisor(tmp_path: Path) -> None:
    number = signal.SIGRTMIN + 6
    output = tmp_path / "output"
    with output.open("w") as out, up(tmp_path, out) as process:
        control = child_of(tmp_path, "control")
        assert control is not None
        os.kill(control, number)
        wait_until(lambda: "is started again" in output.read_text() or process.poll() is not None)
        assert process.poll() is None
    assert f"control ended with signal {number}; it is started again" in output.read_text()


def test_what_cannot_be_read_is_not_taken_for_nothing(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    assert not stop(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert running(tmp_path / "file") is None
    (tmp_path / "run" / "supervisor.json").mkdir(parents=True)
    for ask in (running, stop):
        with pytest.raises(StoreUnavailable, match=r"supervisor\.json: Is a directory"):
            ask(tmp_path)
    (tmp_path / "engine.lock").mkdir()
    with pytest.raises(StoreUnavailable, match=r"engine\.lock: Is a directory"):
        engine_is_held(tmp_path)


AS_NOBODY = """
import os, sys
from flyball.adapters.known_process import known
from flyball.adapters.supervisor.run_file import RunFile, end_leftovers
from flyball.errors import StoreUnavailable
child = known(int(sys.argv[1]))
os.setuid(65534)
try:
    end_leftovers(RunFile(pid=child.pid, started=child.started, gateway_url="", control_url=None, children={"gateway-0": child}))
except StoreUnavailable as error:
    print(error.message)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")
def test_what_another_account_started_is_told_and_not_ended() -> None:
    other = subprocess.Popen(["sleep", "600"])
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(other.pid)], capture_output=True, text=True, check=False)
    assert other.poll() is None
    other.kill()
    other.wait()
    assert f"process {other.pid} is another account's" in done.stdout, done.stderr


NO_ROOM = """
import pathlib, resource, sys
from flyball.adapters.engine_lock import EngineLock
from flyball.errors import StoreUnavailable
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    EngineLock(pathlib.Path(sys.argv[1])).acquire()
except StoreUnavailable as error:
    print(error.message)
"""


def test_a_lock_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NO_ROOM, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "engine.lock: File too large" in done.stdout, done.stderr


def test_a_run_file_says_all_that_tells_its_process_from_others(tmp_path: Path) -> None:
    with up(tmp_path, subprocess.DEVNULL) as process:
        run = running(tmp_path)
        assert run is not None
        assert (run.pid, run.ticks is not None, bool(run.boot)) == (process.pid, True, True)
        assert all(child.ticks is not None for child in run.children.values())
        assert isinstance(run, RunFile)

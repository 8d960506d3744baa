"""Doors of a project whose ledger is empty, or of another model than flyball.yaml."""

import io
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from small_project import YAML

from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.supervisor import Layout
from flyball.cli.detached_supervisor import main
from flyball.cli.tell_proofs import verify_report
from flyball.errors import LedgerDamaged, NotFound, OperatorError, SpecError, StoreUnavailable
from flyball.records.events import Draft, Put
from flyball.wiring.detached_supervisor import command_of
from flyball.wiring.exporting import package_of
from flyball.wiring.health import ledger_faults, ledger_is_there
from flyball.wiring.place import NO_PLACE
from flyball.wiring.workspace import open_workspace


def renamed(directory: Path, model: str) -> None:
    (directory / "flyball.yaml").write_text(YAML.replace("model: returns", f"model: {model}") + "serve: {port: 0}\n")


def test_where_nothing_was_run_yet_a_person_can_look_around(tmp_path: Path) -> None:
    renamed(tmp_path, "returns")
    workspace = open_workspace(tmp_path)
    assert workspace.status().trouble == ""
    assert {check.name: check.words for check in workspace.doctor()}["versions"] == "no version is registered yet"


def test_the_autonomy_of_an_action_that_does_not_exist_is_a_name_that_does_not_exist(tmp_path: Path) -> None:
    renamed(tmp_path, "returns")
    with pytest.raises(NotFound, match="no autonomy of 'retrian'") as refused:
        open_workspace(tmp_path).autopilot.raise_autonomy("retrian", "user:me", "")
    assert (refused.value.exit_code, refused.value.next_step) == (2, "did you mean retrain?")


@pytest.mark.parametrize("letter", [*NO_PLACE, "%41", "\udcff"])
def test_a_place_that_no_database_can_be_named_in_is_refused_before_anything_is_written(tmp_path: Path, letter: str) -> None:
    directory = tmp_path / f"is this it{letter}"
    directory.mkdir()
    renamed(directory, "returns")
    for asked in (open_workspace, lambda place: package_of(place, 1)):
        with pytest.raises(OperatorError, match="rename it") as refused:
            asked(directory)
        refused.value.message.encode()
    assert [path.name for path in directory.iterdir()] == ["flyball.yaml"]


def test_a_model_that_was_renamed_takes_nobodys_place(tmp_path: Path) -> None:
    renamed(tmp_path, "returns")
    open_workspace(tmp_path).status()
    put = Put("version", "returns|000001", {"number": 1})
    at = datetime(2026, 1, 9, tzinfo=UTC)
    draft = Draft(at=at, kind="version.registered", subject="version:1", actor="control", payload={}, puts=(put,), key=None)
    SqliteLedger(tmp_path / ".flyball").transact([draft])

    renamed(tmp_path, "refunds")
    workspace = open_workspace(tmp_path)
    for asked in (
        workspace.status,
        lambda: workspace.run(lambda *_: None, "user:me"),
        lambda: workspace.up(detach=True, say=lambda *_: None, ready=lambda _: None),
    ):
        with pytest.raises(SpecError, match="model: found 'refunds', expected 'returns', the model whose versions"):
            asked()

    renamed(tmp_path, "returns")
    open_workspace(tmp_path).decisions(open_only=False)


def test_a_file_in_the_place_of_the_state_is_told_as_that(tmp_path: Path) -> None:
    renamed(tmp_path, "returns")
    (tmp_path / ".flyball").touch()
    workspace = open_workspace(tmp_path)
    for asked in (workspace.status, workspace.versions, workspace.verify):
        with pytest.raises(StoreUnavailable, match=r"\.flyball is no directory.*move that file away"):
            asked()


def test_a_ledger_that_nobody_can_look_at_is_neither_there_nor_absent(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 300)  # what a right that is missing is to other accounts
    with pytest.raises(StoreUnavailable, match="let this account look there"):
        ledger_is_there(place)
    (fault,) = ledger_faults(place) or ()
    assert "File name too long" in fault.words
    assert ledger_faults(tmp_path) is None


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_why_it_does_not_come_up_in_the_background_is_found_in_its_log_in_every_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    log, before = io.BytesIO(), os.umask(0o077)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        layout = Layout(state_dir=tmp_path / ".flyball", project_dir=tmp_path, port=taken.getsockname()[1], workers=1)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, io.TextIOWrapper(log, encoding=encoding))
        assert main(command_of(layout)[-1]) == 3
    os.umask(before)
    assert log.getvalue().decode().startswith("✗ port")


@pytest.mark.parametrize("damage", ["", "garbage", None])
def test_a_head_that_cannot_be_read_is_reported_and_to_be_restored_alone(tmp_path: Path, damage: str | None) -> None:
    renamed(tmp_path, "returns")
    workspace, head = open_workspace(tmp_path), tmp_path / ".flyball" / "HEAD"
    workspace.rollback("there is nobody to go back to", "user:me")
    kept = head.read_bytes()
    head.unlink()
    if damage is not None:
        head.write_text(damage)
    report = workspace.verify()
    assert not report.ok
    assert [words.partition(":")[0] for words in report.ledger_faults] == ["head"]
    drawn = Console(file=io.StringIO(), width=300, record=True)
    drawn.print(verify_report(report, True))
    assert "restore only .flyball/HEAD" in drawn.export_text()
    ledger = next(check for check in workspace.doctor() if check.name == "ledger")
    assert ledger.ok is False
    assert "restore only .flyball/HEAD" in ledger.next_step
    assert "ledger does not hold" in workspace.status().trouble
    with pytest.raises(LedgerDamaged, match="restore only HEAD"):
        workspace.rollback("again", "user:me")
    head.write_bytes(kept)
    assert workspace.verify().ok


def test_a_database_that_is_gone_is_not_mended_by_its_head(tmp_path: Path) -> None:
    renamed(tmp_path, "returns")
    workspace = open_workspace(tmp_path)
    workspace.rollback("there is nobody to go back to", "user:me")
    for left in (tmp_path / ".flyball").glob("flyball.db*"):
        left.unlink()
    ledger = next(check for check in workspace.doctor() if check.name == "ledger")
    assert "restore a backup" in ledger.next_step


def test_a_ledger_that_is_no_database_keeps_nobody_from_coming_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "flyball.yaml").write_text(YAML + f"serve: {{port: {taken.getsockname()[1]}}}\n")
        (tmp_path / ".flyball").mkdir()
        (tmp_path / ".flyball" / "flyball.db").write_text("garbage")
        workspace = open_workspace(tmp_path)
        with pytest.raises(LedgerDamaged):
            workspace.status()
        with pytest.raises(OperatorError, match=r"port \d+ of 127.0.0.1 is taken"):  # and nothing before that keeps it
            workspace.up(detach=False, say=lambda *_: None, ready=lambda _: None)

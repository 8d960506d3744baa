"""Doors of a project that another command works on, or was working on when it was interrupted."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_project import YAML

from flyball.adapters.clock import SystemClock
from flyball.adapters.engine_lock import EngineLock
from flyball.adapters.executor import ProcessExecutor
from flyball.adapters.heartbeat import LeaseFile, lease_age_seconds
from flyball.adapters.untold import UntoldFile
from flyball.control import running
from flyball.control.engine import Engine
from flyball.control.ports import StepRequest
from flyball.control.reports import RunReport
from flyball.control.trouble import Trouble
from flyball.records.jobs import Job, JobStatus
from flyball.records.routing import LEASE_SECONDS
from flyball.spec.load import parse_project
from flyball.wiring.workspace import CONTROL, open_workspace, stop_all

AT = datetime(2026, 1, 9, tzinfo=UTC)


class Waits(Exception):
    pass


class Ordered(Exception):
    pass


def waits(_style: str, words: str) -> None:
    raise Waits(words)


def test_a_run_beside_another_command_says_that_it_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "flyball.yaml").write_text(YAML)
    (tmp_path / ".flyball").mkdir()
    with EngineLock(tmp_path / ".flyball"), pytest.raises(Waits, match="this run begins when it has ended"):
        open_workspace(tmp_path).run(waits, "user:me")


def test_a_run_waits_for_another_command_also_where_one_has_just_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flyball.yaml").write_text(YAML)
    workspace, state_dir = open_workspace(tmp_path), tmp_path / ".flyball"
    workspace.rollback("there is nobody to go back to", "user:me")
    assert (lease_age_seconds(state_dir) or 0.0) < LEASE_SECONDS
    assert (state_dir / "lease").exists(), "it has ticked"
    ordered: list[object] = []
    monkeypatch.setattr(running, "run_there", lambda *given: ordered.append(given))
    with EngineLock(state_dir, "flyball run"), pytest.raises(Waits, match="this run begins when it has ended"):
        workspace.run(waits, "user:me")
    assert not ordered, "nobody takes an order before that command's end, which would carry it out as a job that nobody works on"


def test_a_run_orders_what_a_control_process_without_a_supervisor_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flyball.yaml").write_text(YAML)
    workspace, state_dir = open_workspace(tmp_path), tmp_path / ".flyball"

    def takes_it(*_given: object) -> RunReport:
        raise Ordered

    monkeypatch.setattr(running, "run_there", takes_it)
    with EngineLock(state_dir, CONTROL):
        LeaseFile(state_dir).renew_lease()
        with pytest.raises(Ordered):
            workspace.run(waits, "user:me")


def test_down_ends_what_an_interrupted_run_left_and_not_what_a_command_works_on(tmp_path: Path) -> None:
    state_dir = tmp_path / ".flyball"
    state_dir.mkdir()
    job = Job(id="j-0001", model="returns", status=JobStatus.RUNNING, requested_at=AT, as_of=AT, cause="user:run")
    sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
    executor = ProcessExecutor(state_dir, SystemClock().now, sleeper)
    executor.launch(StepRequest(job, parse_project(YAML), tmp_path, state_dir, None))
    with EngineLock(state_dir):
        assert not stop_all(state_dir)
        assert executor.observe("j-0001").state == "running"
    assert stop_all(state_dir)
    ended = executor.observe("j-0001")
    assert (ended.state, ended.recalled, ended.job) == ("absent", True, job), (
        "its end was a person's word, and counts as no death"
    )
    assert not stop_all(state_dir)
    executor.launch(StepRequest(job, parse_project(YAML), tmp_path, state_dir, None))
    executor.cancel("j-0001")
    assert not executor.observe("j-0001").recalled, "told once"


def test_who_takes_over_removes_captured_requests_that_a_killed_controller_was_asking(tmp_path: Path) -> None:
    (tmp_path / "flyball.yaml").write_text(YAML)
    replayed = tmp_path / ".flyball" / "replayed"
    replayed.mkdir(parents=True)
    for name in ("rows.parquet", "scores.npy", "log"):
        (replayed / name).touch()
    workspace = open_workspace(tmp_path)
    workspace.status()
    assert (replayed / "rows.parquet").exists(), "who only looks is not alone here"
    workspace.rollback("there is nobody to go back to", "user:me")
    assert [path.name for path in replayed.iterdir()] == ["log"]


def test_the_trouble_of_a_control_process_is_over_with_the_start_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flyball.yaml").write_text(YAML)
    workspace, state_dir = open_workspace(tmp_path), tmp_path / ".flyball"
    workspace.rollback("there is nobody to go back to", "user:me")
    untold, seen = UntoldFile(state_dir), []
    untold.lay_down()
    untold.tell(Trouble(words="database or disk is full.", since=AT))
    start = Engine.start

    def starting(engine: Engine, owner: str) -> None:
        seen.append(workspace.status().ticks_failed_since)
        start(engine, owner)

    monkeypatch.setattr(Engine, "start", starting)
    with workspace._engine(CONTROL, waits_not) as engine:
        assert engine is not None
    assert seen == [None]


def waits_not(_style: str, _words: str) -> None:
    """Nothing is worth a word."""

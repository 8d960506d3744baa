"""Decisions that another Flyball made: what today's rules say otherwise, or cannot read, is told as that."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_world import AT_ONCE, Project, spec_of
from rich.console import Console

from flyball import __version__
from flyball.cli.tell_decisions import explanation
from flyball.cli.tell_proofs import verify_report
from flyball.control import decisions, explaining, verification
from flyball.control.world import draft
from flyball.records import codec
from flyball.records.decisions import Decision

TELLS = {"name": "tell", "when": "concept.alarm", "do": "notify"}


def worded_otherwise(found: Decision) -> dict[str, Any]:
    return codec.plain(msgspec.structs.replace(found, plan=msgspec.structs.replace(found.plan, rationale="as it was said then")))


def of_other_fields(found: Decision) -> dict[str, Any]:
    return codec.plain(msgspec.structs.replace(found, room="autopilot", situation={"what": "it was called then"}))


def of_a_room_that_is_gone(found: Decision) -> dict[str, Any]:
    return codec.plain(msgspec.structs.replace(found, room="parlour"))


def project_with(directory: Path, change: Callable[[Decision], dict[str, Any]], made_by: str) -> Project:
    project = Project(directory, spec_of(AT_ONCE, [TELLS]))
    project.version()
    found = next(each for each in decisions.recorded(project.door) if each.room == "gates")
    payload = {**change(found), "id": "d-000099", "made_by": made_by}
    project.door.record(draft(project.clock.now(), "decision.made", "decision:d-000099", payload, ()))
    return project


def printed(part: Any) -> str:
    console = Console(width=400)
    with console.capture() as capture:
        console.print(part)
    return capture.get()


@pytest.mark.parametrize("made_by", ["flyball 0.0.1", f"flyball {__version__}", f"flyball {__version__}, rules 1", ""])
@pytest.mark.parametrize("change", [worded_otherwise, of_other_fields, of_a_room_that_is_gone])
def test_what_another_flyball_decided_is_no_fault(
    tmp_path: Path, change: Callable[[Decision], dict[str, Any]], made_by: str
) -> None:
    project = project_with(tmp_path, change, made_by)
    report = verification.verify(project.door, project.ledger)
    named = f"d-000099 ({made_by or 'an earlier Flyball'})"
    assert (report.ok, report.decisions_unequal, report.decisions_of_others) == (True, (), (named,))
    assert report.decisions_equal == report.decisions_replayed - 1
    told = printed(verify_report(report, plain=True))
    assert "made by other rules" in told
    assert named in told
    assert "All of it holds" in told
    assert "backup" not in told

    explained = explaining.explain(project.door, "d-000099")
    assert explained.replayed_equal is (False if change is worded_otherwise else None)
    assert f"made by {made_by or 'an earlier Flyball'}" in explained.replay_note
    assert "ANOTHER" not in printed(explanation(explained, plain=True))


@pytest.mark.parametrize("change", [worded_otherwise, of_other_fields])
def test_what_this_flyball_decided_and_does_not_decide_again_is_a_fault_that_no_backup_mends(
    tmp_path: Path, change: Callable[[Decision], dict[str, Any]]
) -> None:
    project = project_with(tmp_path, change, decisions.MADE_BY)
    report = verification.verify(project.door, project.ledger)
    assert (report.ok, report.decisions_unequal, report.decisions_of_others) == (False, ("d-000099",), ())
    told = printed(verify_report(report, plain=True))
    assert "d-000099" in told
    assert "report it" in told
    assert "backup" not in told

"""An acknowledgement is an order: written down by a door at once, carried out once by the controller, seen in findings and in the ledger."""

from pathlib import Path

import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, Project, spec_of

from flyball.control import findings
from flyball.control.commands import Command
from flyball.control.estimating import EstimateState
from flyball.control.windows import SignalHistory
from flyball.errors import Conflict
from flyball.monitoring.drift import DriftState
from flyball.monitoring.performance import PerformanceState, level
from flyball.records.findings import Finding, FindingKind

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}


def project_of(root: Path) -> Project:
    project = Project(root, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    project.live(4 * DAY)
    return project


def found(project: Project, kind: FindingKind) -> Finding:
    project.live(9 * DAY, until=lambda: any(each.kind is kind for each in project.findings()))
    return next(each for each in project.findings() if each.kind is kind)


def told_later(project: Project, kind: FindingKind, days: int) -> list[Finding]:
    before = len(project.findings())
    project.live(days * DAY)
    return [each for each in project.findings() if each.number > before and each.kind is kind]


def test_a_shift_taken_as_normal_is_told_no_more_and_its_end_is_a_move_that_pages(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.shift = 0.8
    shifted = found(project, FindingKind.FEATURE_DRIFT)
    project.live(3 * DAY)
    findings.acknowledge(project.door, str(shifted.number), "user:me", "a new shop", as_normal=True)
    project.tick()
    state = project.door.get("drift", project.champion().unit, DriftState)
    assert state is not None
    assert state.streams["x"].accepted
    assert not told_later(project, FindingKind.FEATURE_DRIFT, 4)
    project.shift = 0.0
    (back, *_) = told_later(project, FindingKind.FEATURE_DRIFT, 3)
    assert not back.words.startswith("back towards the reference")
    project.holds()


def test_a_worse_loss_taken_as_normal_is_told_no_more_and_one_only_seen_is_told_again(tmp_path: Path) -> None:
    def told(root: Path, *, as_normal: bool) -> list[Finding]:
        project = project_of(root)
        project.turned = 0.5
        worse = found(project, FindingKind.PERFORMANCE)
        project.live(2 * DAY)
        for each in project.findings():
            if each.kind is FindingKind.PERFORMANCE:
                findings.acknowledge(project.door, each.id, "user:me", "", as_normal=as_normal)
        project.tick()
        state = project.door.get("performance", worse.unit, PerformanceState)
        assert state is not None
        assert level(state) == 0.0
        assert (state.accepted is not None) is as_normal
        later = told_later(project, FindingKind.PERFORMANCE, 8)
        signals = [each.signals for each in project.door.get("signals", "shop", SignalHistory).recent]
        assert (abs(signals[-1]["performance.loss_increase"]) < 0.02) is as_normal, "policies are told of what goes beyond"
        # What is worth a tournament as well: the first window after the answer was over before it came.
        assert (max(each["improvement.excess"] for each in signals[-6:]) == 0.0) is as_normal
        project.holds()
        return later

    assert told(tmp_path / "seen", as_normal=False)
    assert not told(tmp_path / "normal", as_normal=True)


def test_estimates_that_labels_made_void_are_tried_again_once_somebody_has_seen_it(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.turned = 0.8
    worse = found(project, FindingKind.PERFORMANCE)
    project.live(3 * DAY)
    unit = worse.unit
    assert project.windows()[-1].void
    project.turned = 0.0
    project.live(2 * DAY)
    assert project.windows()[-1].void, "void lasts until somebody has seen why"
    findings.acknowledge(project.door, str(worse.number), "user:me", "labels were wrong", as_normal=False)
    project.live(3 * DAY)
    state = project.door.get("estimates", unit, EstimateState)
    assert state is not None
    assert state.trust.void == ""
    assert not project.windows()[-1].void


def test_it_is_carried_out_once_whatever_dies_between_and_findings_say_it(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.shift = 0.8
    shifted = found(project, FindingKind.FEATURE_DRIFT)
    project.live(2 * DAY)
    findings.acknowledge(project.door, str(shifted.number), "user:me", "", as_normal=False)
    project.restart()
    project.tick()
    findings.acknowledge(project.door, str(shifted.number), "user:you", "planned", as_normal=True)
    project.restart()
    project.tick()
    project.restart()
    project.tick()
    orders = [each for each in project.door.all("command", Command) if each.kind == "acknowledge"]
    assert [each.status for each in orders] == ["done", "done"]
    settled = [event.payload["words"] for event in project.ledger.events(kinds=("command.settled",)) if "-f-" in event.subject]
    assert settled == [
        "the detector of x begins anew with its full budget", f"what x is since finding {shifted.number} is normal from here on"
    ]  # fmt: skip
    (row,) = [row for row in findings.rows(project.door, open_only=False) if row.finding.id == shifted.id]
    assert row.acknowledgement is not None
    assert (row.acknowledgement.by, row.acknowledgement.as_normal) == ("user:you", True)
    for as_normal in (True, False):
        with pytest.raises(Conflict, match="by user:you already"):
            findings.acknowledge(project.door, str(shifted.number), "user:me", "", as_normal=as_normal)
    project.holds()


def test_what_cannot_be_normal_is_refused_with_its_reason_and_nothing_is_written(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.failing = {project.champion().unit}
    project.live(DAY / 2)
    project.failing = set()
    failed = found(project, FindingKind.SERVING)
    head = project.ledger.head()
    with pytest.raises(Conflict, match="what is not served is not served"):
        findings.acknowledge(project.door, str(failed.number), "user:me", "", as_normal=True)
    assert project.ledger.head() == head

"""Performance without labels in the loop: estimated at each window's end, held against labels when they come, void when those disagree."""

from pathlib import Path

import msgspec
import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, Project, spec_of

from flyball.control.estimating import EstimateState
from flyball.control.windows import SignalHistory
from flyball.monitoring import causes
from flyball.monitoring.estimates import void
from flyball.records.captured import LabelBatch
from flyball.records.findings import Finding, FindingKind

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}
TRUE_LOSS = 0.15 * 0.85


def project_of(root: Path) -> Project:
    project = Project(root, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    return project


def test_every_window_of_a_champion_without_labels_has_estimates_that_hold_the_truth(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.unlabelled = True
    project.live(6 * DAY)
    windows = project.windows()
    assert len(windows) == 6
    held = 0
    for window in windows:
        assert window.void == ""
        told = window.estimates["bounded_loss"]
        assert told.lower is not None
        assert told.upper is not None
        held += told.lower <= TRUE_LOSS <= told.upper
    assert held >= 5
    assert not project.findings()
    project.holds()


def test_a_restart_between_close_and_labels_changes_no_estimate(tmp_path: Path) -> None:
    def lived(root: Path, *, restarts: bool) -> list[object]:
        project = project_of(root)
        for _ in range(4):
            project.live(DAY)
            if restarts:
                project.restart()
        project.holds()
        return [(window.estimates, window.metrics) for window in project.windows()]

    assert lived(tmp_path / "one", restarts=True) == lived(tmp_path / "other", restarts=False)


def test_what_nobody_foresaw_in_an_estimate_or_its_causes_is_said_and_keeps_no_window_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project_of(tmp_path)
    monkeypatch.setattr(void, "LEAST_REFERENCE", None)  # compared with a number of rows
    monkeypatch.setattr(causes, "FEWEST_ROWS", None)
    project.turned = 0.8
    project.live(6 * DAY)
    assert {window.void for window in project.windows()} == {project.windows()[0].void}
    assert "it could not be estimated: TypeError in flyball.monitoring.estimates" in project.windows()[0].void
    found = next(finding for finding in project.findings() if finding.kind is FindingKind.PERFORMANCE)
    assert "; no causes: TypeError in flyball.monitoring.causes, line" in found.words
    project.holds()


def test_labels_that_disagree_make_estimates_void_and_say_why(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.live(3 * DAY)
    project.turned = 0.8
    project.live(6 * DAY)
    state = project.door.get("estimates", project.champion().unit, EstimateState)
    assert state is not None
    assert "concept shift suspected" in state.trust.void
    last = project.windows()[-1]
    assert last.void == state.trust.void
    assert all(evidence.value is None for evidence in last.estimates.values())
    found = {finding.kind: finding for finding in project.findings()}
    assert {FindingKind.PERFORMANCE, FindingKind.CONCEPT_DRIFT} <= set(found)
    project.holds()


def test_a_concept_that_turned_is_named_dated_and_put_down_to_concept(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.live(6 * DAY)
    turned_at = project.clock.now()
    project.turned = 0.6
    project.live(6 * DAY)
    found = next(finding for finding in project.findings() if finding.kind is FindingKind.CONCEPT_DRIFT)
    assert found.pages
    assert found.changed_since is not None
    assert abs(found.changed_since - turned_at) <= 2 * DAY
    shares = {cause.subject: cause.share for cause in found.causes}
    assert shares["concept"] is not None
    assert shares["concept"] > 0.7
    history = project.door.get("signals", "shop", SignalHistory)
    assert history is not None
    assert history.recent[-1].signals["concept.alarm"] is True
    project.holds()


def test_a_worse_loss_is_put_down_to_causes_in_all_windows_since_it_began_also_after_a_restart(tmp_path: Path) -> None:
    def lived(root: Path, *, restarts: bool) -> Finding:
        project = project_of(root)
        project.live(4 * DAY)
        project.turned = 0.07  # too little to be told by its first window
        for _ in range(20):
            if any(each.kind is FindingKind.PERFORMANCE for each in project.findings()):
                break
            project.live(DAY)
            if restarts:
                project.restart()
        return next(each for each in project.findings() if each.kind is FindingKind.PERFORMANCE)

    found = lived(tmp_path / "one", restarts=False)
    assert found.changed_since is not None
    assert found.window_end - found.changed_since >= 2 * DAY
    shares = {cause.subject: cause for cause in found.causes}
    assert shares["concept"].share is not None
    assert shares["concept"].share > 0.7
    assert lived(tmp_path / "other", restarts=True) == found


def test_inputs_that_the_reference_does_not_know_are_not_guessed_about(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.unlabelled = True
    project.live(2 * DAY)
    project.shift = 50.0
    project.live(2 * DAY)
    assert project.windows()[-1].void
    history = project.door.get("signals", "shop", SignalHistory)
    assert history is not None
    assert history.recent[-1].signals["performance.estimated_increase"] == pytest.approx(0.0)


def test_a_few_labels_of_a_window_say_nothing_of_its_estimate(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.label_delay, project.turned = 2 * DAY, 0.8
    for _ in range(10):
        project.live(DAY)
        today = [(at, batch) for at, batch in project.late if at >= project.clock.now() + DAY]
        project.late = [each for each in project.late if each not in today] + [(at, _of_ten(batch)) for at, batch in today[-1:]]
    told = [window.loss.n for window in project.windows() if window.loss is not None]
    assert (len(told) > 3, set(told)) == (True, {10})
    state = project.door.get("estimates", project.champion().unit, EstimateState)
    assert state is None or not state.trust.void


def _of_ten(batch: LabelBatch) -> LabelBatch:
    return msgspec.structs.replace(batch, ids=batch.ids[:10], values=batch.values[:10], observed_us=batch.observed_us[:10])

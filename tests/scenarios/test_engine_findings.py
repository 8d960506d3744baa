"""Findings: numbered once, stand until somebody has seen them or the champion changes, and policies are told of those alone."""

from pathlib import Path

import msgspec
import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, Project, spec_of
from rich.console import Console

from flyball.cli import tell_findings
from flyball.control import findings
from flyball.control.windows import SignalHistory
from flyball.errors import Conflict, NotFound
from flyball.monitoring.performance import PerformanceState
from flyball.records.evidence import Evidence
from flyball.records.findings import FindingKind
from flyball.web import pages

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}


def moved(root: Path) -> Project:
    """Inputs that have moved, found."""
    project = Project(root, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(6 * DAY)
    project.shift = 1.5
    project.live(12 * DAY, until=lambda: any(each.kind is FindingKind.FEATURE_DRIFT for each in project.findings()))
    return project


def drift_alarm(project: Project) -> object:
    history = project.door.get("signals", "shop", SignalHistory)
    assert history is not None
    return history.recent[-1].signals["drift.alarm"]


def test_findings_have_numbers_without_a_gap_and_are_found_by_them(tmp_path: Path) -> None:
    project = moved(tmp_path)
    numbers = [row.finding.number for row in findings.rows(project.door, open_only=False)]
    assert numbers == list(range(1, len(numbers) + 1))
    for each in project.findings():
        for name in (str(each.number), f"#{each.number}", each.id):
            assert findings.explain(project.door, name).finding == each
    for name in ("999", "9" * 5000, "#" + "9" * 5000):
        with pytest.raises(NotFound, match="flyball findings"):
            findings.explain(project.door, name)


def test_a_drifted_stream_is_explained_with_its_distances_and_its_histogram(tmp_path: Path) -> None:
    project = moved(tmp_path)
    found = next(each for each in project.findings() if each.kind is FindingKind.FEATURE_DRIFT)
    report = findings.explain(project.door, str(found.number))
    values = [point.value for point in report.series]
    assert max(value for value in values if value is not None) == values[-1] == pytest.approx(found.effect, abs=0.02)
    assert found.histogram is not None
    assert sum(found.histogram.reference) == pytest.approx(1.0, abs=0.01)
    assert sum(found.histogram.window) == pytest.approx(1.0, abs=0.01)
    assert found.histogram.window != found.histogram.reference


def test_what_was_seen_stands_no_longer_and_policies_are_told_of_it_no_more(tmp_path: Path) -> None:
    project = moved(tmp_path)
    assert drift_alarm(project) is True
    seen = {row.finding.number for row in findings.rows(project.door, open_only=True)}
    for number in seen:
        findings.acknowledge(project.door, str(number), "user:me", "a sale", as_normal=False)
    assert findings.rows(project.door, open_only=True) == ()
    project.restart()
    project.live(DAY)
    assert not seen & {row.finding.number for row in findings.rows(project.door, open_only=True)}
    assert drift_alarm(project) is False
    project.holds()


def test_a_finding_is_acknowledged_once(tmp_path: Path) -> None:
    project = moved(tmp_path)
    findings.acknowledge(project.door, "1", "user:me", "", as_normal=False)
    with pytest.raises(Conflict, match="by user:me already"):
        findings.acknowledge(project.door, "1", "user:you", "", as_normal=False)
    (row,) = [row for row in findings.rows(project.door, open_only=False) if row.finding.number == 1]
    assert row.acknowledgement is not None
    assert row.acknowledgement.by == "user:me"


def test_a_shift_that_ends_is_told_as_a_move_back_and_calls_nobody(tmp_path: Path) -> None:
    project = moved(tmp_path)
    assert all(each.pages for each in project.findings() if each.kind is FindingKind.FEATURE_DRIFT)
    project.live(5 * DAY)
    last = max(each.number for each in project.findings())
    project.shift = 0.0
    project.live(4 * DAY)
    back = [each for each in project.findings() if each.number > last and each.kind is FindingKind.FEATURE_DRIFT]
    assert back
    for each in back:
        assert each.words.startswith("back towards the reference: x: ")
        assert not each.pages
    project.holds()


def test_a_unit_that_answers_again_is_watched_anew_and_what_still_holds_is_told_again(tmp_path: Path) -> None:
    project = moved(tmp_path)
    unit, before = project.champion().unit, len(project.findings())
    project.version(Model(run="b"))
    project.live(2 * DAY)
    assert project.champion().unit != unit
    project.roll_back()
    assert project.champion().unit == unit
    watched = ("drift", "performance", "concept", "slices", "declared", "estimates")
    assert [kind for kind in watched if project.ledger.state(kind, unit)] == []
    project.live(3 * DAY)
    later = sorted(
        (each for each in project.findings() if each.number > before and each.unit == unit), key=lambda each: each.number
    )
    again = [each for each in later if each.kind is FindingKind.FEATURE_DRIFT]
    assert [(each.pages, each.words.startswith("back")) for each in again] == [(True, False)]
    state = project.door.get("performance", unit, PerformanceState)
    assert state is not None
    assert 0 < state.n <= sum(each.labels for each in project.windows() if each.end > project.champion().since)
    project.holds()


def test_a_window_that_ended_before_its_unit_answered_again_is_shown_and_moves_no_detector(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    unit = project.version()
    project.live(3 * DAY)
    project.shift = 1.5
    project.live(DAY / 2)
    project.version(Model(run="b"))
    project.live(DAY / 4)
    assert project.champion().unit != unit
    before = len(project.findings())
    project.clock.sleep(DAY / 2)  # over midnight, and the order comes before the window is closed
    project.roll_back()
    assert project.champion().unit == unit
    shown = max((window for window in project.windows() if window.unit == unit), key=lambda window: window.start)
    assert (shown.predictions, shown.end <= project.champion().since, shown.drift["x"] > 0.1) == (120, True, True)
    assert [each for each in project.findings() if each.number > before and each.unit == unit] == []
    assert project.ledger.state("drift", unit) is None
    project.holds()


@pytest.mark.parametrize(("wrong", "used"), [(0.0, True), (0.5, False)])
def test_a_frozen_column_calls_people_and_its_policy_where_the_model_uses_it_and_nobody_where_it_does_not(
    tmp_path: Path, wrong: float, *, used: bool
) -> None:
    """Rows of the reference with such a value are answered as well as all others, and say nothing of rows that the value is not of."""
    policies = [{"name": "tell", "when": "quality.alarm", "do": "notify"}]
    project = Project(tmp_path, spec_of(AT_ONCE, policies, monitor=MONITOR))
    project.version(Model(wrong=wrong, estimates=True, asked=True))
    project.live(4 * DAY, rows=100)
    project.factor = 0.0
    project.live(2 * DAY, rows=100)
    (found,) = [each for each in project.findings() if each.kind is FindingKind.DATA_QUALITY]
    assert (found.fault, found.pages) == ("frozen", used)
    assert found.harm == (pytest.approx(0.35, abs=0.02) if used else 0.0)  # half of the rows change sides, each by 0.7
    said = "the model uses it: its losses on the holdout change by 0.3" if used else "the model ignores it"
    assert found.words.startswith("x is frozen: all 400 values are 0; ")
    assert f"; {said}" in found.words
    assert ("nobody is called" in found.words) is not used
    history = project.door.get("signals", "shop", SignalHistory)
    assert history is not None
    assert history.recent[-1].signals["quality.alarm"] is used
    assert bool(project.told.heard) is used
    project.holds()


def test_how_far_another_unit_is_from_the_reference_is_told_in_full_or_as_at_least_so_much(tmp_path: Path) -> None:
    """Numbers beyond the reference's count as lying at its ends where nothing says how far out they are: 1.5, where 999 is true."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    project.live(2 * DAY, rows=100)
    project.factor = 1000.0
    project.live(2 * DAY, rows=100)
    found = next(each for each in project.findings() if each.fault == "unit")
    far = found.effects["wasserstein"]
    assert far == pytest.approx(999.0, rel=0.1)  # |x| is 1 on average
    for at_least, words in (((), f"wasserstein {far:.4g}"), (("wasserstein",), f"wasserstein ≥ {far:.4g}")):
        report = findings.explain(project.door, str(found.number))
        told = msgspec.structs.replace(report, finding=msgspec.structs.replace(found, at_least=at_least))
        assert words in explained(told)
        assert words in pages.finding(told)
    project.holds()


def explained(report: findings.FindingReport) -> str:
    console = Console(width=300)
    with console.capture() as captured:
        console.print(tell_findings.finding_report(report, plain=True))
    return captured.get()


def test_what_was_counted_says_that_it_spent_nothing_of_the_budget(tmp_path: Path) -> None:
    project = moved(tmp_path)
    report = findings.explain(project.door, "1")
    assert "of the false-alarm budget is spent where this comes from" in explained(report)
    counted = msgspec.structs.replace(report.finding, share_of_budget=None, evidence=Evidence(name="share_failed", value=0.2))
    told = msgspec.structs.replace(report, finding=counted)
    assert "none of the false-alarm budget is spent: it was counted, not tested" in explained(told)
    assert "none of the false-alarm budget: counted, not tested" in pages.finding(told)

"""Declared slices in the loop: judged for a champion that is older than they are, beside all rows and under their budget."""

from pathlib import Path

import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, Project, spec_of

from flyball.control import findings, observe, queries
from flyball.records.captured import LabelBatch
from flyball.records.findings import FindingKind

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}
SLICES = [{"name": "far", "where": "x > 1.4"}, {"name": "near", "where": "x <= 1.4"}, {"name": "nobody", "where": "x > 100.0"}]


def project_of(root: Path, **monitor: object) -> Project:
    project = Project(root, spec_of(AT_ONCE, monitor=MONITOR | monitor))
    project.version(Model(estimates=True))
    return project


def test_a_worse_loss_in_a_declared_slice_is_found_there_dated_and_explained_by_its_own_rows(tmp_path: Path) -> None:
    project = project_of(tmp_path, slices=SLICES)
    project.live(6 * DAY)
    assert not project.findings()
    turned_at = project.clock.now()
    project.turned, project.turned_above = 0.9, 1.4
    project.live(8 * DAY, rows=120, until=lambda: any(each.subject == "slice far" for each in project.findings()))
    found = next(each for each in project.findings() if each.subject == "slice far")
    assert found.kind is FindingKind.PERFORMANCE
    assert found.pages
    assert found.words.startswith("far (x > 1.4): mean loss ")
    assert found.effect > 0.3
    assert found.harm == pytest.approx(found.effect * 0.15, abs=0.04)
    assert found.changed_since is not None
    assert abs(found.changed_since - turned_at) <= 2 * DAY
    shares = {cause.subject: cause.share for cause in found.causes}
    assert shares["concept"] is not None
    assert shares["concept"] > 0.7
    assert not [each for each in project.findings() if each.subject == "slice near"]
    series = [point.value for point in findings.explain(project.door, str(found.number)).series]
    assert series[-1] is not None
    assert series[0] is not None
    assert series[-1] > series[0] + 0.2
    project.holds()


def test_status_shows_each_declared_slice_or_why_it_is_not_judged(tmp_path: Path) -> None:
    project = project_of(tmp_path, slices=SLICES)
    assert {row.note for row in queries.status(project.door, controller_alive=True).slices} == {
        "no mature window has been judged since it was declared"
    }
    project.live(4 * DAY)
    far, near, nobody = queries.status(project.door, controller_alive=True).slices
    assert near.loss == pytest.approx(0.1275, abs=0.02)
    assert near.holdout == pytest.approx(0.1275, abs=0.01)
    assert far.rows > 0
    assert far.note == ""
    assert nobody.note == "not judged: 0 rows of the holdout's sample are in it, fewer than 60"


def test_a_slice_is_judged_for_a_champion_that_was_made_before_it_was_declared(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.live(3 * DAY)
    project.spec = project.door.spec = spec_of(AT_ONCE, monitor=MONITOR | {"slices": SLICES})
    project.restart()
    project.live(3 * DAY)
    far = queries.status(project.door, controller_alive=True).slices[0]
    assert far.rows > 0
    assert far.holdout == pytest.approx(0.1275, abs=0.05)
    project.holds()


def test_a_restart_changes_no_verdict_on_declared_slices(tmp_path: Path) -> None:
    def lived(root: Path, *, restarts: bool) -> list[object]:
        project = project_of(root, slices=SLICES)
        project.turned, project.turned_above = 0.9, 1.4
        for _ in range(5):
            project.live(DAY)
            if restarts:
                project.restart()
        return [*(window.slices for window in project.windows()), *project.findings()]

    assert lived(tmp_path / "one", restarts=True) == lived(tmp_path / "other", restarts=False)


def test_where_all_rows_are_worse_the_declared_slices_are_beside_the_causes(tmp_path: Path) -> None:
    project = project_of(tmp_path, slices=SLICES)
    project.live(5 * DAY)
    project.turned, project.turned_above = 0.9, 0.6
    project.live(8 * DAY, until=lambda: any(each.subject == "loss" for each in project.findings()))
    found = next(each for each in project.findings() if each.subject == "loss" and each.kind is FindingKind.PERFORMANCE)
    assert any(cause.subject == "far" and "on the holdout" in cause.words for cause in found.causes)
    assert found.norm is not None
    assert found.norm.mean < found.norm.tolerated - 0.009
    shown = {point.end: point.value for point in findings.explain(project.door, str(found.number)).series}
    lost = {window.end: window.loss.mean for window in project.windows() if window.loss is not None and window.unit == found.unit}
    assert {end: value for end, value in shown.items() if value is not None} == lost
    assert lost[found.window_end] > found.norm.tolerated
    assert abs(found.norm.mean + found.effect - float(found.words.split()[2])) < 1e-4
    assert any(cause.interval and cause.share and cause.interval[0] < cause.share < cause.interval[1] for cause in found.causes)


def last_of(batch: LabelBatch, n: int) -> LabelBatch:
    return LabelBatch(
        at_us=batch.at_us, model=batch.model, ids=batch.ids[-n:], values=batch.values[-n:], observed_us=batch.observed_us[-n:]
    )  # fmt: skip


LATE = {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y", "label_delay": "50d"}  # fmt: skip


@pytest.mark.parametrize("rows_kept", [None, 300])
def test_slices_are_judged_by_labels_that_come_after_more_than_forty_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_kept: int | None
) -> None:
    if rows_kept is not None:
        monkeypatch.setattr(observe, "ROWS_KEPT", rows_kept)
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR | {"slices": SLICES[1:2]}, data=LATE))
    project.version(Model(estimates=True))
    project.label_delay = 50 * DAY
    project.live(56 * DAY, step=DAY, rows=40)
    kept = [len(sample) for sample in project.engine.observation._samples.values()]
    assert sum(kept) <= (rows_kept or 80_000) + observe.WHOLE * 40
    judged = [window for window in project.windows() if window.mature]
    assert len(judged) >= 5
    assert all(window.slices["near"].n >= (28 if rows_kept is None else 2) for window in judged)
    estimated = project.windows()[-1].estimates["bounded_loss"]
    assert estimated.n == 40  # the newest are whole
    project.holds()


def test_a_slice_without_a_labelled_row_says_that_it_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "ROWS_KEPT", 1)
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR | {"slices": SLICES[1:2]}, data=LATE | {"label_delay": "5d"}))
    project.version(Model(estimates=True))
    project.send(1_000)
    project.late, project.unlabelled = [(at, last_of(batch, 100)) for at, batch in project.late], True
    project.live(6 * DAY, rows=4)
    assert project.windows()[0].mature
    note = queries.status(project.door, controller_alive=True).slices[0].note
    assert note == "not judged: none of the rows that are kept of the newest mature window has a label"
    assert note in project.ledger.events(kinds=("window.matured",))[-1].payload["note"]


def test_a_window_of_too_few_labels_to_search_says_so(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.live(2 * DAY, rows=4)
    notes = {event.payload["note"] for event in project.ledger.events(kinds=("window.matured",))}
    assert any("slices are not searched: 16 labels are fewer than min_rows 20: not tested" in note for note in notes)

"""Labels that are late, or only for some: windows wait, are completed or marked, and are never judged by what is no sample of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, _draw, spec_of

from flyball.adapters.registry_memory import MemoryRegistry
from flyball.control.loop import tick_once
from flyball.control.maturing import window_of
from flyball.control.world import Ports, micros
from flyball.errors import StoreUnavailable, TrackingFailed
from flyball.monitoring.reference import Reference
from flyball.records.captured import LabelBatch
from flyball.records.events import Draft, Event
from flyball.records.findings import FindingKind, WindowSummary

MINUTE = HOUR / 60
MONITOR = {"min_rows": 20, "mature_share": 0.9, "false_alarms": "1 per 10 windows"}
LEARNED = {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"}


def only(project: Project, value: str) -> None:
    """Of the labels that wait to be delivered, those of one class are kept."""
    project.late = [
        (at, LabelBatch(at_us=batch.at_us, model=batch.model, ids=[name for name, each in zip(batch.ids, batch.values, strict=True) if each == value],
                        values=[value] * batch.values.count(value), observed_us=[None] * batch.values.count(value)))
        for at, batch in project.late
    ]  # fmt: skip


def lived_with_one_class(project: Project) -> list[WindowSummary]:
    """Four days of which labels of one class alone come; the windows that are mature then."""
    for _ in range(16):
        project.send(60)
        only(project, "yes")
        project.clock.sleep(6 * HOUR)
        project.deliver()
        project.tick()
    mature = [window for window in project.windows() if window.mature]
    assert len(mature) >= 2
    return mature


def test_labels_of_one_class_alone_are_named_and_never_judged(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    for window in lived_with_one_class(project):
        assert all(evidence.value is None for evidence in window.metrics.values())
        assert f"all {window.labels} labels are of class yes" in window.labels_note
    assert FindingKind.PERFORMANCE not in {finding.kind for finding in project.findings()}
    project.holds()


def labelled_where(project: Project, chance: Callable[[float], float], days: int) -> None:
    """Labels come to rows with a chance that hangs on their x."""
    for _ in range(days * 4):
        before = len(project.late)
        project.send(60)
        for place, (at, batch) in enumerate(project.late[before:], before):
            kept = [_draw(name, "kept") < chance(_draw(name, "x") * 4 - 2) for name in batch.ids]
            project.late[place] = at, LabelBatch(
                at_us=batch.at_us, model=batch.model, ids=[name for name, yes in zip(batch.ids, kept, strict=True) if yes],
                values=[value for value, yes in zip(batch.values, kept, strict=True) if yes], observed_us=[None] * sum(kept),
            )  # fmt: skip
        project.clock.sleep(6 * HOUR)
        project.deliver()
        project.tick()


def test_labels_that_hang_on_the_score_are_weighted_and_a_loss_that_rises_is_found(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    labelled_where(project, lambda x: 0.9 if x > 0 else 0.5, 8)
    assert FindingKind.PERFORMANCE not in {finding.kind for finding in project.findings()}
    project.turned = 0.18
    labelled_where(project, lambda x: 0.9 if x > 0 else 0.5, 8)
    judged = [window for window in project.windows() if window.mature and window.labels_hang_on and window.loss is not None]
    assert len(judged) > 8
    for window in judged:
        assert window.loss is not None
        assert window.loss.mean == pytest.approx(window.metrics["brier"].value, abs=1e-6)
        assert window.loss.n < window.labels
    assert FindingKind.PERFORMANCE in {finding.kind for finding in project.findings()}
    project.holds()


def test_labels_that_hang_on_a_feature_are_named_though_the_score_does_not_tell(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    labelled_where(project, lambda x: 0.5 if x <= 0 else 0.95 if x < 1 else 0.05, 4)
    mature = [window for window in project.windows() if window.mature][-3:]
    assert [window.labels_hang_on for window in mature] == [("feature x",)] * 3
    assert all(window.metrics["brier"].value is None and window.loss is None for window in mature)
    project.restart()
    project.tick()
    assert [window for window in project.windows() if window.mature][-3:] == mature
    project.holds()


def slow(project: Project, days: int, *, delay: int = 2) -> None:
    """Half of the labels come within the hour, the others after `delay` days."""
    for _ in range(days * 4):
        project.send(60)
        now = project.clock.now()
        moved = []
        for at, batch in project.late:
            if at != now + HOUR:
                moved.append((at, batch))
                continue
            for part, wait in ((slice(None, None, 2), HOUR), (slice(1, None, 2), delay * DAY)):
                moved.append((now + wait, LabelBatch(
                    at_us=micros(now + wait), model=batch.model, ids=batch.ids[part], values=batch.values[part], observed_us=[None] * len(batch.ids[part])
                )))  # fmt: skip
        project.late = moved
        project.clock.sleep(6 * HOUR)
        project.deliver()
        project.tick()


def test_without_a_declared_delay_it_is_learned_and_windows_wait_for_their_late_half(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR, data=LEARNED))
    project.version()
    slow(project, 14)
    windows = project.windows()
    assert [window.mature for window in windows[-2:]] == [False, False]
    mature = [window for window in windows if window.mature]
    assert len(mature) >= 8
    assert all(window.labels >= 0.9 * window.predictions for window in mature[:-1])
    completed = [window for window in windows if not window.mature and window.live]
    assert completed
    for window in completed:
        told = window.live["brier"]
        assert told.lower is not None
        assert told.upper is not None
        assert told.lower < 0.1275 < told.upper
    project.holds()


def test_a_window_that_waits_says_how_many_labels_are_expected(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR, data=LEARNED))
    project.version()
    slow(project, 14)
    waiting = [window for window in project.windows() if not window.mature]
    assert any("labels" in window.labels_note for window in waiting)
    project.restart()
    project.tick()
    assert [window for window in project.windows() if not window.mature] == waiting


def test_labels_that_come_after_a_window_was_judged_revise_its_loss_with_its_metrics(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={**MONITOR, "mature_share": 0.5}, data={**LEARNED, "label_delay": "1h"}))
    project.version()
    slow(project, 8, delay=3)
    once = next(
        window for window in project.windows() if window.mature and window.loss is not None and window.labels < window.predictions
    )
    slow(project, 4, delay=3)
    (now,) = [window for window in project.windows() if (window.unit, window.start) == (once.unit, once.start)]
    assert now.labels == now.predictions
    assert (now.loss.n, now.metrics["brier"].n) == (now.labels, now.labels)
    assert once.loss.n < now.loss.n
    project.holds()


def test_past_its_delay_a_window_waits_for_labels_enough_and_until_an_import_has_ended(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.unlabelled = True
    project.live(DAY)
    project.unlabelled = False
    for _ in range(4):
        project.send(60)
        project.clock.sleep(6 * HOUR)
    (_, first), *others = project.late
    project.late, project.unlabelled = [], True
    project.live(2 * DAY)

    def imported(batch: LabelBatch, n: int) -> tuple[bool, int]:
        """Some rows more are sent; whether the window is mature, and by how many labels."""
        now = micros(project.clock.now())
        project.capture.hand_over([
            LabelBatch(at_us=now, model="shop", ids=batch.ids[:n], values=batch.values[:n], observed_us=[None] * n)
        ])  # fmt: skip
        project.clock.sleep(MINUTE)
        project.tick()
        return told()

    def told() -> tuple[bool, int]:
        (window,) = [each for each in project.windows() if each.labels]
        return window.mature, window.labels

    assert imported(first, 10) == (False, 10)
    project.clock.sleep(5 * HOUR)
    project.restart()
    assert imported(others[0][1], 60) == (False, 70)
    project.restart()
    assert imported(others[1][1], 60) == (False, 130)
    project.live(DAY)
    assert told() == (True, 130)
    project.holds()


def sent(batch: LabelBatch, part: slice, now: int) -> LabelBatch:
    ids = batch.ids[part]
    return LabelBatch(at_us=now, model=batch.model, ids=ids, values=batch.values[part], observed_us=[None] * len(ids))


@pytest.mark.parametrize(("away", "fewest"), [(5, 60), (4, 30)])
def test_without_a_declared_delay_no_window_is_judged_by_the_first_portion_of_an_import(
    tmp_path: Path, away: int, fewest: int
) -> None:
    """Of each 60 rows `fewest` have a label, on every second day all; after days without any 12 of each are brought, and a minute later the others."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR, data=LEARNED))
    project.version()
    project.label_delay = DAY
    for day in range(12 + away):
        for _ in range(4):
            project.send(60)
            if day % 2:
                at, batch = project.late[-1]
                project.late[-1] = (at, sent(batch, slice(fewest), batch.at_us))
            project.clock.sleep(6 * HOUR)
            if day < 12:
                project.deliver()
            project.tick()
    judged = len(project.ledger.events(kinds=("window.matured",)))
    assert judged >= 9
    brought = [batch for at, batch in project.late if at <= project.clock.now()]
    project.late = []
    for part in (slice(12), slice(12, None)):
        now = micros(project.clock.now())
        project.capture.hand_over([sent(batch, part, now) for batch in brought])
        project.clock.sleep(MINUTE)
        project.tick()
    project.live(DAY)
    anew = {event.subject: event.payload["labels"] for event in project.ledger.events(kinds=("window.matured",))[judged:]}
    in_the_end = {f"window:{window_of(window).id}": window.labels for window in project.windows()}
    assert len(anew) >= away - 1
    assert anew == {subject: in_the_end[subject] for subject in anew}
    assert 240 in anew.values()
    project.holds()


def test_labels_that_are_few_for_good_judge_their_window_some_days_later(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.send(60)
    at, whole = project.late[0]
    few = LabelBatch(at_us=whole.at_us, model="shop", ids=whole.ids[:10], values=whole.values[:10], observed_us=[None] * 10)
    project.late, project.unlabelled = [(at, few)], True
    project.live(2 * DAY)
    assert not project.windows()[0].mature
    project.live(DAY + 6 * HOUR)
    first = project.windows()[0]
    assert (first.mature, first.labels, first.loss is not None) == (True, 10, True)
    project.holds()


def test_a_window_that_cannot_be_judged_keeps_no_other_from_being_closed_and_no_policy_from_its_look(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    old = project.version()
    project.send(60)
    late, project.late = project.late, []
    project.live(DAY)
    new = project.version()
    project.live(DAY)
    project.capture.hand_over([batch for _, batch in late])
    files = project.engine.observation.files
    read = files.reference

    def reference(unit: str) -> Reference:
        if unit == old:
            raise TrackingFailed(f"the registry with {unit} does not answer")
        return read(unit)

    files.reference = reference  # type: ignore[method-assign]
    words = []
    for _ in range(4):
        project.send(60)
        project.clock.sleep(6 * HOUR)
        project.deliver()
        words.append(tick_once(project.engine))
    assert any(words)
    newest = max(window.start for window in project.windows())
    told = [event.payload for event in project.ledger.events(kinds=("signals.gathered",))][-1]
    assert (told["unit"], told["window"]) == (new, newest.isoformat())
    files.reference = read  # type: ignore[method-assign]
    project.tick()
    project.holds()


def test_labels_that_take_longer_than_ninety_windows_of_an_hour_are_waited_for(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={**MONITOR, "window": "1h"}, data=LEARNED))
    project.version()
    project.label_delay = 10 * DAY
    project.live(13 * DAY)
    assert sum(window.mature for window in project.windows()) >= 8
    project.holds()


def test_a_window_whose_labels_stay_away_is_given_up_once_and_said_to_be(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR, data=LEARNED))
    project.version()
    project.send(60)
    (_, batch), project.late, project.unlabelled = project.late[0], [], True
    project.live(10 * DAY, step=DAY, rows=30)
    project.clock.sleep(80 * DAY)
    project.tick()
    assert not project.ledger.events(kinds=("window.given_up",))
    project.clock.sleep(6 * DAY)
    project.restart()
    project.tick()
    given_up = [window for window in project.windows() if window.given_up]
    assert len(given_up) == 6
    assert given_up[0].labels_note == (
        "given up: within 95 days of its end 0 of 90 predictions got a label; where labels take longer, data.label_delay says so"
    )
    assert len(project.ledger.events(kinds=("window.given_up",))) == 6
    project.restart()
    project.tick()
    assert len(project.ledger.events(kinds=("window.given_up",))) == 6
    project.capture.hand_over([batch])
    project.clock.sleep(HOUR)
    project.tick()
    assert not any(window.mature for window in project.windows())
    project.holds()


def failing_writes(project: Project) -> Callable[[], None]:
    """The ledger takes no revision until the answer is called."""
    written = project.ledger.transact

    def transact(drafts: Sequence[Draft], *, epoch: int | None = None) -> tuple[Event, ...]:
        if any(draft.kind == "window.revised" for draft in drafts):
            raise StoreUnavailable("the disk is full")
        return written(drafts, epoch=epoch)

    project.ledger.transact = transact  # type: ignore[method-assign]
    return lambda: setattr(project.ledger, "transact", written)


def failing_reads(project: Project) -> Callable[[], None]:
    """What windows are judged by cannot be read until the answer is called."""
    files = project.engine.observation.files
    read = files.reference

    def reference(unit: str) -> Reference:
        raise TrackingFailed(f"the registry with {unit} does not answer")

    files.reference = reference  # type: ignore[method-assign]
    return lambda: setattr(files, "reference", read)


@pytest.mark.parametrize("failing", [failing_writes, failing_reads])
def test_a_revision_that_cannot_be_read_or_written_is_made_when_it_can(
    tmp_path: Path, failing: Callable[[Project], Callable[[], None]]
) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor={**MONITOR, "mature_share": 0.5}))
    project.version()
    project.send(60)
    late, project.late = project.late, []
    project.live(2 * DAY)
    first = project.windows()[0]
    assert (first.mature, first.labels) == (True, 240)
    project.capture.hand_over([batch for _, batch in late])
    mended = failing(project)
    project.clock.sleep(6 * HOUR)
    assert tick_once(project.engine)
    project.clock.sleep(6 * HOUR)
    assert tick_once(project.engine)
    mended()
    assert not tick_once(project.engine)
    assert project.windows()[0].labels == project.windows()[0].predictions == 300
    project.holds()


class Asking:
    """A registry that notes what it was asked for."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self._registry = registry
        self.fetched: list[int] = []

    def fetch(self, model: str, number: int, manifest_digest: str | None = None) -> Path:
        self.fetched.append(number)
        return self._registry.fetch(model, number, manifest_digest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


def test_a_controller_that_starts_again_reads_no_unit_to_say_again_what_was_judged(tmp_path: Path) -> None:
    asked: list[Asking] = []

    def noted(ports: Ports) -> Ports:
        asked.append(Asking(ports.registry))
        return ports._replace(registry=asked[-1])

    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR), wrap=noted)
    for _ in range(3):
        project.version()
        project.live(3 * DAY)
    assert len({window.unit for window in project.windows() if window.mature}) == 3
    assert asked[-1].fetched
    before = project.ledger.head()
    project.clock.sleep(DAY / 4)
    project.restart()
    project.tick()
    assert not [event for event in project.ledger.events() if event.seq > before.seq and event.kind == "window.revised"]
    assert asked[-1].fetched == [3]  # where the one lies that is served; those that were judged before are not asked for
    project.holds()

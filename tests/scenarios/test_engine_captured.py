"""What is captured is taken: a tick ends whatever comes meanwhile, costs what is new, and trusts no clock that was wrong."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_world import AT_ONCE, DAY, HOUR, START, Project, spec_of

from flyball.adapters.capture_memory import MemoryCapture
from flyball.adapters.clock import SimulatedClock
from flyball.capture.joined import Ints
from flyball.control import incidents, maturing, queries
from flyball.control.attending import blind
from flyball.control.capture_told import CaptureTold, LabelsTold, labels_words
from flyball.control.loop import tick_once
from flyball.control.ports import Portion
from flyball.control.standing import standing
from flyball.control.world import draft, micros, put
from flyball.monitoring.operations import OperationsState
from flyball.records.captured import Captured, CaptureDamage, LabelBatch, PredictionBatch
from flyball.records.findings import WindowSummary
from flyball.records.release import Drill

MONITOR = {"min_rows": 20, "mature_share": 0.9}
DATA = {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"}
SECOND = timedelta(seconds=1)


def with_ports(project: Project, **ports: Any) -> None:
    """Control is started again with others."""
    project._ports = project._ports._replace(**ports)
    project.door.ports = project._ports
    project.restart()


class Flowing(MemoryCapture):
    """Something comes whenever it is read."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock
        self.flows, self.reads = False, 0

    def read(self, cursor: Mapping[str, int], since_us: int = 0) -> Portion:
        self.reads += self.flows
        assert self.reads < 50, "it does not end"
        if self.flows:
            self._clock.sleep(SECOND)
            at = micros(self._clock.now())
            self.hand_over([LabelBatch(at_us=at, model="shop", ids=[f"x{self.reads}"], values=["yes"], observed_us=[None])])
        return super().read(cursor, since_us)


def test_a_look_ends_under_traffic_that_never_does(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.capture = Flowing(project.clock)
    with_ports(project, capture=project.capture)
    project.version()
    project.live(DAY)
    project.capture.flows = True
    for _ in range(3):
        before = project.clock.now()
        assert project.engine.observation.ingest() == 1
        assert project.engine.observation.seen_until_us == micros(before)
    assert project.capture.reads == 3


class Refusing(MemoryCapture):
    """One of its segments lies on a bad place of the disk."""

    bad: tuple[tuple[str, str], ...] = (("0-1-000001.seg", "Input/output error"),)

    def read(self, cursor: Mapping[str, int], since_us: int = 0) -> Portion:
        return super().read(cursor, since_us)._replace(unread=self.bad)


def test_a_segment_that_cannot_be_read_is_said_once_and_windows_of_the_others_close(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.capture = Refusing()
    with_ports(project, capture=project.capture)
    began = project.clock.now()
    project.version()
    project.live(2 * DAY)
    told = [words for _, words in project.said if "0-1-000001.seg in capture/ cannot be read (Input/output error)" in words]
    assert len(told) == 1
    assert len(project.windows()) == 2
    assert project.engine.observation.unread_since == began, "what is missing says nothing for an hour from then on"
    project.capture.bad = (*project.capture.bad, ("0-1-000002.seg", "Input/output error"))
    project.tick()
    assert project.engine.observation.unread_since == project.clock.now(), "another trouble has an hour of its own"
    project.capture.bad = ()
    project.tick()
    assert project.engine.observation.unread_since is None


@pytest.mark.parametrize(("minutes", "clears", "looks"), [(5, False, 12), (50, False, 2), (50, True, 2), (130, False, 11)])
def test_segments_that_turn_out_bad_one_after_the_other_are_one_trouble_with_one_hour(
    tmp_path: Path, minutes: int, clears: bool, looks: int
) -> None:
    """As of a worker none of whose segments control may read: a busy one begins one an hour. Bad places of a disk turn up seldom."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.capture = Refusing()
    with_ports(project, capture=project.capture)
    seen = project.engine.observation
    blind_looks = 0
    for number in range(DAY // timedelta(minutes=minutes)):
        bad = tuple((f"0-1-{each:06d}.seg", "Permission denied") for each in range(number + 1))
        project.capture.bad = () if clears and number % 2 else bad
        seen.ingest()
        blind_looks += blind(seen.unread_since, project.clock.now())
        project.clock.sleep(timedelta(minutes=minutes))
    assert blind_looks == looks


def test_a_passing_trouble_with_a_segment_takes_nothing_of_the_hour_that_the_next_one_has(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.capture = Refusing()
    with_ports(project, capture=project.capture)
    seen, bad, told = project.engine.observation, project.capture.bad, []
    for minute in range(240):
        project.capture.bad = bad if minute == 0 or minute >= 90 else ()
        seen.ingest()
        if blind(seen.unread_since, project.clock.now()):
            told.append(minute)
        project.clock.sleep(timedelta(minutes=1))
    assert told == [0, *range(90, 149)], "an hour of those in which something was not read"


def half_labelled(root: Path, days: int) -> tuple[Project, list[LabelBatch]]:
    """Windows that wait: of each request half of the rows have a label. The other halves."""
    project = Project(root, spec_of(AT_ONCE, monitor=MONITOR, data={**DATA, "label_delay": "10d"}))
    project.version()
    kept: list[LabelBatch] = []
    for _ in range(days * 4):
        project.send(60)
        (at, batch), *_ = project.late
        parts = [
            msgspec.structs.replace(batch, ids=batch.ids[part], values=batch.values[part], observed_us=batch.observed_us[part])
            for part in (slice(None, None, 2), slice(1, None, 2))
        ]
        project.late = [(at, parts[0])]
        kept.append(parts[1])
        project.clock.sleep(6 * HOUR)
        project.deliver()
        project.tick()
    return project, kept


def test_windows_that_wait_for_labels_are_counted_anew_only_where_something_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, kept = half_labelled(tmp_path, 5)
    join, counted = project.engine.observation.join, []
    assert join is not None
    told_of, table = join.told_of, project.gateways.served["0"]

    def noted(unit: str, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
        counted.append([(start - micros(START)) // micros_of(DAY) for start in starts.tolist()])
        return told_of(unit, starts, ends)

    def scanned(*_: object) -> int:
        raise AssertionError("every row was looked at")

    for name, instead in (("told_of", noted), ("labelled", scanned), ("answered", scanned)):
        monkeypatch.setattr(join, name, instead)
    for _ in range(3):
        project.clock.sleep(HOUR)
        project.engine.tick()
    assert counted == []
    project.capture.hand_over([kept[4]])
    project.engine.tick()
    assert counted == [[1]]
    late = project._batch(table, table.routes[0].champion, "champion", ["late"], np.array([0.5]))
    project.capture.hand_over([msgspec.structs.replace(late, at_us=micros(START + 2 * DAY + HOUR))])
    project.engine.tick()
    assert counted == [[1], [2]]
    monkeypatch.undo()
    assert not any(window.mature for window in project.windows())
    project.clock.sleep(9 * DAY)
    project.tick()
    mature = [window for window in project.windows() if window.mature]
    assert [window.labels for window in mature[:3]] == [120, 150, 120]


def micros_of(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def test_late_labels_of_many_windows_correct_some_at_each_tick_until_all_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, kept = half_labelled(tmp_path, 4)
    project.clock.sleep(14 * DAY)
    project.tick()
    assert [(window.mature, window.labels) for window in project.windows()] == [(True, 120)] * 4
    monkeypatch.setattr(maturing, "MOST_REVISED", 1)
    project.capture.hand_over(kept)
    project.clock.sleep(6 * HOUR)
    for number in range(1, 6):
        assert not tick_once(project.engine)
        assert len(project.ledger.events(kinds=("window.revised",))) == min(number, 4)
    assert [window.labels for window in project.windows()] == [240] * 4
    project.holds()


def test_damaged_places_are_told_once_and_shown_while_their_segment_is_there(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(DAY)
    project.capture.hand_over([], "0-1-000001.seg")
    places = (
        CaptureDamage(segment="0-1-000001.seg", offset=70, bytes=1_200),
        CaptureDamage(segment="0-1-000001.seg", offset=9_000, bytes=34),
    )
    read = project.capture.read
    for _ in range(2):  # another controller comes to them again
        project.capture.read = lambda *asked: read(*asked)._replace(damaged=places)
        project.restart()
        project.tick()
        project.capture.read = read
        project.tick()
    told = project.ledger.events(kinds=("capture.damaged",))
    assert [(event.subject, event.payload) for event in told] == [
        (f"segment:{each.segment}", {"offset": each.offset, "bytes": each.bytes}) for each in places
    ]
    words = "capture/ is damaged in 2 places of 1 segment: 1,234 bytes cannot be read (0-1-000001.seg at 70)"
    assert [said for _, said in project.said if words in said] == [f"{words}. The records in it are in no window."]
    assert queries.status(project.door, controller_alive=True).capture_damage == words
    del project.capture._segments["0-1-000001.seg"]
    assert queries.status(project.door, controller_alive=True).capture_damage == ""
    project.holds()


def test_labels_that_join_nothing_are_told_until_others_join(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(DAY)
    assert queries.status(project.door, controller_alive=True).labels_astray == ""

    def sent(ids: list[str]) -> tuple[str, bool]:
        batch = LabelBatch(
            at_us=micros(project.clock.now()), model="shop", ids=ids, values=["yes"] * len(ids), observed_us=[None] * len(ids)
        )
        project.capture.hand_over([batch])
        project.clock.sleep(HOUR)
        project.tick()
        told = project.engine.world.get("labels_told", "shop", LabelsTold)
        return queries.status(project.door, controller_alive=True).labels_astray, told is not None and told.mostly_unknown

    before = project.engine.observation.join.strays()[0]
    assert sent([f"wrong{number}" for number in range(10)]) == ("", False)
    words, wrong = sent([f"wrong{number}" for number in range(10, 500)])
    assert (words, wrong) == (f"{before + 500:,} received, 500 for ids that nobody predicted", True)
    known = project.engine.observation.join.outcomes(project.champion().unit, 0, micros(project.clock.now())).ids
    assert sent(known[:30])[1] is False
    assert len(project.ledger.events(kinds=("labels.counted",))) == 2
    project.holds()


def test_labels_of_which_most_join_nothing_for_months_are_told_a_few_times(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(DAY)
    observation, world = project.engine.observation, project.engine.world
    join = observation.join
    known = join.outcomes(project.champion().unit, 0, micros(project.clock.now())).ids[:40]
    told = CaptureTold(world, observation)

    def sent(unknown: list[str]) -> bool:
        ids = [*known, *unknown]
        at_us = micros(project.clock.now())
        join.add(LabelBatch(at_us=at_us, model="shop", ids=ids, values=["yes"] * len(ids), observed_us=[None] * len(ids)))
        project.clock.sleep(HOUR)
        told.look()
        return world.get("labels_told", "shop", LabelsTold).mostly_unknown

    assert all([sent([f"wrong{hour}-{number}" for number in range(60)]) for hour in range(1_000)][10:])
    # 60,000 are by a quarter more 36 times at most.
    assert 10 < len(project.ledger.events(kinds=("labels.counted",))) < 40
    assert [sent([]) for _ in range(400)][-1] is False


def test_a_few_of_very_many_labels_that_join_nothing_are_not_told_unless_they_are_the_last() -> None:
    def words(unknown: int, lately: tuple[int, int]) -> str:
        counts = {"received": 1_000_000, "unknown": unknown, "received_lately": lately[0], "unknown_lately": lately[1]}
        return labels_words(LabelsTold(at=START, future=0, invalid=0, **counts))

    assert words(999, (900_000, 400)) == ""
    assert words(1_000, (900_000, 400)) == "1,000,000 received, 1,000 for ids that nobody predicted"
    assert words(40, (30, 25)) == "1,000,000 received, 40 for ids that nobody predicted"


def fewer(record: Captured, kept: int) -> Captured:
    """Its first rows or labels, as if those behind them lay in a frame that is damaged."""
    names = ("ids", "values", "observed_us", "rewards") if isinstance(record, LabelBatch) else ("ids", "keys", "scores")
    cut = {name: getattr(record, name)[:kept] for name in names}
    if isinstance(record, PredictionBatch):
        cut["columns"] = {name: values[:kept] for name, values in record.columns.items()}
    return msgspec.structs.replace(record, **cut)


@pytest.mark.parametrize("what", [LabelBatch, PredictionBatch])
def test_a_restart_on_less_than_a_window_was_judged_by_keeps_its_metrics_and_says_so_once(tmp_path: Path, what: type) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(5 * DAY)
    before = {window.start: window for window in project.windows() if window.mature}
    whole = project.capture
    records = whole.read({}).records
    project.capture = MemoryCapture()
    project.capture.hand_over([fewer(each, len(each.ids) // 2) if isinstance(each, what) else each for each in records])
    for _ in range(3):
        with_ports(project, capture=project.capture)
        project.clock.sleep(6 * HOUR)
        project.tick()
    after = {window.start: window for window in project.windows()}
    assert len(before) >= 3
    for start, window in before.items():
        now = after[start]
        assert "of which" in now.held_in_part
        assert (now.metrics, now.labels, now.loss, now.judged_by) == (
            window.metrics,
            window.labels,
            window.loss,
            window.judged_by,
        )
    assert not project.ledger.events(kinds=("window.revised",))
    assert len(project.ledger.events(kinds=("window.kept",))) == len(before)
    project.capture = whole
    with_ports(project, capture=whole)
    project.clock.sleep(6 * HOUR)
    project.tick()
    assert not [window for window in project.windows() if window.held_in_part and window.start in before]
    project.holds()


def corrected(project: Project, ids: list[str]) -> None:
    """A person says the opposite of each, and control has the time to look at it."""
    told = {
        name: value
        for each in project.capture.read({}).records
        if isinstance(each, LabelBatch)
        for name, value in zip(each.ids, each.values, strict=True)
    }
    values = ["no" if told[name] == "yes" else "yes" for name in ids]
    at_us = micros(project.clock.now())
    project.capture.hand_over([LabelBatch(at_us=at_us, model="shop", ids=ids, values=values, observed_us=[None] * len(ids))])
    looked(project)


def looked(project: Project) -> None:
    for _ in range(2):
        project.clock.sleep(6 * HOUR)
        project.tick()


def within(window: WindowSummary, records: tuple[Captured, ...]) -> list[PredictionBatch]:
    found = [each for each in records if isinstance(each, PredictionBatch)]
    return [each for each in found if micros(window.start) <= each.at_us < micros(window.end)]


def events(project: Project) -> tuple[int, int]:
    return tuple(len(project.ledger.events(kinds=(kind,))) for kind in ("window.kept", "window.revised"))


def lost(tmp_path: Path, rows: int) -> tuple[Project, WindowSummary, list[str]]:
    """Control was started again on so many rows less of a judged window. Its ids that are left."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(4 * DAY)
    window = next(window for window in project.windows() if window.mature)
    records = project.capture.read({}).records
    cut = {}
    for each in within(window, records):
        less = min(rows, len(each.ids))
        cut[id(each)], rows = fewer(each, len(each.ids) - less), rows - less
    records = tuple(cut.get(id(each), each) for each in records)
    project.capture = MemoryCapture()
    project.capture.hand_over([each for each in records if each.ids])
    with_ports(project, capture=project.capture)
    looked(project)
    return project, window, [name for each in within(window, records) for name in each.ids]


def now_of(project: Project, window: WindowSummary) -> WindowSummary:
    return next(each for each in project.windows() if (each.unit, each.start) == (window.unit, window.start))


def test_labels_that_are_corrected_count_in_a_window_that_lost_a_row(tmp_path: Path) -> None:
    project, window, ids = lost(tmp_path, 1)
    assert now_of(project, window).metrics == window.metrics
    assert events(project) == (1, 0)
    with_ports(project, capture=project.capture)
    looked(project)
    assert events(project) == (1, 0)
    corrected(project, ids)
    now = now_of(project, window)
    assert (now.metrics != window.metrics, now.held_in_part, now.judged_rows) == (True, "", len(ids))
    assert events(project) == (1, 1)
    project.holds()


def test_labels_that_are_corrected_in_a_window_that_lost_many_rows_are_said_not_to_count(tmp_path: Path) -> None:
    project, window, ids = lost(tmp_path, 30)
    assert "is not counted" not in now_of(project, window).held_in_part
    corrected(project, ids)
    now = now_of(project, window)
    assert (now.metrics, now.judged_by) == (window.metrics, window.judged_by)
    assert now.held_in_part.endswith(f"of which {len(ids)} of {len(ids)} are held; what came or changed since is not counted")
    with_ports(project, capture=project.capture)
    looked(project)
    assert events(project) == (2, 0)
    project.holds()


def test_labels_that_are_corrected_count_in_a_window_that_an_id_left_for_an_earlier_one(tmp_path: Path) -> None:
    """Nothing is lost: a worker whose segment is read late was asked for it first."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(4 * DAY)
    window = [window for window in project.windows() if window.mature][1]
    mine = within(window, project.capture.read({}).records)
    first = msgspec.structs.replace(fewer(mine[0], 1), at_us=micros(window.start) - 5_000_000)
    project.capture.hand_over([first])
    looked(project)
    assert "of which" in now_of(project, window).held_in_part
    assert now_of(project, window).metrics == window.metrics
    corrected(project, [name for each in mine for name in each.ids])
    now = now_of(project, window)
    assert (now.metrics != window.metrics, now.held_in_part) == (True, "")
    project.holds()


def test_a_service_that_a_wrong_clock_has_judged_until_another_year_is_judged_from_now_on(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(3 * DAY)
    world = project.engine.world
    judged = world.get("operations", "shop", OperationsState)
    assert judged is not None
    ahead = msgspec.structs.replace(judged, last_number=judged.last_number + 30_000)
    world.record(draft(world.now(), "operations.judged", "model:shop", {}, (put("operations", "shop", ahead),)))
    project.clock.sleep(HOUR)
    project.restart()
    project.live(3 * DAY, step=5 * HOUR)
    now = world.get("operations", "shop", OperationsState)
    assert now is not None
    assert now.last_number == micros(project.clock.now()) // micros_of(DAY) - 1 == judged.last_number + 3
    project.restart()
    project.live(DAY)
    moved = world.get("operations", "shop", OperationsState)
    assert moved is not None
    assert moved.last_number == judged.last_number + 4
    project.holds()


def test_windows_that_a_wrong_clock_has_judged_before_their_time_are_judged_when_they_have_come(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(3 * DAY)
    right, world = project.clock.now(), project.door

    def judged() -> OperationsState:
        state = world.get("operations", "shop", OperationsState)
        assert state is not None
        return state

    def set_clock(at: datetime) -> None:
        project.clock = SimulatedClock(at)
        with_ports(project, clock=project.clock)

    set_clock(right + 5 * DAY)
    project.live(3 * DAY)
    ahead = judged().last_number
    assert ahead == micros(right + 8 * DAY) // micros_of(DAY) - 1
    set_clock(right)
    for _ in range(9):
        project.live(DAY)
        assert judged().last_number == micros(project.clock.now()) // micros_of(DAY) - 1
    assert judged().last_number == ahead + 1
    project.holds()


def test_a_champion_that_a_wrong_clock_dated_into_another_year_is_monitored_and_newer_versions_are_released(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "drill": "7d"}, monitor=MONITOR))
    project.version()
    project.live(DAY)
    right = project.clock.now()
    project.clock.sleep(400 * DAY)
    project.restart()
    second = project.version()
    project.live(8 * DAY, rows=20)
    assert (project.champion().unit, len(project.door.all("drill", Drill))) == (second, 1)
    with_ports(project, clock=SimulatedClock(right))
    project.clock = project._ports.clock
    assert (project.champion().unit, project.champion().since) == (second, right)
    project.shift = 2.0
    project.live(2 * DAY)
    found = standing(project.door, project.champion())
    assert {finding.unit for finding in found if finding.pages} == {second}
    (incident,) = incidents.rows(project.door, open_only=True)
    assert set(incident.findings) <= {finding.number for finding in found}
    assert project.version() == project.champion().unit != second
    (before,) = [each for each in incidents.rows(project.door, open_only=False) if each.unit == second]
    assert before.ended == project.champion().since
    project.live(8 * DAY, rows=20)
    assert project.door.all("drill", Drill)[-1].opened_at < project.clock.now()
    project.holds()


class Passing(SimulatedClock):
    """Time that goes by while something is done, as on a machine."""

    simulated = False


def test_a_window_waits_for_requests_that_were_under_way_at_its_end(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.clock = Passing(START)
    with_ports(project, clock=project.clock)
    project.version()
    project.send(60)
    midnight = START + DAY
    project.clock.advance_to(midnight + 30 * SECOND)
    project.tick()
    assert project.windows() == ()
    table = project.gateways.served["0"]
    slow = project._batch(table, table.routes[0].champion, "champion", ["slow"], np.array([0.5]))
    assert isinstance(slow, PredictionBatch)
    project.capture.hand_over([msgspec.structs.replace(slow, at_us=micros(midnight) - 1)])
    project.clock.advance_to(midnight + 61 * SECOND)
    project.tick()
    assert [window.predictions for window in project.windows()] == [61]

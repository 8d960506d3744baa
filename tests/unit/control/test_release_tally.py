"""Champion and canary are compared on equal numbers of the same minutes, one row a key, calls with calls of as many rows."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from flyball.control import release_tally
from flyball.control.release_tally import PERIOD_US, ReleaseTally
from flyball.records.captured import PredictionBatch
from flyball.records.release import Phase, ReleaseState

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
RELEASE = ReleaseState(
    id="r-0002", model="shop", challenger="new", champion="old", phase=Phase.CANARY, opened_at=START, entered_at=START
)  # fmt: skip


def batch(unit: str, minute: int, ids: list[str], keys: list[str] | None = None, latency_us: int = 100) -> PredictionBatch:
    return PredictionBatch(
        at_us=minute * PERIOD_US + 7, model="shop", unit=unit, role="canary" if unit == "new" else "champion", revision=1, ids=ids,
        keys=ids if keys is None else keys, columns={}, scores=[[0.5]] * len(ids), latency_us=latency_us,
    )  # fmt: skip


def tally(*batches: PredictionBatch, minutes: int = 9) -> ReleaseTally:
    made = ReleaseTally()
    made.follow(RELEASE, 0, DAY)
    for each in batches:
        made.add(each)
    made.settle(minutes * PERIOD_US)
    return made


def test_as_many_of_either_are_taken_in_each_minute_and_none_where_only_one_answered() -> None:
    many = [batch("old", 0, [f"a{i}" for i in range(9)]), batch("new", 0, ["b1", "b2"]), batch("old", 1, ["c1", "c2"])]
    seen = tally(*many).matched()
    assert (seen.challengers.tolist(), set(seen.periods.tolist())) == ([False, False, True, True], {0})


def test_a_busy_key_counts_once_and_not_because_the_champion_knew_it_before() -> None:
    early = batch("old", 0, ["a1", "a2"], ["ada", "bob"])
    both = [
        batch("old", 1, ["a3", "a4", "a5"], ["ada", "ada", "bob"]),
        batch("new", 1, ["b1", "b2", "b3"], ["eve", "eve", "eve"]),
    ]
    later = [batch("old", 2, ["a6"], ["cyd"]), batch("new", 2, ["b4", "b5"], ["eve", "fay"])]
    seen = tally(early, *both, *later).matched()
    assert len(seen.ids) == 4
    assert {each for each in seen.ids if each.startswith("b")} & {"b1", "b2", "b3"}
    assert {"b5", "a6"} <= set(seen.ids)


def test_without_keys_every_row_counts() -> None:
    seen = tally(batch("old", 0, ["a1", "a2"], ["", ""]), batch("new", 0, ["b1", "b2"], ["", ""])).matched()
    assert len(seen.ids) == 4


def test_calls_are_compared_with_calls_of_about_as_many_rows() -> None:
    large, small = batch("old", 0, [f"a{i}" for i in range(9)], latency_us=9000), batch("old", 0, ["c1"], latency_us=1000)
    calls = (
        tally(large, small, batch("new", 0, ["b1"], latency_us=1200), batch("new", 0, ["b2", "b3"], latency_us=2400))
        .matched()
        .calls
    )
    assert (calls.latencies_ms.tolist(), calls.challengers.tolist()) == ([1.0, 1.2], [False, True])


def test_later_looks_only_append() -> None:
    made = tally(batch("old", 0, ["a1"]), batch("new", 0, ["b1"]))
    first = made.matched()
    made.add(batch("old", 20, ["a2"]))
    made.add(batch("new", 20, ["b2"]))
    made.settle(40 * PERIOD_US)
    assert made.matched().ids == (*first.ids, "a2", "b2")


def minute(made: ReleaseTally, number: int, rows: int) -> None:
    for unit in ("old", "new"):
        made.add(batch(unit, number, [f"{unit}{number}.{row}" for row in range(rows)]))


def test_a_release_that_grows_slow_late_is_seen_however_much_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day has 1,440 minutes: ten rows of each are kept at first, then one a minute."""
    monkeypatch.setattr(release_tally, "AT_FIRST", 10)
    monkeypatch.setattr(release_tally, "SPREAD", 1440)
    made = tally()
    for number in range(300):
        minute(made, number, 4)
    made.settle(400 * PERIOD_US)
    seen = made.matched()
    counts = [int((seen.periods == number * PERIOD_US).sum()) // 2 for number in range(300)]
    assert counts == [4, 4, 2, *[1] * 297]
    assert int((seen.calls.periods == 299 * PERIOD_US).sum()) == 2
    assert len(seen.ids) == len(seen.periods) == 2 * sum(counts)


def test_calls_of_all_sizes_share_the_room_that_a_minute_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_tally, "AT_FIRST", 0)
    monkeypatch.setattr(release_tally, "SPREAD", 4 * 1440)
    made = tally()
    for unit in ("old", "new"):
        for number in range(12):
            made.add(batch(unit, 0, [f"{unit}{number}"]))
        for number in range(4):
            made.add(batch(unit, 0, [f"{unit}-{number}.{row}" for row in range(5)]))
    made.settle(9 * PERIOD_US)
    calls = made.matched().calls
    assert (int((~calls.challengers).sum()), int(calls.challengers.sum())) == (4, 4)


def test_when_the_release_has_ended_nothing_is_held_and_nothing_more_is_taken() -> None:
    made = tally(batch("old", 0, ["a1"]), batch("new", 0, ["b1"]), batch("old", 20, ["a2"]))
    made.follow(None, 0, DAY)
    made.add(batch("old", 21, ["a3"]))
    assert (made.matched().ids, made._open, made._calls, made._keys) == ((), {}, {}, set())


def test_what_was_made_before_the_horizon_is_let_go() -> None:
    made = tally(batch("old", 20, ["a1"]), batch("old", 30, ["a2"]))
    made.forget_until(25 * PERIOD_US)
    made.add(batch("old", 22, ["a3"]))
    assert [start // PERIOD_US for start in made._open] == [30]


def test_a_release_that_is_dated_back_from_the_future_is_counted_from_then_on() -> None:
    made = ReleaseTally()
    made.follow(RELEASE, 99 * PERIOD_US, DAY)
    made.follow(RELEASE, PERIOD_US, DAY)
    for each in (batch("old", 1, ["a1"]), batch("new", 1, ["b1"])):
        made.add(each)
    made.settle(9 * PERIOD_US)
    assert set(made.matched_of(RELEASE.id).ids) == {"a1", "b1"}
    assert made.matched_of("r-0003").ids == ()


def test_calls_that_shared_a_batch_are_compared_with_such_as_did() -> None:
    """A canary of a tenth is seldom asked alone. Who is first of a batch is drawn: either unit is as often."""

    def call(unit: str, name: str, turn: int) -> PredictionBatch:
        return msgspec.structs.replace(batch(unit, 0, [name], latency_us=[100, 300, 50][turn]), turn=turn)

    asked = [call("old", f"a{at}", 0) for at in range(9)] + [call("old", f"b{at}", 2) for at in range(4)]
    asked += [call("new", "c", 0)] + [call("new", f"d{at}", 1) for at in range(3)] + [call("new", f"e{at}", 2) for at in range(2)]
    calls = tally(*asked).matched().calls
    canary, champion = calls.latencies_ms[calls.challengers], calls.latencies_ms[~calls.challengers]
    assert canary.tolist().count(0.1) == champion.tolist().count(0.1) == 1, "alone with alone"
    assert canary.size == champion.size == 1 + 4, "of five and four that shared theirs, four"

"""Champion and canary are compared on equal numbers of the same minutes, one row a key, calls with calls of as many rows."""

from datetime import UTC, datetime

from flyball.control.release_tally import PERIOD_US, ReleaseTally
from flyball.records.captured import PredictionBatch
from flyball.records.release import Phase, ReleaseState

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
    made.follow(RELEASE, 0)
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

"""What is forgotten is as if it had never been captured, whenever and however often that is done."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.capture.ages import COHORT_US
from flyball.capture.columns import LEAST
from flyball.capture.join import LabelJoin, failed_rows
from flyball.capture.joined import Pairs, Span
from flyball.capture.taken import Taken
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch, RefusalBatch, Refused

HOUR = COHORT_US
EVER = Span(0, 1 << 62, 1 << 61)


def predictions(ids: list[str], at_us: int, unit: str = "u1", role: str = "champion", score: float = 0.25) -> PredictionBatch:
    return PredictionBatch(
        at_us=at_us, model="m", unit=unit, role=role, revision=1, ids=ids, keys=ids, columns={}, scores=[[score] for _ in ids], latency_us=1
    )  # fmt: skip


def labels(ids: list[str], at_us: int, value: str = "1", observed_us: int | None = None) -> LabelBatch:
    return LabelBatch(
        at_us=at_us, model="m", ids=ids, values=[value] * len(ids), observed_us=[observed_us] * len(ids), rewards=[0.5] * len(ids)
    )


def lived(records: list[Captured], forget: dict[int, int] | None = None) -> LabelJoin:
    """`forget`: number of a record → until when everything is forgotten before it."""
    joined = LabelJoin("binary", ("0", "1"), 1)
    for number, record in enumerate(records):
        if forget and number in forget:
            joined.forget(forget[number])
        joined.add(record)
    return joined


def answers(joined: LabelJoin, since_us: int) -> list[object]:
    """All that may be asked, in forms that the order of the rows does not decide."""
    ids, at, shown, given_labels, units = joined.answers(0, 1 << 62)
    of_pairs = joined.pairs("u1", "u2", EVER)
    rows = sorted(zip(ids, at.tolist(), shown[:, 0].tolist(), np.nan_to_num(given_labels, nan=-1.0).tolist(), units, strict=True))
    outcomes = [joined.outcomes(unit, 0, 1 << 62) for unit in ("u1", "u2")]
    return [
        rows,
        [part.tobytes() for part in of_pairs[1:]],
        [(each.ids, each.received_us.tobytes()) for each in outcomes],
        [part.tobytes() for unit in (None, "u1", "u2") for part in joined.label_ages(since_us, unit)],
        sorted(joined.label_delays(0, 1 << 62).tolist()),
        [failed_rows(joined, unit, 0, 1 << 62) for unit in ("u1", "u2")],
        {name: joined.rewards[name] for name in ids if name in joined.rewards},
        (joined.counts().predictions, joined.counts().labels_joined),
    ]


@st.composite
def stories(draw: st.DrawFn) -> list[Captured]:
    """Predictions of two units and what became of them, in any order."""
    records: list[Captured] = []
    for number in range(draw(st.integers(1, 14))):
        at, name = draw(st.integers(0, 12 * HOUR)), f"p{number}"
        unit, other = draw(st.sampled_from([("u1", "u2"), ("u2", "u1")]))
        records.append(predictions([name], at, unit, score=number / 16))
        if draw(st.booleans()):
            records.append(predictions([name], at, other, "shadow", score=number / 32))
        for _ in range(draw(st.integers(0, 2))):
            received = at + draw(st.integers(0, 9 * HOUR))
            records.append(labels([name], received, draw(st.sampled_from("01")), draw(st.none() | st.integers(at, received))))
    records.append(
        FailureBatch(
            at_us=draw(st.integers(0, 12 * HOUR)), model="m", unit="u1", role="champion", n=3, reason="x", answered_by=None
        )
    )
    refused = [Refused("RequestError", 422, 2, 9, "x", "type", "text", "a number")]
    records.append(RefusalBatch(at_us=draw(st.integers(0, 12 * HOUR)), model="m", revision=1, refused=refused))
    records.append(labels(["nobody's"], draw(st.integers(0, 20 * HOUR))))
    return draw(st.permutations(records))


@settings(max_examples=100, deadline=None)
@given(stories(), st.data())
def test_a_join_that_forgets_at_any_moments_is_the_join_of_the_younger_records(
    records: list[Captured], data: st.DataObject
) -> None:
    hours = sorted(data.draw(st.lists(st.integers(0, 14), min_size=1, max_size=3)))
    # Only once everything was read is a label that waits for its prediction known to wait in vain: until then the horizon stands.
    first = hours[0] * HOUR + data.draw(st.integers(0, 1)) * HOUR // 2
    joined = lived(records, {0: first})
    for hour in hours:
        joined.forget(hour * HOUR)
    until = max(first, hours[-1] * HOUR)
    assert answers(joined, until) == answers(lived([each for each in records if each.at_us >= until]), until)


def test_what_is_forgotten_comes_back_by_no_record_however_late() -> None:
    old, young = predictions(["a"], HOUR), predictions(["b"], 5 * HOUR)
    joined = lived([old, young, labels(["a", "b"], 6 * HOUR)])
    joined.forget(4 * HOUR)
    for late in (old, labels(["a"], 7 * HOUR, "0"), predictions(["a"], HOUR, "u2", "shadow"), labels(["a"], 2 * HOUR)):
        joined.add(late)
    counts = joined.counts()
    assert (counts.predictions, counts.labels_joined, counts.labels_unknown, counts.records_too_old) == (1, 1, 1, 3)
    joined.forget(8 * HOUR)
    counts = joined.counts()
    assert (counts.predictions, counts.labels_joined, counts.labels_unknown, counts.labels_given_up) == (0, 0, 0, 1)


def test_the_horizon_never_goes_back() -> None:
    joined = lived([predictions(["a"], 5 * HOUR)])
    joined.forget(4 * HOUR)
    joined.forget(HOUR)
    joined.add(predictions(["b"], 3 * HOUR))
    assert joined.answered(0, 9 * HOUR) == 1


def test_a_row_keeps_its_number_so_that_what_was_taken_is_not_handed_out_again() -> None:
    """Also where rows between others go, as after segments of two workers were read one after the other."""
    both = [
        record
        for worker in range(2)
        for hour in range(8)
        for record in (
            predictions([f"{worker}-{hour}"], hour * HOUR),
            predictions([f"{worker}-{hour}"], hour * HOUR, "u2", "shadow"),
            labels([f"{worker}-{hour}"], hour * HOUR + 1),
        )
    ]
    joined, taken = lived(both), Taken()
    seen = joined.pairs("u1", "u2", Span(5 * HOUR, 9 * HOUR, 9 * HOUR))
    taken.add(seen.rows)
    joined.forget(3 * HOUR)
    again = joined.pairs("u1", "u2", Span(5 * HOUR, 9 * HOUR, 9 * HOUR))
    assert again.rows.tolist() == seen.rows.tolist()
    joined.add(labels(["0-6", "1-3"], 20 * HOUR, "0"))
    assert joined.outcomes("u1", 6 * HOUR, 7 * HOUR).labels.tolist().count(0.0) == 1
    joined.add(predictions(["new"], 8 * HOUR))
    joined.add(predictions(["new"], 8 * HOUR, "u2", "shadow"))
    joined.add(labels(["new"], 8 * HOUR + 1))
    fresh: Pairs = joined.pairs("u1", "u2", Span(5 * HOUR, 9 * HOUR, 9 * HOUR), taken=taken)
    assert fresh.at_us.tolist() == [8 * HOUR]
    assert fresh.rows[0] > seen.rows.max()


def test_room_is_given_back_and_made_again() -> None:
    joined = LabelJoin("binary", ("0", "1"), 1)
    for hour in range(40):
        names = [f"{hour}-{number}" for number in range(LEAST)]
        joined.add(predictions(names, hour * HOUR))
        joined.add(labels(names[::2], hour * HOUR + 1))
        joined.forget((hour - 3) * HOUR)
    assert len(joined._index) == len(joined._ids) == joined.answered(0, 99 * HOUR) == 4 * LEAST
    assert len(joined._rows.at) <= 8 * LEAST
    assert len(joined._scores[0]._values) <= 8 * LEAST
    assert joined.labelled(0, 99 * HOUR) == 2 * LEAST
    assert joined.label_ages(0).rows.sum() == 4 * LEAST
    joined.forget(99 * HOUR)
    assert (len(joined._index), joined.answered(0, 99 * HOUR)) == (0, 0)
    joined.add(predictions(["one"], 99 * HOUR))
    assert joined.answers(0, 1 << 62)[0] == ["one"]

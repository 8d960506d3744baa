"""Late, twice, revised, out of order: the join converges to the same bits."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.capture.join import LabelJoin, failed_rows, join
from flyball.capture.joined import JoinCounts, Span
from flyball.records.captured import FailureBatch, LabelBatch, PredictionBatch

EVER = 1 << 62


def predictions(
    ids: list[str], at_us: int = 10, unit: str = "u1", role: str = "champion", score: float = 0.25
) -> PredictionBatch:
    return PredictionBatch(
        at_us=at_us, model="m", unit=unit, role=role, revision=1, ids=ids, keys=ids, columns={},
        scores=[[score] for _ in ids], latency_us=1,
    )  # fmt: skip


def labels(pairs: dict[str, object], at_us: int = 20, observed_us: int | None = None) -> LabelBatch:
    return LabelBatch(
        at_us=at_us, model="m", ids=list(pairs), values=list(pairs.values()), observed_us=[observed_us] * len(pairs)
    )


def binary(*records: object) -> LabelJoin:
    return join(records, "binary", ("0", "1"), 1)  # type: ignore[arg-type]


def test_a_label_that_comes_before_its_prediction_waits_for_it() -> None:
    joined = binary(labels({"a": "1"}), predictions(["a"]))
    assert joined.counts().labels_joined == 1
    assert joined.counts().labels_unknown == 0
    assert joined.rows_of("u1", Span(0, EVER, EVER >> 1)).labels.tolist() == [1.0]


def test_a_repeated_label_joins_once_and_is_counted() -> None:
    joined = binary(predictions(["a"]), labels({"a": "1"}), labels({"a": "1"}, at_us=30))
    assert joined.counts() == JoinCounts(1, 0, 2, 1, 1, 0, 0, 0)


def test_a_revision_wins_by_when_it_was_observed_not_by_when_it_came() -> None:
    newer, older = labels({"a": "0"}, at_us=21, observed_us=9), labels({"a": "1"}, at_us=30, observed_us=5)
    for order in ((newer, older), (older, newer)):
        joined = binary(predictions(["a"]), *order)
        assert joined.rows_of("u1", Span(0, EVER, EVER >> 1)).labels.tolist() == [0.0]
        assert joined.counts().labels_revised == 1


@pytest.mark.parametrize(("first", "second"), [("0", "1"), ("1", "0")])
def test_of_labels_observed_at_the_same_time_the_one_received_last_counts(first: str, second: str) -> None:
    """A correction, whichever class is the larger number, and in whatever order it is read."""
    wrong, right = labels({"a": first}, at_us=21, observed_us=9), labels({"a": second}, at_us=30, observed_us=9)
    asked, span = predictions(["a"]), Span(0, EVER, EVER >> 1)
    for order in permutations((asked, wrong, right)):
        joined = binary(*order)
        assert joined.rows_of("u1", span).labels.tolist() == [float(second)]
        joined.add(predictions(["a"], unit="u2", role="shadow"))
        assert joined.pairs("u1", "u2", span).labels.tolist() == [float(first)]


@pytest.mark.parametrize("value", ["2", 1, 1.0, True, None, ["1"]])
def test_a_value_that_is_no_class_is_counted_and_never_joined(value: object) -> None:
    joined = binary(predictions(["a"]), labels({"a": value}))
    assert joined.counts().labels_invalid == 1
    assert joined.counts().labels_joined == 0


@pytest.mark.parametrize("value", ["1.5", True, float("nan"), float("inf"), None])
def test_a_regression_label_is_a_finite_number_or_nothing(value: object) -> None:
    joined = join([predictions(["a"]), labels({"a": value})], "regression", (), 1)
    assert joined.counts().labels_invalid == 1


def test_immature_rows_are_left_out_although_their_label_is_there() -> None:
    joined = binary(
        predictions(["old"], at_us=10), predictions(["young"], at_us=90), labels({"old": "1", "young": "0"}, at_us=95)
    )
    assert len(joined.rows_of("u1", Span(0, EVER, now_us=100, delay_us=50)).labels) == 1
    assert len(joined.rows_of("u1", Span(0, EVER, now_us=140, delay_us=50)).labels) == 2


def test_a_later_look_only_appends_to_the_sequence() -> None:
    """A confidence sequence needs this: what was looked at stays where it was."""
    rng = np.random.default_rng(7)
    at = np.sort(rng.integers(0, 1000, 200))
    arrival = at + rng.integers(1, 300, 200)
    records: list[object] = [predictions([f"r{i}"], at_us=int(t), score=i / 200) for i, t in enumerate(at)]
    events = sorted(range(200), key=lambda i: arrival[i])
    seen: list[float] = []
    joined = binary(*records)
    position = 0
    for now in range(0, 1400, 25):
        while position < 200 and arrival[events[position]] <= now:
            joined.add(labels({f"r{events[position]}": "1"}, at_us=int(arrival[events[position]])))
            position += 1
        look = joined.rows_of("u1", Span(0, EVER, now_us=now, delay_us=100)).scores[:, 0].tolist()
        assert look[: len(seen)] == seen
        seen = look
    assert len(seen) == 200


def test_pairs_hold_rows_that_both_units_scored_whoever_answered() -> None:
    joined = binary(
        predictions(["a", "b"], unit="u1"), predictions(["a"], unit="u2", role="shadow", score=0.75),
        predictions(["c"], unit="u2", role="canary", score=0.5), predictions(["c"], unit="u1", role="shadow"),
        labels({"a": "1", "b": "0", "c": "0"}),
    )  # fmt: skip
    pairs = joined.pairs("u1", "u2", Span(0, EVER, EVER >> 1))
    assert pairs.first[:, 0].tolist() == [0.25, 0.25]
    assert sorted(pairs.second[:, 0].tolist()) == [0.5, 0.75]
    assert joined.answered(0, EVER, "u2") == 1
    assert joined.scored("u2", 0, EVER) == 2


def test_a_repeated_prediction_keeps_its_first_answer() -> None:
    joined = binary(predictions(["a"], score=0.2), predictions(["a"], score=0.9))
    assert joined.counts().duplicate_predictions == 1
    assert joined.answers(0, EVER)[2].tolist() == [[0.2]]


def test_of_an_id_that_is_asked_for_again_the_first_answers_of_both_units_are_compared() -> None:
    """The champion's first beside the challenger's last would compare two requests."""
    again = 90_000_000
    asked = [predictions(["a"], score=0.2), predictions(["a"], unit="u2", role="shadow", score=0.3)]
    asked_again = [
        predictions(["a"], at_us=again, score=0.8),
        predictions(["a"], at_us=again, unit="u2", role="shadow", score=0.9),
        predictions(["a"], at_us=again, unit="u3", role="shadow", score=0.9),
    ]
    joined = binary(*asked, *asked_again, labels({"a": "1"}))
    pairs = joined.pairs("u1", "u2", Span(0, EVER, EVER >> 1))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([[0.2]], [[0.3]])
    assert joined.scored("u3", 0, EVER) == 0
    slow = binary(asked[0], *asked_again, labels({"a": "1"}))
    assert slow.pairs("u1", "u2", Span(0, EVER, EVER >> 1)).rows.size == 0


def test_many_spans_are_counted_at_once_as_they_are_one_by_one() -> None:
    draw = np.random.default_rng(3)
    joined = binary()
    for number in range(400):
        unit, at = ("u1", "u2")[number % 2], int(draw.integers(0, 1_000))
        joined.add(predictions([f"r{number}"], at_us=at, unit=unit))
        if draw.random() < 0.4:
            joined.add(labels({f"r{number}": "1"}, at_us=at + 5))
    spans = [(0, 100), (50, 700), (100, 101), (999, 1_000), (2_000, 3_000)]
    starts, ends = (np.array(each) for each in zip(*spans, strict=True))
    for unit in ("u1", "u2", "nobody"):
        labelled, answered = joined.told_of(unit, starts, ends)
        assert labelled.tolist() == [joined.labelled(*span, unit) for span in spans]
        assert answered.tolist() == [joined.answered(*span, unit) for span in spans]


def test_failures_are_counted_by_unit_and_time() -> None:
    joined = binary(FailureBatch(at_us=5, model="m", unit="u2", role="canary", n=3, reason="crash", answered_by="u1"))
    assert failed_rows(joined, "u2", 0, 10) == 3
    assert failed_rows(joined, "u2", 6, 10) == 0


def test_what_a_unit_scored_and_could_not_answer_adds_up_over_stretches_of_time() -> None:
    joined = binary(
        predictions(["a", "b"], at_us=3), predictions(["c"], at_us=12), predictions(["d"], at_us=25, unit="u2"), predictions(["e"], at_us=31),
        FailureBatch(at_us=13, model="m", unit="u1", role="champion", n=4, reason="crash", answered_by=None),
    )  # fmt: skip
    assert joined.scored_in_stretches("u1", 2, 32, 10).tolist() == [2, 1, 1]
    assert joined.scored_in_stretches("u1", 2, 3, 10).tolist() == [0]
    assert joined.failures.in_stretches("u1", 2, 32, 10).tolist() == [0, 4, 0]
    assert [
        each.sum() for each in (joined.failures.in_stretches("u3", 2, 32, 10), joined.scored_in_stretches("u1", 32, 2, 10))
    ] == [0, 0]


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(12)))
def test_any_order_of_arrival_gives_the_same_bits(order: list[int]) -> None:
    records = [
        predictions(["a", "b"], at_us=1), predictions(["c"], at_us=2), predictions(["d"], at_us=2, score=0.5),
        predictions(["a", "b"], at_us=1, unit="u2", role="shadow", score=0.5),
        labels({"a": "1"}, at_us=5), labels({"a": "0"}, at_us=6, observed_us=5), labels({"b": "0", "c": "1"}, at_us=7),
        labels({"c": "0"}, at_us=8), labels({"c": "1"}, at_us=8), labels({"x": "1"}, at_us=9),
        labels({"d": "1"}, at_us=9, observed_us=9), labels({"d": "1"}, at_us=4, observed_us=3),
    ]  # fmt: skip
    span = Span(0, EVER, EVER >> 1)

    def bits(joined: LabelJoin) -> tuple[object, ...]:
        rows = joined.rows_of("u1", span)
        keep = np.lexsort((rows.scores[:, 0], rows.labels, rows.at_us))
        return (
            rows.labels[keep].tobytes(),
            rows.at_us[keep].tobytes(),
            joined.counts()._replace(labels_repeated=0, labels_revised=0),
        )

    assert bits(binary(*(records[i] for i in order))) == bits(binary(*records))


def test_a_revised_label_counts_in_metrics_and_leaves_the_sequence_as_it_was() -> None:
    joined = binary(
        predictions(["a"]), predictions(["a"], unit="u2", role="shadow"), labels({"a": "1"}, at_us=20, observed_us=15)
    )
    joined.add(labels({"a": "0"}, at_us=90, observed_us=80))
    span = Span(0, EVER, EVER >> 1)
    assert joined.rows_of("u1", span).labels.tolist() == [0.0]
    assert joined.pairs("u1", "u2", span).labels.tolist() == [1.0]


def test_which_rows_changed_is_told_once() -> None:
    joined = binary(labels({"b": "1"}), predictions(["a"], at_us=7), predictions(["b"], at_us=9), labels({"a": "1"}))
    assert sorted(joined.changed().tolist()) == [7, 9]
    joined.add(labels({"a": "1"}, at_us=33))
    assert joined.changed().tolist() == []
    joined.add(labels({"a": "0"}, at_us=34, observed_us=99))
    assert joined.changed().tolist() == [7]

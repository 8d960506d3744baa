"""100,000 labels as untidy as they come: whatever the order, the same labels, and metrics equal to the bit."""

from typing import NamedTuple

import numpy as np
import pytest

from flyball.capture.join import JoinCounts, LabelJoin, Span
from flyball.records.captured import Captured, LabelBatch, PredictionBatch
from flyball.stats import metrics

DAY = 86_400_000_000
EVER = 1 << 62
SHARES = {"repeated": 0.30, "conflicting": 0.10, "unknown": 0.05, "future": 0.05}
LABELS = 100_000
N = int(LABELS / (1 + sum(SHARES.values())))
"""Predictions: each has a label, and those shares of them have more."""


class Story(NamedTuple):
    predictions: list[PredictionBatch]
    labels: list[tuple[int, str, str, int | None]]
    """(received, id, class, observed)"""
    truth: dict[str, str]
    """By a single pass over what came, sorted by when it was observed."""


def story(seed: int) -> Story:
    draw = np.random.default_rng(seed)
    at = np.sort(draw.integers(0, 30 * DAY, N))
    scores = draw.uniform(0.01, 0.99, N)
    outcome = np.where(draw.uniform(size=N) < scores, "1", "0")
    ids = [f"p{number}" for number in range(N)]
    predictions = [
        PredictionBatch(
            at_us=int(at[begin]), model="m", unit="u1", role="champion", revision=1, ids=ids[begin : begin + 100], keys=ids[begin : begin + 100],
            columns={}, scores=scores[begin : begin + 100, None].tolist(), latency_us=1,
        ) for begin in range(0, N, 100)
    ]  # fmt: skip
    received = at + draw.integers(1 * DAY, 90 * DAY, N)
    labels = [(int(when), each, str(value), None) for when, each, value in zip(received, ids, outcome, strict=True)]
    repeated = [labels[row] for row in draw.choice(N, int(N * SHARES["repeated"]), replace=False)]
    labels += [(when + int(draw.integers(0, 9 * DAY)), each, value, when) for when, each, value, _ in repeated]
    for row in draw.choice(N, int(N * SHARES["conflicting"]), replace=False):
        when, each, value, _ = labels[row]
        moved = int(draw.integers(-3 * DAY, 9 * DAY))
        labels.append((when + abs(moved), each, "1" if value == "0" else "0", when + moved))
    labels += [(int(when), f"x{n}", "1", None) for n, when in enumerate(draw.integers(0, 90 * DAY, int(N * SHARES["unknown"])))]
    for row in draw.choice(N, int(N * SHARES["future"]), replace=False):
        when, each, value, _ = labels[row]
        labels.append((when, each, value, when + 3_650 * DAY))  # observed in ten years, says its sender
    by_observation = sorted(labels, key=lambda label: (label[0] if label[3] is None else label[3], label[2]))
    truth = {each: value for _, each, value, _ in by_observation}  # of several the last one stays
    return Story(predictions, labels, truth)


def lived(records: list[Captured]) -> LabelJoin:
    joined = LabelJoin("binary", ("0", "1"), 1)
    for record in records:
        joined.add(record)
    return joined


def batches(labels: list[tuple[int, str, str, int | None]]) -> list[LabelBatch]:
    """Each with the time at which it was received."""
    return [
        LabelBatch(at_us=when, model="m", ids=[each], values=[value], observed_us=[observed])
        for when, each, value, observed in labels
    ]


class Outcome(NamedTuple):
    measured: tuple[bytes, ...]
    labels: bytes
    first_labels: bytes
    counts: JoinCounts


def outcome(joined: LabelJoin) -> Outcome:
    span = Span(0, EVER, EVER >> 1)
    rows, pairs = joined.rows_of("u1", span), joined.pairs("u1", "u1", span)
    labels = rows.labels.astype(np.int64)
    measured = [metrics.measure(name, "binary", rows.scores, labels) for name in ("log_loss", "brier", "accuracy", "roc_auc")]
    return Outcome(
        tuple(np.float64(value).tobytes() for value in measured), rows.labels.tobytes(), pairs.labels.tobytes(),
        joined.counts()._replace(labels_repeated=0, labels_revised=0),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute on a machine of its own
def test_fifty_orders_of_100_000_untidy_labels_give_the_same_bits(told: Story) -> None:
    """Whatever is repeated, contradicted, unknown or from the future; and each prediction has the label that a single sorted pass gives it."""
    labels = batches(told.labels)
    whole = lived([*told.predictions, *labels])
    assert whole.counts().predictions == whole.counts().labels_joined == N
    assert whole.counts().labels_unknown == int(N * SHARES["unknown"])
    assert whole.counts().labels_received == len(told.labels)
    assert abs(len(told.labels) - LABELS) < 5
    assert whole.counts().labels_revised > 0
    assert whole.counts().labels_repeated >= int(N * SHARES["repeated"])
    ids, _, _, joined, _ = whole.answers(0, EVER)
    assert {each: str(int(value)) for each, value in zip(ids, joined.tolist(), strict=True)} == {
        each: told.truth[each] for each in ids
    }
    wanted = outcome(whole)
    for seed in range(50):
        draw = np.random.default_rng(seed)
        records: list[Captured] = [*told.predictions, *labels]
        shuffled = [records[at] for at in draw.permutation(len(records))]
        assert outcome(lived(shuffled)) == wanted, f"order {seed}"


def test_the_later_observation_wins_whatever_the_order_and_a_repeat_changes_nothing(told: Story) -> None:
    """The same on a fiftieth of it, for every run."""
    few = told.predictions[:20]
    ids = {each for batch in few for each in batch.ids}
    labels = batches([label for label in told.labels if label[1] in ids or label[1].startswith("x")])
    wanted = outcome(lived([*few, *labels]))
    for seed in range(5):
        records: list[Captured] = [*few, *labels, *labels[:500]]
        shuffled = [records[at] for at in np.random.default_rng(seed).permutation(len(records))]
        found = outcome(lived(shuffled))
        assert found._replace(counts=wanted.counts) == wanted
        assert found.counts._replace(labels_received=wanted.counts.labels_received) == wanted.counts


@pytest.fixture(scope="module")
def told() -> Story:
    return story(19)

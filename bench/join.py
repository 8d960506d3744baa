"""Labels joined to predictions by id, at three sizes: the cost of a row is to stay the same. Beside two dictionaries."""

import time
from collections.abc import Iterator

from bench.measure import Row, interleaved
from flyball.capture.join import LabelJoin
from flyball.records.captured import LabelBatch, PredictionBatch

SIZES = (10_000, 100_000, 300_000)
BATCH = 20


def batches(n: int) -> Iterator[tuple[PredictionBatch, LabelBatch]]:
    for begin in range(0, n, BATCH):
        ids = [f"{number:024x}" for number in range(begin, min(begin + BATCH, n))]
        scores, nothing = [[0.5] for _ in ids], [None] * len(ids)
        yield (
            PredictionBatch(
                at_us=begin, model="m", unit="u", role="champion", revision=1, ids=ids, keys=ids, columns={}, scores=scores, latency_us=1
            ),
            LabelBatch(at_us=begin + n, model="m", ids=ids, values=["1"] * len(ids), observed_us=nothing),
        )  # fmt: skip


def rows() -> list[Row]:
    return [*(_at(n, rounds=5 if n <= 100_000 else 3) for n in SIZES), _forgotten(SIZES[-1])]


def _forgotten(n: int) -> Row:
    """One step of the horizon: the oldest eighth goes, the others are copied."""
    made = list(batches(n))

    def ours() -> float:
        joined = LabelJoin("binary", ("0", "1"), 1)
        for pair in made:
            for record in pair:
                joined.add(record)
        joined.label_ages(0)
        begun = time.perf_counter()
        joined.forget(n // 8)
        return (time.perf_counter() - begun) / (n // 8) * 1e6

    def floor() -> float:
        held = {each: predictions.scores for predictions, _ in made for each in predictions.ids}
        old = [each for predictions, _ in made[: n // 8 // BATCH] for each in predictions.ids]
        begun = time.perf_counter()
        for each in old:
            del held[each]
        return (time.perf_counter() - begun) / (n // 8) * 1e6

    return interleaved(f"join: forgetting a row, the oldest eighth of {n:,}", "µs", ours, ("one dictionary's keys", floor), 3)


def _at(n: int, rounds: int) -> Row:
    made = list(batches(n))

    def ours() -> float:
        joined = LabelJoin("binary", ("0", "1"), 1)
        begun = time.perf_counter()
        for predictions, _ in made:
            joined.add(predictions)
        for _, labels in made:
            joined.add(labels)
        return (time.perf_counter() - begun) / n * 1e6

    def floor() -> float:
        scores: dict[str, list[float]] = {}
        labels: dict[str, str] = {}
        begun = time.perf_counter()
        for predictions, _ in made:
            scores.update(zip(predictions.ids, predictions.scores, strict=True))
        for _, batch in made:
            labels.update((each, value) for each, value in zip(batch.ids, batch.values, strict=True) if each in scores)
        return (time.perf_counter() - begun) / n * 1e6

    return interleaved(f"join: a prediction and its label, {n:,} rows", "µs", ours, ("two dictionaries", floor), rounds)

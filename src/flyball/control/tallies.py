"""What went on in each window of time, whoever answered: requests, failures, latencies, missing values, labels. Zero is a number, too."""

import math
from collections import Counter

from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch

STEPS_PER_E = 20
"""Latencies are counted in steps of a twentieth of a natural logarithm, 5 %: finer than anybody watches, and a window of a million batches fits
into some two hundred numbers, the same in whatever order they come."""
MOST_LATENCIES = 2_000
"""Told of one window, evenly over what was counted: a 99th percentile then rests on twenty."""


class Tally:
    """Of one window."""

    def __init__(self) -> None:
        self.answered = 0
        """Rows."""
        self.failed = 0
        """Rows that nobody could answer."""
        self.missing = 0
        self.values = 0
        """Captured feature values, missing ones included."""
        self.labels = 0
        """Received in this window."""
        self._latencies: Counter[int] = Counter()

    def add(self, record: Captured) -> None:
        """A shadow's answer is no request; what another unit answered instead did not fail."""
        if isinstance(record, PredictionBatch):
            if record.role != "shadow":
                self._answered(record)
        elif isinstance(record, FailureBatch):
            if record.role != "shadow" and record.answered_by is None:
                self.failed += record.n
        elif isinstance(record, LabelBatch):
            self.labels += len(record.ids)

    def latencies_us(self) -> tuple[int, ...]:
        """Of batches, ascending, thinned out evenly where they are many."""
        total = self._latencies.total()
        keep = min(1.0, MOST_LATENCIES / total) if total else 1.0
        found: list[int] = []
        owed = 0.0
        for step in sorted(self._latencies):
            owed += self._latencies[step] * keep
            found += [round(math.exp(step / STEPS_PER_E))] * int(owed + 1e-9)
            owed -= int(owed + 1e-9)
        return tuple(found)

    def _answered(self, batch: PredictionBatch) -> None:
        self.answered += len(batch.ids)
        self._latencies[round(STEPS_PER_E * math.log(max(batch.latency_us, 1)))] += 1
        for values in batch.columns.values():
            self.missing += values.count(None)
            self.values += len(values)


def start_of(record: Captured, width_us: int) -> int:
    """Of the window that it counts for: when it was made; a label's when it came."""
    return record.at_us - record.at_us % width_us

"""What went on in each window of time, whoever answered: requests, failures, latencies, missing values, labels. Zero is a number, too."""

import math
from collections import Counter
from typing import NamedTuple

from flyball.errors import RequestError
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch, RefusalBatch, Refused

STEPS_PER_E = 20
"""Latencies are counted in steps of a twentieth of a natural logarithm, 5 %: finer than anybody watches, and a window of a million batches fits
into some two hundred numbers, the same in whatever order they come."""
MOST_LATENCIES = 2_000
"""Told of one window, evenly over what was counted: a 99th percentile then rests on twenty."""


Reason = tuple[str, str, str, str]
"""Field, fault, found, expected: as `Refused` has them; of a form found is the status, if it is not that of one that was read."""
UNREADABLE = RequestError.http_status
"""Of a request that was taken in, and is none that its door reads."""


class Invalid(NamedTuple):
    """Requests that were refused for what stands in them."""

    requests: int
    rows: int
    since_us: int
    """When the first of them came."""


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
        self.turned_away = 0
        """Rows of requests that gateways had no room or no time for, or that they refused for another reason of their own."""
        self.invalid: dict[Reason, Invalid] = {}
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
        elif isinstance(record, RefusalBatch):
            for each in record.refused:
                self._refused(each, record.at_us)

    @property
    def asked(self) -> int:
        """Rows, whatever became of them."""
        return self.answered + self.failed + self.turned_away + sum(each.rows for each in self.invalid.values())

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

    def _refused(self, refused: Refused, at_us: int) -> None:
        if refused.by_gateway:
            self.turned_away += refused.rows
            return
        # Of a whole request its status tells more faults apart: what a scanner sends is not what a client's new wrapper makes.
        found = str(refused.status) if refused.fault == "form" and refused.status != UNREADABLE else refused.found
        reason = (refused.field, refused.fault, found, refused.expected)
        requests, rows, since_us = self.invalid.get(reason, Invalid(0, 0, at_us))
        self.invalid[reason] = Invalid(requests + refused.requests, rows + refused.rows, min(since_us, at_us))

    def _answered(self, batch: PredictionBatch) -> None:
        self.answered += len(batch.ids)
        self._latencies[round(STEPS_PER_E * math.log(max(batch.latency_us, 1)))] += 1
        for values in batch.columns.values():
            self.missing += values.count(None)
            self.values += len(values)


class Tallies:
    """Of all windows that are not judged yet, by their start."""

    def __init__(self, width_us: int) -> None:
        self._width = width_us
        self._of: dict[int, Tally] = {}
        self._judged_until = 0

    def add(self, record: Captured) -> None:
        """It counts for the window that it was made in; a label, for the one that it came in."""
        start = record.at_us - record.at_us % self._width
        if start >= self._judged_until:
            self._of.setdefault(start, Tally()).add(record)

    @property
    def first_us(self) -> int | None:
        """Start of the first window of which anything is known."""
        return min(self._of, default=None)

    def of(self, start_us: int) -> Tally | None:
        """None: nothing was captured in it."""
        return self._of.get(start_us)

    def forget_until(self, end_us: int) -> None:
        """Windows before are judged: what still comes of them is not counted."""
        self._judged_until = max(self._judged_until, end_us)
        for start in [start for start in self._of if start < end_us]:
            del self._of[start]

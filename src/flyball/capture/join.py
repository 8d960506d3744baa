"""Predictions and their labels, joined by prediction id: late, twice, revised, out of order, in any order of the records.

The join is a pure projection of the captured records: whatever order they come in, the same predictions end with the same labels. Memory: about
150 bytes a prediction and score; control rebuilds it from the segments when it starts.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch
from flyball.records.signature import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Span(NamedTuple):
    """Which rows: start ≤ event time < end, and mature: `delay` has passed since the event time by `now`.

    Labels that come fast are a biased sample (a flight that never arrives is known last), so rows are used from an age on, not from their label on."""

    start_us: int
    end_us: int
    now_us: int
    delay_us: int = 0


class LabelledRows(NamedTuple):
    """Mature labelled rows of one unit, in the order in which they became usable (label there and mature): later looks only append to it."""

    at_us: Ints
    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats
    """Class index, or the value for regression. (n_rows,)"""


class Pairs(NamedTuple):
    """Mature labelled rows that two units scored, in the order in which they became usable."""

    at_us: Ints
    first: Floats
    second: Floats
    labels: Floats


class JoinCounts(NamedTuple):
    """What came, exactly."""

    predictions: int
    duplicate_predictions: int
    """Repeats of an id that was there; the first answer counts."""
    labels_received: int
    labels_joined: int
    """Predictions that have a label."""
    labels_repeated: int
    """Received again for a prediction that had one, with the same value."""
    labels_revised: int
    """Received again with another value."""
    labels_unknown: int
    """Waiting for a prediction that has not been seen."""
    labels_invalid: int
    """Not a class of the model, or not a number."""


class Label(NamedTuple):
    """Larger is later: by when the outcome became known, then by value, so that the order of arrival never decides."""

    observed_us: int
    text: str
    number: float


class Held(NamedTuple):
    """A label that waits for its prediction."""

    label: Label
    received_us: int


class LabelJoin:
    """Grows by `add`; answers by unit and by event time."""

    def __init__(self, task: Task, classes: tuple[str, ...], n_scores: int) -> None:
        self._task = task
        self._classes = {name: float(index) for index, name in enumerate(classes)}
        self._n_scores = n_scores
        self._index: dict[str, int] = {}
        self._units: dict[str, int] = {}
        self._at = np.zeros(1024, dtype=np.int64)
        self._answered = np.full(1024, -1, dtype=np.int64)
        self._arrival = np.full(1024, -1, dtype=np.int64)
        self._labels = np.full(1024, np.nan)
        self._scores: dict[int, Floats] = {}
        self._held: dict[str, Held] = {}
        self._winning: dict[int, Label] = {}
        self._received = 0
        self._repeated = 0
        self._revised = 0
        self._invalid = 0
        self._duplicates = 0
        self.failures: dict[tuple[str, int], int] = {}
        """(unit, event time in µs) → rows that it could not answer."""

    def add(self, record: Captured) -> None:
        """Take one captured record; a repeated one changes nothing but the counts."""
        if isinstance(record, PredictionBatch):
            self._add_predictions(record)
        elif isinstance(record, LabelBatch):
            self._add_labels(record)
        elif isinstance(record, FailureBatch):
            place = (record.unit, record.at_us)
            self.failures[place] = self.failures.get(place, 0) + record.n

    def counts(self) -> JoinCounts:
        return JoinCounts(
            predictions=int((self._answered[: len(self._index)] >= 0).sum()),
            duplicate_predictions=self._duplicates,
            labels_received=self._received,
            labels_joined=len(self._winning),
            labels_repeated=self._repeated,
            labels_revised=self._revised,
            labels_unknown=len(self._held),
            labels_invalid=self._invalid,
        )

    def answered(self, start_us: int, end_us: int, unit: str | None = None) -> int:
        """Rows answered with start ≤ event time < end, by `unit` or by any."""
        return int(self._in_time(start_us, end_us, unit).sum())

    def scored(self, unit: str, start_us: int, end_us: int) -> int:
        """Rows that `unit` scored, whether its answer was shown or not."""
        return int((self._span(start_us, end_us) & self._has(unit)).sum())

    def labelled(self, start_us: int, end_us: int, unit: str | None = None) -> int:
        """Of the answered rows, those that have a label."""
        return int((self._in_time(start_us, end_us, unit) & (self._arrival[: self._n] >= 0)).sum())

    def rows_of(self, unit: str, span: Span) -> LabelledRows:
        """Labelled rows that `unit` scored (shown or as shadow)."""
        chosen = self._usable(self._has(unit), span)
        return LabelledRows(self._at[chosen], self._scores_of(unit)[chosen], self._labels[chosen])

    def pairs(self, first: str, second: str, span: Span) -> Pairs:
        """Labelled rows that both units scored."""
        chosen = self._usable(self._has(first) & self._has(second), span)
        return Pairs(self._at[chosen], self._scores_of(first)[chosen], self._scores_of(second)[chosen], self._labels[chosen])

    def answers(self, start_us: int, end_us: int) -> tuple[list[str], Ints, Floats, Floats, list[str]]:
        """(ids, event times, shown scores, labels or NaN, unit that answered) of every answered row, for a report."""
        chosen = np.flatnonzero(self._in_time(start_us, end_us, None))
        names = {code: name for name, code in self._units.items()}
        shown = np.full((len(chosen), self._n_scores), np.nan)
        answered = self._answered[chosen]
        for code, scores in self._scores.items():
            mine = answered == code
            shown[mine] = scores[chosen[mine]]
        ids = np.array(list(self._index), dtype=object)[chosen]
        return list(ids), self._at[chosen], shown, self._labels[chosen], [names[code] for code in answered]

    def failed(self, unit: str, start_us: int, end_us: int) -> int:
        """Rows that `unit` should have answered and could not."""
        return sum(n for (name, at), n in self.failures.items() if name == unit and start_us <= at < end_us)

    @property
    def _n(self) -> int:
        return len(self._index)

    def _span(self, start_us: int, end_us: int) -> npt.NDArray[np.bool_]:
        at = self._at[: self._n]
        return np.asarray((at >= start_us) & (at < end_us), dtype=np.bool_)

    def _in_time(self, start_us: int, end_us: int, unit: str | None) -> npt.NDArray[np.bool_]:
        answered = self._answered[: self._n]
        wanted = answered >= 0 if unit is None else answered == self._units.get(unit, -2)
        return np.asarray(self._span(start_us, end_us) & wanted, dtype=np.bool_)

    def _has(self, unit: str) -> npt.NDArray[np.bool_]:
        code = self._units.get(unit)
        if code is None:
            return np.zeros(self._n, dtype=np.bool_)
        return ~np.isnan(self._scores[code][: self._n, 0])

    def _scores_of(self, unit: str) -> Floats:
        code = self._units.get(unit)
        return self._scores[code] if code is not None else np.zeros((0, self._n_scores))

    def _usable(self, mask: npt.NDArray[np.bool_], span: Span) -> Ints:
        young = self._at[: self._n] + span.delay_us > span.now_us
        chosen = np.flatnonzero(mask & self._span(span.start_us, span.end_us) & ~young & (self._arrival[: self._n] >= 0))
        usable_us = np.maximum(self._arrival[chosen], self._at[chosen] + span.delay_us)
        return np.asarray(chosen[np.lexsort((self._at[chosen], usable_us))], dtype=np.int64)

    def _add_predictions(self, batch: PredictionBatch) -> None:
        code = self._unit_code(batch.unit)
        shown = batch.role != "shadow"
        for prediction_id, score in zip(batch.ids, batch.scores, strict=True):
            row = self._row(prediction_id)
            if shown and self._answered[row] >= 0:
                self._duplicates += 1
                continue
            self._scores[code][row] = score
            if shown:
                self._answered[row] = code
            # Shadows may be written before or after the answer: whichever comes first gives the event time, and both carry the same.
            self._at[row] = batch.at_us

    def _add_labels(self, batch: LabelBatch) -> None:
        for prediction_id, value, observed in zip(batch.ids, batch.values, batch.observed_us, strict=True):
            self._received += 1
            number = self._number(value)
            if number is None:
                self._invalid += 1
                continue
            self._settle(prediction_id, Label(batch.at_us if observed is None else observed, str(value), number), batch.at_us)

    def _settle(self, prediction_id: str, label: Label, received_us: int) -> None:
        row = self._index.get(prediction_id)
        held = self._held.get(prediction_id)
        standing = (held.label if held else None) if row is None else self._winning.get(row)
        if standing is not None:
            same = standing.number == label.number
            self._repeated += same
            self._revised += not same
        winner = label if standing is None else max(standing, label)
        if row is None:
            self._held[prediction_id] = Held(winner, min(received_us, held.received_us) if held else received_us)
        else:
            self._write_label(row, winner, received_us)

    def _write_label(self, row: int, label: Label, received_us: int) -> None:
        self._winning[row] = label
        self._labels[row] = label.number
        known = self._arrival[row]
        self._arrival[row] = received_us if known < 0 else min(known, received_us)

    def _number(self, value: Any) -> float | None:
        if self._task == "regression":
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                return None
            return float(value)
        return self._classes.get(value) if isinstance(value, str) else None

    def _unit_code(self, unit: str) -> int:
        code = self._units.setdefault(unit, len(self._units))
        if code not in self._scores:
            self._scores[code] = np.full((len(self._at), self._n_scores), np.nan)
        return code

    def _row(self, prediction_id: str) -> int:
        row = self._index.get(prediction_id)
        if row is None:
            row = self._index[prediction_id] = len(self._index)
            if row >= len(self._at):
                self._grow()
            held = self._held.pop(prediction_id, None)
            if held is not None:
                self._write_label(row, held.label, held.received_us)
        return row

    def _grow(self) -> None:
        """Double the arrays: amortised constant cost a row."""
        self._at = np.concatenate([self._at, np.zeros_like(self._at)])
        self._answered = np.concatenate([self._answered, np.full_like(self._answered, -1)])
        self._arrival = np.concatenate([self._arrival, np.full_like(self._arrival, -1)])
        self._labels = np.concatenate([self._labels, np.full_like(self._labels, np.nan)])
        for code, scores in self._scores.items():
            self._scores[code] = np.concatenate([scores, np.full_like(scores, np.nan)])


def join(records: Iterable[Captured], task: Task, classes: tuple[str, ...], n_scores: int) -> LabelJoin:
    """The join of all `records`."""
    joined = LabelJoin(task, classes, n_scores)
    for record in records:
        joined.add(record)
    return joined

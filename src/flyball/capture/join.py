"""Predictions and their labels, joined by prediction id: late, twice, revised, out of order, in any order of the records.

The join is a pure projection of the captured records: whatever order they come in, the same predictions end with the same labels. Memory: about
300 bytes a prediction with its label; control rebuilds it from the segments when it starts.
"""

import zlib
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from flyball.capture import ages
from flyball.capture.ages import LabelAges, LabelledAges, Together
from flyball.capture.joined import JoinCounts, LabelledRows, Outcomes, Pairs, Span
from flyball.capture.label_order import Arrival, Held, Label
from flyball.capture.scored import Scores
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch
from flyball.records.signature import Task
from flyball.stats.age_grid import AgeCounts
from flyball.stats.label_strata import LabelStrata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TOUCHED = 50_000
"""Rows whose ages wait to be counted: nobody has to ask for ages for them to stay few."""


class LabelJoin:
    """Grows by `add`; answers by unit and by event time.

    `model`: records of another one are counted and left alone, though an id be the same; None: all are of one model."""

    def __init__(
        self, task: Task, classes: tuple[str, ...], n_scores: int, *, model: str | None = None, strata: LabelStrata | None = None
    ) -> None:
        self._task = task
        self._model = model
        self._ages = LabelAges(strata or LabelStrata(task, len(classes)))
        self._classes = {name: float(index) for index, name in enumerate(classes)}
        self._n_scores = n_scores
        self._index: dict[str, int] = {}
        self._ids: list[str] = []
        self._units: dict[str, int] = {}
        self._at = np.zeros(1024, dtype=np.int64)
        self._answered = np.full(1024, -1, dtype=np.int64)
        self._arrival = np.full(1024, -1, dtype=np.int64)
        self._labels = np.full(1024, np.nan)
        self._observed = np.zeros(1024, dtype=np.int64)
        """When the outcome became known that the label says."""
        self._first_labels = np.full(1024, np.nan)
        self._first_observed = np.zeros(1024, dtype=np.int64)
        self._latest = np.zeros(1024, dtype=np.int64)
        """Largest event time of this row and all before it."""
        self._tie = np.zeros(1024, dtype=np.int64)
        """Checksum of the id: orders rows that became usable at the same time, whatever order they were read in."""
        self._cells = np.full(1024, ages.UNCOUNTED, dtype=np.int32)
        """Where the age of the row's label is counted."""
        self._touched: list[int] = []
        """Rows that were answered, or whose label came or changed, since ages were counted."""
        self._changed: list[int] = []
        self._scores: dict[int, Scores] = {}
        self._held: dict[str, Held] = {}
        self._received = 0
        self._repeated = 0
        self._revised = 0
        self._invalid = 0
        self._future = 0
        self._others = 0
        self._duplicates = 0
        self.failures: dict[tuple[str, int], int] = {}
        """(unit, event time in µs) → rows that it could not answer."""
        self.rewards: dict[str, tuple[int, float]] = {}
        """Prediction id → (received, what it earned) as first told: a sequence that was looked at must not change afterwards."""

    def add(self, record: Captured) -> None:
        """Take one captured record; a repeated one changes nothing but the counts."""
        if self._model is not None and record.model != self._model:
            self._others += 1
        elif isinstance(record, PredictionBatch):
            self._add_predictions(record)
        elif isinstance(record, LabelBatch):
            self._add_labels(record)
        elif isinstance(record, FailureBatch):
            place = (record.unit, record.at_us)
            self.failures[place] = self.failures.get(place, 0) + record.n
        if len(self._touched) > TOUCHED:
            self._count_ages()

    def counts(self) -> JoinCounts:
        arrived = self._arrival[: self._n]
        return JoinCounts(
            predictions=int((self._answered[: len(self._index)] >= 0).sum()),
            duplicate_predictions=self._duplicates,
            labels_received=self._received,
            labels_joined=int((arrived >= 0).sum()),
            labels_repeated=self._repeated,
            labels_revised=self._revised,
            labels_unknown=len(self._held),
            labels_invalid=self._invalid,
            labels_from_future=self._future,
            labels_before_prediction=int(((arrived >= 0) & (arrived < self._at[: self._n])).sum()),
            records_of_others=self._others,
        )

    def answered(self, start_us: int, end_us: int, unit: str | None = None) -> int:
        """Rows answered with start ≤ event time < end, by `unit` or by any."""
        low = self._from(start_us)
        return int(self._in_time(start_us, end_us, unit, low).sum())

    def scored(self, unit: str, start_us: int, end_us: int) -> int:
        """Rows that `unit` scored, whether its answer was shown or not."""
        low = self._from(start_us)
        return int((self._span(start_us, end_us, low) & self._has(unit, low)).sum())

    def labelled(self, start_us: int, end_us: int, unit: str | None = None) -> int:
        """Of the answered rows, those that have a label."""
        low = self._from(start_us)
        return int((self._in_time(start_us, end_us, unit, low) & (self._arrival[low : self._n] >= 0)).sum())

    def changed(self) -> Ints:
        """Event times of rows whose label came or changed since the last call, each once or more."""
        changed, self._changed = self._changed, []
        return np.asarray(changed, dtype=np.int64)

    def rows_of(self, unit: str, span: Span) -> LabelledRows:
        """Labelled rows that `unit` scored (shown or as shadow)."""
        low = self._from(span.start_us)
        chosen = self._usable(self._has(unit, low), span, low)
        return LabelledRows(self._at[chosen], self._scores_of(unit, chosen), self._labels[chosen])

    def pairs(
        self,
        first: str,
        second: str,
        span: Span,
        *,
        labelled: bool = True,
        among: Collection[str] | None = None,
        taken: Bools | None = None,
    ) -> Pairs:
        """Rows that both units scored: labelled mature ones, or all, in an order that their arrival does not decide; `among`: these ids alone;
        `taken`: by number of the row, those that are not asked for again."""
        low = self._from(span.start_us)
        both = self._has(first, low) & self._has(second, low)
        if taken is not None:
            part = taken[low : self._n]
            both[: part.size] &= ~part
        chosen = (
            self._usable(both, span, low) if labelled else self._ordered(both & self._span(span.start_us, span.end_us, low), low)
        )
        if among is not None:
            chosen = np.asarray([row for row in chosen.tolist() if self._ids[row] in among], dtype=np.int64)
        return Pairs(
            chosen, self._at[chosen], self._scores_of(first, chosen), self._scores_of(second, chosen), self._first_labels[chosen]
        )

    def outcomes(self, unit: str, start_us: int, end_us: int) -> Outcomes:
        """Rows that `unit` answered with start ≤ event time < end."""
        low = self._from(start_us)
        chosen = self._ordered(self._in_time(start_us, end_us, unit, low), low)
        ids = [self._ids[row] for row in chosen]
        return Outcomes(self._at[chosen], self._arrival[chosen], self._scores_of(unit, chosen), self._labels[chosen], ids)

    def label_ages(self, since_us: int, unit: str | None = None, together: Together | None = None) -> AgeCounts:
        """How old the answered rows were when their labels came, of cohorts since then, or of groups of them. Costs as many, however many rows they had."""
        self._count_ages()
        known = tuple(self._units.values()) if unit is None else (self._units.get(unit, -1),)
        return self._ages.counts(known, since_us, together)

    def answers(self, start_us: int, end_us: int) -> tuple[list[str], Ints, Floats, Floats, list[str]]:
        """(ids, event times, shown scores, labels or NaN, unit that answered) of every answered row, for a report."""
        chosen = np.flatnonzero(self._in_time(start_us, end_us, None, 0))
        names = {code: name for name, code in self._units.items()}
        shown = np.full((len(chosen), self._n_scores), np.nan)
        answered = self._answered[chosen]
        for code, scores in self._scores.items():
            mine = answered == code
            shown[mine] = scores.of(chosen[mine])
        return (
            [self._ids[row] for row in chosen],
            self._at[chosen],
            shown,
            self._labels[chosen],
            [names[code] for code in answered],
        )

    def label_delays(self, start_us: int, end_us: int) -> Ints:
        """Of first labels received with start ≤ time < end: how much older their predictions were, in microseconds."""
        arrival = self._arrival[: self._n]
        chosen = (arrival >= start_us) & (arrival < end_us)
        return np.asarray(arrival[chosen] - self._at[: self._n][chosen], dtype=np.int64)

    @property
    def _n(self) -> int:
        return len(self._index)

    def _from(self, start_us: int) -> int:
        """A row number below which every row is earlier: looking at recent rows costs as many rows, not all of history.

        (Unless several workers' segments are read one after the other, as after a restart: then it costs all of them.)"""
        return int(np.searchsorted(self._latest[: self._n], start_us, side="left"))

    def _span(self, start_us: int, end_us: int, low: int) -> Bools:
        at = self._at[low : self._n]
        return np.asarray((at >= start_us) & (at < end_us), dtype=np.bool_)

    def _in_time(self, start_us: int, end_us: int, unit: str | None, low: int) -> Bools:
        answered = self._answered[low : self._n]
        wanted = answered >= 0 if unit is None else answered == self._units.get(unit, -2)
        return np.asarray(self._span(start_us, end_us, low) & wanted, dtype=np.bool_)

    def _has(self, unit: str, low: int) -> Bools:
        code = self._units.get(unit)
        if code is None:
            return np.zeros(self._n - low, dtype=np.bool_)
        return self._scores[code].has(low, self._n)

    def _scores_of(self, unit: str, rows: Ints) -> Floats:
        code = self._units.get(unit)
        return np.full((rows.size, self._n_scores), np.nan) if code is None else self._scores[code].of(rows)

    def _usable(self, mask: Bools, span: Span, low: int) -> Ints:
        young = self._at[low : self._n] + span.delay_us > span.now_us
        labelled = self._arrival[low : self._n] >= 0
        chosen = low + np.flatnonzero(mask & self._span(span.start_us, span.end_us, low) & ~young & labelled)
        usable_us = np.maximum(self._arrival[chosen], self._at[chosen] + span.delay_us)
        return np.asarray(chosen[np.lexsort((self._tie[chosen], self._at[chosen], usable_us))], dtype=np.int64)

    def _add_predictions(self, batch: PredictionBatch) -> None:
        code = self._unit_code(batch.unit)
        scores, shown = self._scores[code], batch.role != "shadow"
        for prediction_id, score in zip(batch.ids, batch.scores, strict=True):
            row = self._row(prediction_id, batch.at_us)
            if shown and self._answered[row] >= 0:
                self._duplicates += 1
                continue
            scores.write(row, score)
            if shown:
                self._answered[row] = code
                self._touched.append(row)

    def _add_labels(self, batch: LabelBatch) -> None:
        for prediction_id, value, observed in zip(batch.ids, batch.values, batch.observed_us, strict=True):
            self._received += 1
            number = self._number(value)
            if number is None:
                self._invalid += 1
                continue
            known_us = batch.at_us if observed is None else observed
            if known_us > batch.at_us:
                # Nobody knows an outcome after telling it. Believed, a wrong clock could not be corrected for years.
                self._future += 1
                known_us = batch.at_us
            self._settle(prediction_id, Label(known_us, number), batch.at_us)
        for prediction_id, reward in zip(batch.ids, batch.rewards, strict=False):
            if reward is not None:
                came = (batch.at_us, reward)
                self.rewards[prediction_id] = min(self.rewards.get(prediction_id, came), came)

    def _settle(self, prediction_id: str, label: Label, received_us: int) -> None:
        row, came = self._index.get(prediction_id), Arrival(received_us, label)
        if row is not None:
            if self._arrival[row] >= 0:
                self._count_again(float(self._labels[row]), label)
            self._write_label(row, label, came)
            return
        held = self._held.get(prediction_id)
        if held is not None:
            self._count_again(held.label.number, label)
            label, came = max(held.label, label), min(held.first, came)
        self._held[prediction_id] = Held(label, came)

    def _count_again(self, standing: float, label: Label) -> None:
        same = standing == label.number
        self._repeated += same
        self._revised += not same

    def _write_label(self, row: int, label: Label, came: Arrival) -> None:
        """It counts unless a later one does, and came first unless another did."""
        new = self._arrival[row] < 0
        if new or label > (self._observed[row], self._labels[row]):
            if self._labels[row] != label.number:
                self._changed.append(int(self._at[row]))
            self._observed[row], self._labels[row] = label
        if new or came < (self._arrival[row], (self._first_observed[row], self._first_labels[row])):
            self._arrival[row], (self._first_observed[row], self._first_labels[row]) = came
        self._touched.append(row)

    def _count_ages(self) -> None:
        """Many at once: one by one it would double the cost of a row."""
        rows, self._touched = np.unique(np.asarray(self._touched, dtype=np.int64)), []
        rows = rows[self._answered[rows] >= 0]
        shown = np.empty((rows.size, self._n_scores))
        for code, scores in self._scores.items():
            mine = self._answered[rows] == code
            shown[mine] = scores.of(rows[mine])
        told = LabelledAges(self._answered[rows], self._at[rows], self._arrival[rows], shown, self._labels[rows])
        self._cells[rows] = self._ages.recount(told, self._cells[rows])

    def _number(self, value: Any) -> float | None:
        if self._task == "regression":
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                return None
            return float(value)
        return self._classes.get(value) if isinstance(value, str) else None

    def _ordered(self, mask: Bools, low: int) -> Ints:
        chosen = low + np.flatnonzero(mask)
        return np.asarray(chosen[np.lexsort((self._tie[chosen], self._at[chosen]))], dtype=np.int64)

    def _unit_code(self, unit: str) -> int:
        code = self._units.get(unit)
        if code is None:
            code = self._units[unit] = len(self._units)
            self._scores[code] = Scores(self._n_scores)
        return code

    def _row(self, prediction_id: str, at_us: int) -> int:
        row = self._index.get(prediction_id)
        if row is None:
            row = self._index[prediction_id] = len(self._index)
            self._ids.append(prediction_id)
            if row >= len(self._at):
                self._grow()
            self._at[row] = at_us
            self._latest[row] = max(at_us, self._latest[row - 1] if row else at_us)
            self._tie[row] = zlib.crc32(prediction_id.encode("utf-8", "surrogatepass"))
            held = self._held.pop(prediction_id, None)
            if held is not None:
                self._write_label(row, held.label, held.first)
        return row

    def _grow(self) -> None:
        """Double the arrays: amortised constant cost a row."""
        for name, empty in (
            ("_at", 0), ("_answered", -1), ("_arrival", -1), ("_latest", 0), ("_tie", 0), ("_labels", np.nan), ("_first_labels", np.nan),
            ("_observed", 0), ("_first_observed", 0), ("_cells", ages.UNCOUNTED),
        ):  # fmt: skip
            standing = getattr(self, name)
            setattr(self, name, np.concatenate([standing, np.full_like(standing, empty)]))


def failed_rows(joined: LabelJoin, unit: str, start_us: int, end_us: int) -> int:
    """Rows that `unit` should have answered and could not."""
    return sum(n for (name, at), n in joined.failures.items() if name == unit and start_us <= at < end_us)


def join(records: Iterable[Captured], task: Task, classes: tuple[str, ...], n_scores: int) -> LabelJoin:
    """The join of all `records`."""
    joined = LabelJoin(task, classes, n_scores)
    for record in records:
        joined.add(record)
    return joined

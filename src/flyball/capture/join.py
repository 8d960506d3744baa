"""Predictions and their labels, joined by prediction id: late, twice, revised, out of order, in any order of the records.

The join is a pure projection of the captured records: whatever order they come in, the same predictions end with the same labels, and an id that was
asked for twice with the same answer, the earliest. (Each worker's shadows come after what it showed, as it wrote them.) Memory: about 300 bytes a
prediction with its label; control rebuilds it from the segments when it starts.

Forgetting keeps to that: once `forget(until)` was called, the join is that of the records that were made from then on, whenever it was called. (But for
labels received before `until` of predictions made after it: a label that came before its prediction. They stay until the join is built anew. And for ids
that were asked for before `until` and again after it: where the earlier answer was held when the later one came, both are forgotten, as the later was a
repetition; where it was not, as after a start, the later is a prediction of its own.)
"""

import zlib
from collections.abc import Iterable
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from flyball.capture.ages import UNCOUNTED, LabelAges, LabelledAges, Together
from flyball.capture.failed import FailedRows
from flyball.capture.joined import JoinCounts
from flyball.capture.label_order import Arrival, Held, Label
from flyball.capture.rows import JoinedRows
from flyball.capture.scored import Scores
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch
from flyball.records.signature import Task
from flyball.stats.age_grid import AgeCounts
from flyball.stats.label_strata import LabelStrata

Ints = npt.NDArray[np.int64]

SAME_ASK_US = 1_000_000
"""Largest distance between an answer's time and its shadow's: a gateway tells what shadows scored within a tenth of a second as of one moment. A shadow of
another time is that of another request with the same id; of several within it the smallest scores count, as their times are not kept. (Of an id that
several workers are asked for three times in a second, which shadow counts may hang on their order.)"""
TOUCHED = 50_000
"""Rows whose ages wait to be counted: nobody has to ask for ages for them to stay few."""


class LabelJoin(JoinedRows):
    """Grows by `add`, shrinks by `forget`.

    `model`: records of another one are counted and left alone, though an id be the same; None: all are of one model."""

    def __init__(
        self, task: Task, classes: tuple[str, ...], n_scores: int, *, model: str | None = None, strata: LabelStrata | None = None
    ) -> None:
        super().__init__(n_scores)
        self._task = task
        self._model = model
        self.strata = strata or LabelStrata(task, len(classes))
        """By which the ages of labels are counted."""
        self._ages = LabelAges(self.strata)
        self._classes = {name: float(index) for index, name in enumerate(classes)}
        self._index: dict[str, int] = {}
        """Prediction id → number of the row."""
        self._most = 0
        """That it had room for."""
        self._forgotten_until = 0
        self._touched: list[int] = []
        """Places of rows that were answered, or whose label came or changed, since ages were counted."""
        self._changed: list[int] = []
        self._held: dict[str, Held] = {}
        self._received = 0
        self._repeated = 0
        self._revised = 0
        self._invalid = 0
        self._future = 0
        self._others = 0
        self._duplicates = 0
        self._given_up = 0
        self._old = 0
        self.failures = FailedRows()
        self.rewards: dict[str, tuple[int, float]] = {}
        """Prediction id → (received, what it earned) as first told: a sequence that was looked at must not change afterwards. Another dict once some
        were forgotten."""

    def add(self, record: Captured) -> None:
        """Take one captured record; a repeated one changes nothing but the counts."""
        if self._model is not None and record.model != self._model:
            self._others += 1
        elif record.at_us < self._forgotten_until:
            self._old += 1
        elif isinstance(record, PredictionBatch):
            self._add_predictions(record)
        elif isinstance(record, LabelBatch):
            self._add_labels(record)
        elif isinstance(record, FailureBatch):
            self.failures.add(record.unit, record.at_us, record.n)
        if len(self._touched) > TOUCHED:
            self._count_ages()

    def forget(self, until_us: int) -> None:
        """Hold nothing that was made before, and take nothing of it any more: a label for a prediction that is gone is unknown, and is held no longer than
        what is as old as itself. Costs a copy of the rows that stay; to be called when many are to go."""
        if until_us <= self._forgotten_until:
            return
        self._forgotten_until = until_us
        self._count_ages()
        self._ages.forget(until_us)
        self._forget_rows(until_us)
        waiting = len(self._held)
        self._held = {name: held for name, held in self._held.items() if held.first.received_us >= until_us}
        self._given_up += waiting - len(self._held)
        self._changed = [at for at in self._changed if at >= until_us]
        self.failures.forget(until_us)
        young = {name: told for name, told in self.rewards.items() if told[0] >= until_us}
        if len(young) < len(self.rewards):
            self.rewards = young

    def counts(self) -> JoinCounts:
        rows = self._rows
        arrived, at = rows.arrival[: rows.n], rows.at[: rows.n]
        return JoinCounts(
            predictions=int((rows.answered[: rows.n] >= 0).sum()),
            duplicate_predictions=self._duplicates,
            labels_received=self._received,
            labels_joined=int((arrived >= 0).sum()),
            labels_repeated=self._repeated,
            labels_revised=self._revised,
            labels_unknown=len(self._held),
            labels_invalid=self._invalid,
            labels_from_future=self._future,
            labels_before_prediction=int(((arrived >= 0) & (arrived < at)).sum()),
            records_of_others=self._others,
            labels_given_up=self._given_up,
            records_too_old=self._old,
        )

    def strays(self) -> tuple[int, int, int, int]:
        """(received, for unknown ids, from the future, invalid) labels, as `counts` has them, without a look at every row."""
        return self._received, len(self._held), self._future, self._invalid

    def changed(self) -> Ints:
        """Event times of rows whose label came or changed since the last call, each once or more."""
        changed, self._changed = self._changed, []
        return np.asarray(changed, dtype=np.int64)

    def label_ages(self, since_us: int, unit: str | None = None, together: Together | None = None) -> AgeCounts:
        """How old the answered rows were when their labels came, of cohorts since then, or of groups of them. Costs as many, however many rows they had."""
        self._count_ages()
        known = tuple(self._units.values()) if unit is None else (self._units.get(unit, -1),)
        return self._ages.counts(known, max(since_us, self._forgotten_until), together)

    def _add_predictions(self, batch: PredictionBatch) -> None:
        code, rows, at_us = self._unit_code(batch.unit), self._rows, batch.at_us
        scores, shown = self._scores[code], batch.role != "shadow"
        for prediction_id, score in zip(batch.ids, batch.scores, strict=True):
            number = self._index.get(prediction_id)
            if number is None:
                row = self._new_row(prediction_id, at_us)
            else:
                row = rows.place_of(number)
                if not (self._is_answer if shown else self._is_shadow)(row, code, at_us, score):
                    continue
            scores.write(row, score)
            if shown:
                rows.answered[row] = code
                self._touched.append(row)

    def _is_answer(self, row: int, code: int, at_us: int, score: list[float]) -> bool:
        """Whether it counts, of a row that is there. Of an id that is asked for again the earliest answer does, of those of one moment the smaller one: never
        the one that was read first, since after a restart one worker's whole history is read before the next one's."""
        rows = self._rows
        standing, was_us = int(rows.answered[row]), int(rows.at[row])
        if standing >= 0:
            self._duplicates += 1
            if at_us > was_us or (at_us == was_us and not self._is_smaller(row, code, score)):
                return False
            self._take_back(row)
        if at_us != was_us:
            self._move(row, at_us)
        return True

    def _is_shadow(self, row: int, code: int, at_us: int, score: list[float]) -> bool:
        """Whether it counts: a champion's first answer beside a challenger's last compares two requests. A worker writes what shadows scored after what was
        shown, so one that belongs to an earlier answer comes after that, too."""
        rows, scores = self._rows, self._scores[code]
        answered, apart_us = int(rows.answered[row]), at_us - int(rows.at[row])
        if answered < 0 and apart_us < 0:
            self._move(row, at_us)
            apart_us = 0
        if answered == code or abs(apart_us) > SAME_ASK_US:
            return False
        return not scores.holds(row) or score < scores.of(np.array([row]))[0].tolist()

    def _is_smaller(self, row: int, code: int, score: list[float]) -> bool:
        """Than the answer of the same moment that stands."""
        units, standing = tuple(self._units), int(self._rows.answered[row])
        found: list[float] = self._scores[standing].of(np.array([row]))[0].tolist()
        return (units[code], score) < (units[standing], found)

    def _take_back(self, row: int) -> None:
        """The answer that stands is not the first one."""
        rows = self._rows
        scores = self._scores[int(rows.answered[row])]
        one = np.array([row])
        self._ages.leave(
            LabelledAges(rows.answered[one], rows.at[one], rows.arrival[one], scores.of(one), rows.labels[one]), rows.cells[one]
        )
        rows.cells[row] = UNCOUNTED
        scores.erase(row)
        self._changed.append(int(rows.at[row]))

    def _move(self, row: int, at_us: int) -> None:
        """It was asked for at another time: what shadows scored then is of another request."""
        rows = self._rows
        apart_us = abs(int(rows.at[row]) - at_us)
        rows.move(row, at_us)
        self._changed.append(at_us)
        if apart_us > SAME_ASK_US:
            for scores in self._scores.values():
                scores.erase(row)

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
            self._settle(prediction_id, Label(known_us, batch.at_us, number))
        for prediction_id, reward in zip(batch.ids, batch.rewards, strict=False):
            if reward is not None:
                came = (batch.at_us, reward)
                self.rewards[prediction_id] = min(self.rewards.get(prediction_id, came), came)

    def _settle(self, prediction_id: str, label: Label) -> None:
        number, came = self._index.get(prediction_id), Arrival(label.received_us, label.observed_us, label.number)
        if number is not None:
            row = self._rows.place_of(number)
            if self._rows.arrival[row] >= 0:
                self._count_again(float(self._rows.labels[row]), label)
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
        rows = self._rows
        new = rows.arrival[row] < 0
        if new or label > (rows.observed[row], rows.received[row], rows.labels[row]):
            if rows.labels[row] != label.number:
                self._changed.append(int(rows.at[row]))
            rows.observed[row], rows.received[row], rows.labels[row] = label
        if new or came < (rows.arrival[row], rows.first_observed[row], rows.first_labels[row]):
            rows.arrival[row], rows.first_observed[row], rows.first_labels[row] = came
        self._touched.append(row)

    def _count_ages(self) -> None:
        """Many at once: one by one it would double the cost of a row."""
        columns = self._rows
        rows, self._touched = np.unique(np.asarray(self._touched, dtype=np.int64)), []
        rows = rows[columns.answered[rows] >= 0]
        shown = np.empty((rows.size, self._n_scores))
        for code, scores in self._scores.items():
            mine = columns.answered[rows] == code
            shown[mine] = scores.of(rows[mine])
        told = LabelledAges(columns.answered[rows], columns.at[rows], columns.arrival[rows], shown, columns.labels[rows])
        columns.cells[rows] = self._ages.recount(told, columns.cells[rows])

    def _forget_rows(self, until_us: int) -> None:
        kept = self._rows.at[: self._rows.n] >= until_us
        gone = np.flatnonzero(~kept).tolist()
        if not gone:
            return
        self._most = max(self._most, len(self._index))
        for place in gone:
            del self._index[self._ids[place]]
        if 2 * len(self._index) < self._most:  # a dict gives back no room by itself
            self._index, self._most = dict(self._index), len(self._index)
        self._ids = list(compress(self._ids, kept.tolist()))
        for scores in self._scores.values():
            scores.keep(kept)
        self._rows.keep(kept)

    def _number(self, value: Any) -> float | None:
        if self._task == "regression":
            if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                return None
            return float(value)
        return self._classes.get(value) if isinstance(value, str) else None

    def _unit_code(self, unit: str) -> int:
        code = self._units.get(unit)
        if code is None:
            code = self._units[unit] = len(self._units)
            self._scores[code] = Scores(self._n_scores)
        return code

    def _new_row(self, prediction_id: str, at_us: int) -> int:
        """Its place."""
        row = self._rows.add(at_us, zlib.crc32(prediction_id.encode("utf-8", "surrogatepass")))
        self._index[prediction_id] = self._rows.newest
        self._ids.append(prediction_id)
        held = self._held.pop(prediction_id, None)
        if held is not None:
            self._write_label(row, held.label, held.first)
        return row


def failed_rows(joined: LabelJoin, unit: str, start_us: int, end_us: int) -> int:
    """Rows that `unit` should have answered and could not."""
    return joined.failures.between(unit, start_us, end_us)


def join(records: Iterable[Captured], task: Task, classes: tuple[str, ...], n_scores: int) -> LabelJoin:
    """The join of all `records`."""
    joined = LabelJoin(task, classes, n_scores)
    for record in records:
        joined.add(record)
    return joined

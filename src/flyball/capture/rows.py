"""Predictions with their labels, as they are asked for: by unit and by event time."""

import numpy as np
import numpy.typing as npt

from flyball.capture.columns import Columns
from flyball.capture.joined import LabelledRows, Outcomes, Pairs, Span
from flyball.capture.scored import Scores
from flyball.capture.taken import Taken

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class JoinedRows:
    """What is held of them. A row is found by its place, which moves when rows are forgotten; what outlasts that is its number."""

    def __init__(self, n_scores: int) -> None:
        self._n_scores = n_scores
        self._rows = Columns()
        self._ids: list[str] = []
        """By place."""
        self._units: dict[str, int] = {}
        self._scores: dict[int, Scores] = {}

    def answered(self, start_us: int, end_us: int, unit: str | None = None) -> int:
        """Rows answered with start ≤ event time < end, by `unit` or by any."""
        low = self._from(start_us)
        return int(self._in_time(start_us, end_us, unit, low).sum())

    def scored(self, unit: str, start_us: int, end_us: int) -> int:
        """Rows that `unit` scored, whether its answer was shown or not."""
        low = self._from(start_us)
        return int((self._span(start_us, end_us, low) & self._has(unit, low)).sum())

    def scored_in_stretches(self, unit: str, start_us: int, end_us: int, width_us: int) -> Ints:
        """As `scored`, of each stretch of that width from the start on; the last one may be shorter. (n_stretches,)"""
        low = self._from(start_us)
        at = self._rows.at[low : self._rows.n][self._span(start_us, end_us, low) & self._has(unit, low)]
        found: Ints = np.bincount((at - start_us) // width_us, minlength=max(-(-(end_us - start_us) // width_us), 0))
        return found

    def ids(self, numbers: Ints) -> list[str]:
        """Of rows that are held, by their numbers."""
        return [self._ids[self._rows.place_of(number)] for number in numbers.tolist()]

    def labelled(self, start_us: int, end_us: int, unit: str | None = None) -> int:
        """Of the answered rows, those that have a label."""
        low = self._from(start_us)
        return int((self._in_time(start_us, end_us, unit, low) & (self._rows.arrival[low : self._rows.n] >= 0)).sum())

    def told_of(self, unit: str, starts_us: Ints, ends_us: Ints) -> tuple[Ints, Ints]:
        """(labelled, answered) rows of `unit` in each span of time, as `labelled` and `answered` count them, all in one pass. Both (n_spans,)"""
        low = self._from(int(starts_us.min()))
        mine = self._in_time(int(starts_us.min()), int(ends_us.max()), unit, low)
        at = self._rows.at[low : self._rows.n]
        counted = []
        for chosen in (mine & (self._rows.arrival[low : self._rows.n] >= 0), mine):
            times = np.sort(at[chosen], kind="stable")  # nearly in order: a stable sort costs about as much as looking
            counted.append(np.searchsorted(times, ends_us) - np.searchsorted(times, starts_us))
        return counted[0], counted[1]

    def rows_of(self, unit: str, span: Span) -> LabelledRows:
        """Labelled rows that `unit` scored (shown or as shadow)."""
        low = self._from(span.start_us)
        chosen = self._usable(self._has(unit, low), span, low)
        return LabelledRows(self._rows.at[chosen], self._scores_of(unit, chosen), self._rows.labels[chosen])

    def pairs(
        self,
        first: str,
        second: str,
        span: Span,
        *,
        labelled: bool = True,
        taken: Taken | None = None,
    ) -> Pairs:
        """Rows that both units scored: labelled mature ones, or all, in an order that their arrival does not decide; `taken`: those that
        are not asked for again."""
        low = self._from(span.start_us)
        both = self._has(first, low) & self._has(second, low)
        if taken is not None:
            both &= ~taken.has(self._rows.number[low : self._rows.n])
        chosen = (
            self._usable(both, span, low) if labelled else self._ordered(both & self._span(span.start_us, span.end_us, low), low)
        )
        rows = self._rows
        return Pairs(
            rows.number[chosen],
            rows.at[chosen],
            self._scores_of(first, chosen),
            self._scores_of(second, chosen),
            rows.first_labels[chosen],
        )

    def outcomes(self, unit: str, start_us: int, end_us: int) -> Outcomes:
        """Rows that `unit` answered with start ≤ event time < end."""
        low = self._from(start_us)
        chosen = self._ordered(self._in_time(start_us, end_us, unit, low), low)
        ids = [self._ids[row] for row in chosen]
        rows = self._rows
        return Outcomes(rows.at[chosen], rows.arrival[chosen], self._scores_of(unit, chosen), rows.labels[chosen], ids)

    def answers(self, start_us: int, end_us: int) -> tuple[list[str], Ints, Floats, Floats, list[str]]:
        """(ids, event times, shown scores, labels or NaN, unit that answered) of every answered row, for a report."""
        chosen = np.flatnonzero(self._in_time(start_us, end_us, None, 0))
        names = {code: name for name, code in self._units.items()}
        shown = np.full((len(chosen), self._n_scores), np.nan)
        answered = self._rows.answered[chosen]
        for code, scores in self._scores.items():
            mine = answered == code
            shown[mine] = scores.of(chosen[mine])
        return (
            [self._ids[row] for row in chosen],
            self._rows.at[chosen],
            shown,
            self._rows.labels[chosen],
            [names[code] for code in answered],
        )

    def label_delays(self, start_us: int, end_us: int) -> Ints:
        """Of first labels received with start ≤ time < end: how much older their predictions were, in microseconds."""
        arrival = self._rows.arrival[: self._rows.n]
        chosen = (arrival >= start_us) & (arrival < end_us)
        return np.asarray(arrival[chosen] - self._rows.at[: self._rows.n][chosen], dtype=np.int64)

    # -- inside

    def _from(self, start_us: int) -> int:
        """A place below which every row is earlier: looking at recent rows costs as many rows, not all of history.

        (Unless several workers' segments are read one after the other, as after a restart: then it costs all of them.)"""
        return int(np.searchsorted(self._rows.latest[: self._rows.n], start_us, side="left"))

    def _span(self, start_us: int, end_us: int, low: int) -> Bools:
        at = self._rows.at[low : self._rows.n]
        return np.asarray((at >= start_us) & (at < end_us), dtype=np.bool_)

    def _in_time(self, start_us: int, end_us: int, unit: str | None, low: int) -> Bools:
        answered = self._rows.answered[low : self._rows.n]
        wanted = answered >= 0 if unit is None else answered == self._units.get(unit, -2)
        return np.asarray(self._span(start_us, end_us, low) & wanted, dtype=np.bool_)

    def _has(self, unit: str, low: int) -> Bools:
        code = self._units.get(unit)
        if code is None:
            return np.zeros(self._rows.n - low, dtype=np.bool_)
        return self._scores[code].has(low, self._rows.n)

    def _scores_of(self, unit: str, rows: Ints) -> Floats:
        code = self._units.get(unit)
        return np.full((rows.size, self._n_scores), np.nan) if code is None else self._scores[code].of(rows)

    def _usable(self, mask: Bools, span: Span, low: int) -> Ints:
        young = self._rows.at[low : self._rows.n] + span.delay_us > span.now_us
        labelled = self._rows.arrival[low : self._rows.n] >= 0
        chosen = low + np.flatnonzero(mask & self._span(span.start_us, span.end_us, low) & ~young & labelled)
        usable_us = np.maximum(self._rows.arrival[chosen], self._rows.at[chosen] + span.delay_us)
        return np.asarray(chosen[np.lexsort((self._rows.tie[chosen], self._rows.at[chosen], usable_us))], dtype=np.int64)

    def _ordered(self, mask: Bools, low: int) -> Ints:
        chosen = low + np.flatnonzero(mask)
        return np.asarray(chosen[np.lexsort((self._rows.tie[chosen], self._rows.at[chosen]))], dtype=np.int64)

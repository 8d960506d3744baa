"""How old predictions were when their labels came, counted while they are joined: what a label costs does not depend on the history."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.age_grid import COHORT_US, EDGES_US, N_BINS, AgeCounts
from flyball.stats.label_strata import LabelStrata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Cells = npt.NDArray[np.int32]
Together = Callable[[Ints], Ints]
"""Starts of cohorts, ascending → the number of the group that each is in, from 0, never falling."""

UNCOUNTED, UNLABELLED = -2, -1
"""Cells of a row that was not counted yet, and of one that was and has no label."""


FIRST_COHORTS = 256
"""Room at first; doubled when it is full."""

_UNIT = 1 << 40
"""More than there are hours in the microseconds of an int64: one number for a unit and a cohort."""


class LabelledAges(NamedTuple):
    """Answered rows as they stand, one entry a row."""

    unit: Ints
    at_us: Ints
    received_us: Ints
    """-1: no label."""
    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats


class LabelAges:
    """Integer counts by unit, cohort, stratum and age. Taking a label out of its cell again is exact, so counts never tell in which order it all came.

    Memory: 240 bytes for each hour and unit with traffic, times the strata (two classes and two halves of the score: 1 kB); at most
    twice that, for those to come."""

    def __init__(self, strata: LabelStrata) -> None:
        self._strata = strata
        self._shape = (strata.n_labels, strata.n_scores, N_BINS)
        self._places: dict[tuple[int, int], int] = {}
        """(unit, cohort) → where it is counted in both tables: one table, since to gather a year from a small one for each hour costs more than to add it up."""
        self._rows: Ints = np.zeros((FIRST_COHORTS, strata.n_scores), dtype=np.int64)
        self._labels: Cells = np.zeros((FIRST_COHORTS, int(np.prod(self._shape))), dtype=np.int32)
        self._keys: Ints = np.zeros((FIRST_COHORTS, 2), dtype=np.int64)
        """(unit, cohort) of each place."""

    def recount(self, rows: LabelledAges, before: Cells) -> Cells:
        """Count the rows as they stand instead of where they stood: the cell of each, to be handed in the next time."""
        score = self._strata.of_scores(rows.scores)
        now = np.full(score.size, UNLABELLED, dtype=np.int32)
        has = rows.received_us >= 0
        age = np.searchsorted(np.asarray(EDGES_US), (rows.received_us - rows.at_us)[has], side="right") - 1
        place = (self._strata.of_labels(rows.labels[has]), score[has], np.maximum(age, 0))
        now[has] = np.ravel_multi_index(place, self._shape)
        changed = np.flatnonzero(now != before)
        key = rows.unit[changed] * _UNIT + rows.at_us[changed] // COHORT_US
        changed, key = changed[order := np.argsort(key, kind="stable")], key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        for mine in np.split(changed, first[1:]) if changed.size else ():
            row = int(mine[0])
            place_of_cohort = int(rows.unit[row]), int(rows.at_us[row]) // COHORT_US
            self._move(place_of_cohort, score[mine][before[mine] == UNCOUNTED], before[mine], now[mine])
        return now

    def leave(self, rows: LabelledAges, before: Cells) -> None:
        """Count them no more where they stood: they are about to become rows of another time, unit or score."""
        score = self._strata.of_scores(rows.scores)
        for row in np.flatnonzero(before != UNCOUNTED).tolist():
            place = self._places[int(rows.unit[row]), int(rows.at_us[row]) // COHORT_US]
            self._rows[place, score[row]] -= 1
            if before[row] >= 0:
                self._labels[place, before[row]] -= 1

    def counts(self, units: tuple[int, ...], since_us: int, together: Together | None = None) -> AgeCounts:
        """Of all cohorts that began at or after `since_us`; units together. `together`: groups of cohorts instead, each by the start of its first; a year of
        hours is then added up once, where it lies."""
        unit, cohort = self._keys[: len(self._places)].T
        wanted = np.isin(unit, units) & (cohort >= -(-since_us // COHORT_US))
        wanted &= self._rows[: cohort.size].any(axis=1)  # all may have left
        cohorts = np.unique(cohort[wanted])
        group = np.arange(cohorts.size) if together is None else together(cohorts * COHORT_US)
        of = np.full(cohort.size, -1, dtype=np.int64)
        of[wanted] = group[np.searchsorted(cohorts, cohort[wanted])]
        first = np.flatnonzero(np.diff(group, prepend=-1))
        rows, labels = (np.zeros((first.size, *each), dtype=np.int64) for each in ((self._strata.n_scores,), self._shape))
        begin = np.flatnonzero(np.diff(of, prepend=-2))  # places follow time but for units beside one another, so runs are few
        for number, (start, end) in zip(of[begin].tolist(), pairwise((*begin.tolist(), of.size)), strict=True):
            if number >= 0:
                rows[number] += self._rows[start:end].sum(axis=0)
                labels[number] += np.add.reduce(self._labels[start:end], axis=0, dtype=np.int32).reshape(self._shape)
        return AgeCounts(cohorts[first] * COHORT_US, rows, labels)

    def forget(self, until_us: int) -> None:
        """Cohorts that were over by then: no row of theirs is counted again."""
        n = len(self._places)
        kept = np.flatnonzero(self._keys[:n, 1] >= until_us // COHORT_US)
        if kept.size == n:
            return
        room = max(FIRST_COHORTS, kept.size)
        self._rows, self._labels, self._keys = (_closed_up(part, kept, room) for part in (self._rows, self._labels, self._keys))
        self._places = {(unit, cohort): place for place, (unit, cohort) in enumerate(self._keys[: kept.size].tolist())}

    def _move(self, key: tuple[int, int], answered: Ints, before: Cells, now: Cells) -> None:
        place = self._places.setdefault(key, len(self._places))
        if place == len(self._rows):
            self._rows = np.concatenate((self._rows, np.zeros_like(self._rows)))
            self._labels = np.concatenate((self._labels, np.zeros_like(self._labels)))
            self._keys = np.concatenate((self._keys, np.zeros_like(self._keys)))
        self._keys[place] = key
        np.add.at(self._rows[place], answered, 1)
        np.subtract.at(self._labels[place], before[before >= 0], 1)
        np.add.at(self._labels[place], now[now >= 0], 1)


def _closed_up(table: npt.NDArray[Any], kept: Ints, room: int) -> npt.NDArray[Any]:
    fresh = np.zeros((room, table.shape[1]), dtype=table.dtype)
    fresh[: kept.size] = table[kept]
    return fresh

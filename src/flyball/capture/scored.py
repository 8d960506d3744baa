"""What one unit answered, by place of the row: as long as the unit was asked, whatever came before and after it."""

import math

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEAST = 1024
"""Rows that there is room for from the first on."""


class Scores:
    """Grows at either end, in doublings: amortised constant cost a row. NaN: it was not asked."""

    def __init__(self, width: int) -> None:
        """`width`: scores a row."""
        self._first = 0
        self._values = np.empty((0, width))

    def write(self, row: int, scores: ArrayLike) -> None:
        place = row - self._first
        if not 0 <= place < len(self._values):
            self._reach(row)
            place = row - self._first
        self._values[place] = scores

    def holds(self, row: int) -> bool:
        """Whether it scored that row."""
        place = row - self._first
        return 0 <= place < len(self._values) and not math.isnan(self._values[place, 0])

    def erase(self, row: int) -> None:
        """It was not asked after all."""
        if self.holds(row):
            self._values[row - self._first] = np.nan

    def of(self, rows: Ints) -> Floats:
        """(n, width), in the order of `rows`."""
        places = rows - self._first
        inside = (places >= 0) & (places < len(self._values))
        found = np.full((rows.size, self._values.shape[1]), np.nan)
        found[inside] = self._values[places[inside]]
        return found

    def has(self, low: int, high: int) -> Bools:
        """Of rows low ≤ row < high, which it scored. (high − low,)"""
        found = np.zeros(high - low, dtype=np.bool_)
        start, end = max(low, self._first), min(high, self._first + len(self._values))
        if start < end:
            found[start - low : end - low] = ~np.isnan(self._values[start - self._first : end - self._first, 0])
        return found

    def keep(self, kept: Bools) -> None:
        """Of all rows (n,) these alone, close together."""
        standing = kept[self._first : self._first + len(self._values)]
        chosen = self._values[: standing.size][standing]
        self._first = int(kept[: self._first].sum())
        # Room for a quarter more: as many as are forgotten at once, about, come until the next time.
        room = np.full((len(chosen) // 4, chosen.shape[1]), np.nan)
        self._values = np.concatenate([chosen, room]) if len(chosen) else np.empty((0, chosen.shape[1]))

    def _reach(self, row: int) -> None:
        count, width = self._values.shape
        if count == 0:
            self._first, self._values = row, np.full((LEAST, width), np.nan)
            return
        before, after = max(self._first - row, 0), max(row + 1 - self._first - count, 0)
        before, after = (min(max(before, count), self._first), 0) if before else (0, max(after, count))
        self._values = np.concatenate([np.full((before, width), np.nan), self._values, np.full((after, width), np.nan)])
        self._first -= before

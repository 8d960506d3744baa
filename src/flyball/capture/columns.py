"""Columns of joined rows, by place: grown in doublings, closed up when rows are forgotten. A row keeps its number for as long as it is held."""

import numpy as np
import numpy.typing as npt

from flyball.capture.ages import UNCOUNTED, Cells

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEAST = 1024
"""Rows that there is room for from the first on."""
_EMPTY = {
    "number": 0, "at": 0, "answered": -1, "arrival": -1, "observed": 0, "received": 0, "first_observed": 0, "latest": 0, "tie": 0,
    "labels": np.nan, "first_labels": np.nan,
}  # fmt: skip


class Columns:
    """Arrays with room for more than the `n` rows that there are."""

    number: Ints
    """Ascending; never given twice. Beyond `n`: of the rows to come."""
    at: Ints
    answered: Ints
    """Which unit's answer was shown; -1: none was."""
    arrival: Ints
    """When the first label was received; -1: there is none."""
    labels: Floats
    observed: Ints
    """When the outcome became known that the label says."""
    received: Ints
    """When the label came that counts."""
    first_labels: Floats
    first_observed: Ints
    latest: Ints
    """Largest event time of this row and all before it, or more: a row may have moved to an earlier one. Ascending."""
    tie: Ints
    """Checksum of the id: orders rows that became usable at the same time, whatever order they were read in."""
    cells: Cells
    """Where the age of the row's label is counted."""

    def __init__(self) -> None:
        self.n = 0
        self.newest = -1
        """Number of the row that was added last."""
        self._offset: int | None = 0
        """Of a number over its place, where it is the same for all rows; None: rows between others are gone."""
        for name, empty in _EMPTY.items():
            setattr(self, name, np.full(LEAST, empty))
        self.cells = np.full(LEAST, UNCOUNTED, dtype=np.int32)
        self.number = np.arange(LEAST)

    def add(self, at_us: int, tie: int) -> int:
        """The place of a new row."""
        place = self.n
        if place == len(self.at):
            self._move(slice(None), 2 * place)
        self.n += 1
        self.newest += 1
        self.at[place], self.tie[place] = at_us, tie
        self.latest[place] = max(at_us, self.latest[place - 1] if place else at_us)
        return place

    def move(self, place: int, at_us: int) -> None:
        """Give a row another event time."""
        self.at[place] = at_us
        end = int(np.searchsorted(self.latest[: self.n], at_us))
        self.latest[place : max(end, place)] = at_us

    def place_of(self, number: int) -> int:
        """Of a row that is held."""
        return number - self._offset if self._offset is not None else int(np.searchsorted(self.number[: self.n], number))

    def keep(self, kept: Bools) -> None:
        """These rows alone, close together. (n,)"""
        self.n = n = int(kept.sum())
        # A quarter more: as many rows as are forgotten at once, about, come until the next time.
        self._move(np.flatnonzero(kept), max(LEAST, n + n // 4))
        self.latest[:n] = np.maximum.accumulate(self.at[:n])
        first = int(self.number[0])
        self._offset = first if self.newest + 1 - first == n else None

    def _move(self, chosen: slice | Ints, room: int) -> None:
        """Column by column: there is never a second copy of all of them."""
        for name, empty in (*_EMPTY.items(), ("cells", UNCOUNTED)):
            standing = getattr(self, name)
            moved = standing[chosen]
            fresh = np.full(room, empty, dtype=standing.dtype)
            fresh[: len(moved)] = moved
            setattr(self, name, fresh)
        self.number[self.n :] = self.newest + 1 + np.arange(room - self.n)

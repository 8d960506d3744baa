"""Rows that units should have answered and could not, by unit and in order of time: a sum costs the same, however many there were before."""

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class FailedRows:
    """Grows in about the order of time, shrinks by `forget`."""

    def __init__(self) -> None:
        self._of: dict[str, _InTime] = {}

    def add(self, unit: str, at_us: int, n: int) -> None:
        self._of.setdefault(unit, _InTime()).add(at_us, n)

    def between(self, unit: str, start_us: int, end_us: int) -> int:
        """With start ≤ event time < end."""
        mine = self._of.get(unit)
        if mine is None:
            return 0
        first, last = mine.places(start_us, end_us)
        return mine.before[last] - mine.before[first]

    def in_stretches(self, unit: str, start_us: int, end_us: int, width_us: int) -> Ints:
        """As `between`, of each stretch of that width from the start on; the last one may be shorter. (n_stretches,)"""
        stretches = max(-(-(end_us - start_us) // width_us), 0)  # a clock that was set back makes a release begin later than now
        mine = self._of.get(unit)
        if mine is None:
            return np.zeros(stretches, dtype=np.int64)
        first, last = mine.places(start_us, end_us)
        place = (np.asarray(mine.at[first:last], dtype=np.int64) - start_us) // width_us
        rows = np.diff(np.asarray(mine.before[first : last + 1], dtype=np.int64))
        found = np.zeros(stretches, dtype=np.int64)
        np.add.at(found, place, rows)
        return found

    def forget(self, until_us: int) -> None:
        """Of what was made before."""
        for mine in self._of.values():
            mine.forget(until_us)
        self._of = {unit: mine for unit, mine in self._of.items() if mine.at}


class _InTime:
    """Of one unit."""

    def __init__(self) -> None:
        self.at: list[int] = []
        """Ascending."""
        self.before: list[int] = [0]
        """Rows before each, and in the end those of all; one longer than `at`."""
        self._late: list[tuple[int, int]] = []
        """(event time, rows) of what came behind a later one: workers' segments are not read in one order."""

    def add(self, at_us: int, n: int) -> None:
        if self.at and at_us < self.at[-1]:
            self._late.append((at_us, n))
        else:
            self.at.append(at_us)
            self.before.append(self.before[-1] + n)

    def places(self, start_us: int, end_us: int) -> tuple[int, int]:
        self._sort()
        return bisect_left(self.at, start_us), bisect_left(self.at, max(end_us, start_us))

    def forget(self, until_us: int) -> None:
        self._sort()
        first = bisect_left(self.at, until_us)
        self.at, self.before = self.at[first:], self.before[first:]

    def _sort(self) -> None:
        """From the first that is late on: what lies before stays where it is."""
        if not self._late:
            return
        first = bisect_left(self.at, min(self._late)[0])
        rows = [(self.at[place], self.before[place + 1] - self.before[place]) for place in range(first, len(self.at))]
        tail = sorted([*rows, *self._late])
        self.at, self.before, self._late = self.at[:first], self.before[: first + 1], []
        for at_us, n in tail:
            self.add(at_us, n)

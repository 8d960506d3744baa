"""Which rows somebody has taken already, by their numbers: as long as the stretch from the first to the last, however many rows there were before."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Taken:
    """Grows at either end."""

    def __init__(self) -> None:
        self._first = 0
        self._is: Bools = np.zeros(0, dtype=np.bool_)

    def has(self, numbers: Ints) -> Bools:
        """(n,)"""
        places = numbers - self._first
        inside = (places >= 0) & (places < len(self._is))
        found = np.zeros(len(numbers), dtype=np.bool_)
        found[inside] = self._is[places[inside]]
        return found

    def add(self, numbers: Ints) -> None:
        if not len(numbers):
            return
        first, end = int(numbers.min()), int(numbers.max()) + 1
        if not len(self._is):
            self._first = first
        before, after = max(self._first - first, 0), max(end - self._first - len(self._is), 0)
        if before or after:
            self._is = np.concatenate([np.zeros(before, dtype=np.bool_), self._is, np.zeros(after, dtype=np.bool_)])
            self._first -= before
        self._is[numbers - self._first] = True

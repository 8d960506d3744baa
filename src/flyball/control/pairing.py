"""The rows of a release in the order in which they were looked at: later looks only append, whatever comes late or is revised.

A confidence sequence holds at all looks together because what was seen stays as it was seen. After a restart the order is made anew from the records, by
when each row became usable; a row that became usable out of that order before the restart may then stand elsewhere.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from flyball.capture.joined import Pairs
from flyball.capture.taken import Taken

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class PairLog:
    """Of one release at a time."""

    def __init__(self) -> None:
        self._release = ""
        self._seen = Taken()
        self._pairs: Pairs | None = None

    def taken(self, release: str) -> Taken | None:
        """What need not be looked for again. None: nothing of this release was taken."""
        return self._seen if release == self._release else None

    def extend(self, release: str, pairs: Pairs) -> Pairs:
        """All pairs so far, with those that were not there before at the end."""
        if release != self._release or self._pairs is None:
            self._release, self._seen, self._pairs = release, Taken(), _taken(pairs, slice(0))
        new = ~self._seen.has(pairs.rows)
        if new.any():
            fresh = _taken(pairs, new)
            self._pairs = _joined(self._pairs, fresh)
            self._seen.add(fresh.rows)
        return self._pairs


class SliceLog:
    """Of them those that lie in a slice, one release at a time: each row is told once, at the look that brought it."""

    def __init__(self) -> None:
        self._release = ""
        self._met = 0
        self._pairs: Pairs | None = None

    def extend(self, release: str, pairs: Pairs, inside: Callable[[Ints], Bools]) -> Pairs:
        """`pairs`: all so far; later looks only append. `inside`: which of these rows' numbers lie in it."""
        if release != self._release or self._pairs is None:
            self._release, self._met, self._pairs = release, 0, _taken(pairs, slice(0))
        if len(pairs.rows) > self._met:
            chosen = self._met + np.flatnonzero(inside(pairs.rows[self._met :]))
            self._pairs, self._met = _joined(self._pairs, _taken(pairs, chosen)), len(pairs.rows)
        return self._pairs


def _joined(old: Pairs, fresh: Pairs) -> Pairs:
    return Pairs(
        np.concatenate([old.rows, fresh.rows]), np.concatenate([old.at_us, fresh.at_us]),
        np.concatenate([old.first, fresh.first]), np.concatenate([old.second, fresh.second]),
        np.concatenate([old.labels, fresh.labels]),
    )  # fmt: skip


def _taken(pairs: Pairs, chosen: Any) -> Pairs:
    return Pairs(pairs.rows[chosen], pairs.at_us[chosen], pairs.first[chosen], pairs.second[chosen], pairs.labels[chosen])

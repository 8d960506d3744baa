"""Whether the two units' values are distributed alike, asked anew at every look: what was bet on stays bet on, so that a look costs what is new."""

import numpy as np
import numpy.typing as npt

from flyball.stats.two_samples import Difference, TwoSamples


class ShapeLog:
    """Of one release at a time."""

    def __init__(self) -> None:
        self._release = ""
        self._seen = 0
        self._bets = TwoSamples()
        self._found = Difference(0.0, 0.0, 0)

    def extend(self, release: str, values: npt.ArrayLike, second: npt.ArrayLike, blocks: npt.ArrayLike) -> Difference:
        """Of all values so far (n,), as `two_samples` takes them; those of earlier looks come first."""
        if release != self._release:
            self._release, self._seen, self._bets, self._found = release, 0, TwoSamples(), Difference(0.0, 0.0, 0)
        rows, arms, named = (_from(each, self._seen) for each in (values, second, blocks))
        if rows.size:
            self._found, self._seen = self._bets.extend(rows, arms, named), self._seen + rows.size
        return self._found


def _from(values: npt.ArrayLike, first: int) -> npt.NDArray[np.generic]:
    return np.asarray(values)[first:]

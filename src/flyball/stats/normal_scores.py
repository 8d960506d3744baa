"""Normal scores: a value becomes the standard normal quantile of its rank among reference values (van der Waerden 1952).

Whatever the marginal, scores are about standard normal; ties share the middle of their ranks. Kept as knots, with straight lines between them: size does
not grow with the rows. Beyond the outer knots the outer score holds, so that one wild value weighs no more than the reference's extreme.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Knots(NamedTuple):
    values: Floats
    """Ascending, observed."""
    scores: Floats
    """Mean 0 and variance 1 over the reference's present values; all 0 where there is one value only."""


def fit(values: ArrayLike, most: int) -> Knots:
    """At most `most` + 2 knots, evenly over the ranks; `values` (n,), NaN is left out.

    >>> fit([1.0, 2.0, 2.0, 3.0], 9).scores.round(2).tolist()
    [-1.41, 0.0, 1.41]
    """
    present = np.asarray(values, dtype=np.float64)
    present = present[np.isfinite(present)]
    distinct, times = np.unique(present, return_counts=True)
    if distinct.size < 2:
        return Knots(distinct, np.zeros(distinct.size))
    middle = (np.cumsum(times) - times / 2.0) / present.size
    wanted = np.searchsorted(middle, (np.arange(most) + 0.5) / most)
    places = np.unique(np.concatenate(([0], np.minimum(wanted, distinct.size - 1), [distinct.size - 1])))
    knots = distinct[places]
    normal = NormalDist()
    scores = np.asarray([normal.inv_cdf(float(rank)) for rank in middle[places]])
    fitted = np.interp(distinct, knots, scores)
    mean = float(np.average(fitted, weights=times))
    deviation = float(np.sqrt(np.average((fitted - mean) ** 2, weights=times)))
    return Knots(knots, (scores - mean) / deviation)


def of(knots: Knots, values: ArrayLike) -> Floats:
    """Scores of `values` (n,); a missing one is 0, the middle."""
    asked = np.asarray(values, dtype=np.float64)
    if knots.values.size == 0:
        return np.zeros(asked.size)
    scores: Floats = np.where(np.isnan(asked), 0.0, np.interp(asked, knots.values, knots.scores))
    return scores

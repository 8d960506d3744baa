"""Metrics without a bound (latency, money): cut at a bound fixed in advance, and say what the cut hides; most rows zero: whether and how much, apart.

No interval that holds at all looks exists for the mean of an unbounded law (Bahadur & Savage, Annals of Mathematical Statistics 27, 1956: a rare enough, large enough
value has not come yet). So a mean is judged up to a bound, and three numbers go together: the difference of the means of what was cut (`two_means.py`),
the share of rows beyond the bound in each arm (a rate, so `two_means.rate_difference_in_blocks` judges the tail itself), and what the cut took off
each mean, which is only told. A change far beyond the bound that leaves the share beyond it as it was is not found.

The bound must be known before the rows that it cuts: from the champion's rows before the release. It costs width only as far as rows use it.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.sequences import Interval
from flyball.stats.two_means import difference_of_averages
from flyball.stats.two_proportions import rate_difference

Floats = npt.NDArray[np.float64]


class Cut(NamedTuple):
    """`values` (n,) within the bounds; `beyond`: the share of rows that were not; `hidden`: the mean of all rows less that of `values`."""

    values: Floats
    beyond: float
    hidden: float


class Parts(NamedTuple):
    """`presence`: the difference of the shares of rows that are not 0; `size`: of the means among those. Second arm less first."""

    presence: Interval
    size: Interval


def bound_of(earlier: npt.ArrayLike, beyond: float = 0.005) -> float:
    """The bound that a share of `beyond` of `earlier` rows (n,) lies above. At least 10 rows must: fewer do not tell where that is.

    >>> bound_of(range(10_000))
    9949.0
    """
    rows = np.asarray(earlier, dtype=np.float64).reshape(-1)
    if not 0.0 < beyond < 1.0:
        raise ValueError(f"a share between 0 and 1, found {beyond}")
    needed = math.ceil(10.0 / beyond)
    if rows.size < needed or not np.isfinite(rows).all():
        finite = int(np.isfinite(rows).sum())
        raise ValueError(
            f"{needed} finite rows tell where {beyond:g} of them lie beyond, found {finite} of {rows.size}: state a bound, or a larger share"
        )
    return float(np.sort(rows)[rows.size - 1 - round(beyond * rows.size)])


def cut(values: npt.ArrayLike, lower: float, upper: float) -> Cut:
    """`values` (n,), infinities included, kept within fixed bounds. NaN raises ValueError: a missing value is no large one.

    >>> kept = cut([1.0, 2.0, 50.0, 3.0], 0.0, 10.0)
    >>> kept.values.tolist(), kept.beyond, kept.hidden
    ([1.0, 2.0, 10.0, 3.0], 0.25, 10.0)
    """
    rows = np.asarray(values, dtype=np.float64).reshape(-1)
    if np.isnan(rows).any():
        raise ValueError(f"numbers, found {int(np.isnan(rows).sum())} NaN among {rows.size}")
    if not lower < upper:
        raise ValueError(f"a lower bound below the upper, found {lower:g} and {upper:g}")
    kept = np.clip(rows, lower, upper)
    if rows.size == 0:
        return Cut(kept, 0.0, 0.0)
    return Cut(kept, float(np.mean(rows != kept)), float(np.mean(rows - kept)))


def two_parts(first: npt.ArrayLike, second: npt.ArrayLike, alpha: float, most: float) -> Parts:
    """Whether there is anything, and how much, with half of `alpha` each: orders fewer but larger are told from orders equal. Values (n,) in [0, `most`].

    >>> parts = two_parts([0.0, 0.0, 2.0] * 400, [0.0, 2.0, 2.0] * 400, 0.05, 10.0)
    >>> parts.presence.lower > 0.25, parts.size.lower < 0.0 < parts.size.upper
    (True, True)
    """
    a, b = np.asarray(first, dtype=np.float64).reshape(-1), np.asarray(second, dtype=np.float64).reshape(-1)
    some = a[a != 0.0], b[b != 0.0]
    size = difference_of_averages(*some, alpha / 2.0, 0.0, most)
    return Parts(rate_difference(some[0].size, a.size, some[1].size, b.size, alpha / 2.0), size)

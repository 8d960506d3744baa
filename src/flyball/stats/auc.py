"""Intervals for the area under the ROC curve and for the difference of two on the same rows, in O(n log n).

Source: DeLong, DeLong & Clarke-Pearson (Biometrics 44, 1988) by the mid-rank algorithm of Sun & Xu (IEEE Signal Processing Letters 21, 2014).
Assumes that rows are independent of one another; at ONE look. A single area is taken on the logit scale (Pepe 2003, section 5.2), which covers better near 1,
with Student's t of as many rows as the rarer class has. The variance that a few of them show is too small more often than too large where most lie at one end: it
counts beside `SHRUNK` rows of the variance that Hanley & McNeil (Radiology 143, 1982) expect at most. Where the rows show none at all, any law would be sure of
what a handful happen to agree on: there the width is that of so many agreeing rows (Clopper & Pearson, Biometrika 26, 1934). A difference takes a normal
law, and so many of each class (`LEAST`). Rows in blocks: use `bootstrap.py`.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.student import t_quantile

Floats = npt.NDArray[np.float64]

SHRUNK = 3.0
"""Simulated with 2 to 20 rows of a class: without them up to 16 % of 95 % intervals miss an area of 0.9 and more, with them at most 6 %."""
LEAST = 10
"""Rows of each class for a difference: with fewer its deviation is itself a guess, and the interval misses far more often than it claims."""
_ROUNDING = 1e-12
"""Placements are multiples of one over the rows of a class: those that differ by less are equal."""


class AucInterval(NamedTuple):
    """The area, or the second area minus the first, and the ends of its interval."""

    value: float
    lower: float
    upper: float


def roc_auc_interval(labels: npt.ArrayLike, scores: npt.ArrayLike, alpha: float) -> AucInterval:
    """The area with an interval that misses with chance `alpha`.

    `labels`: (n,) 0 and 1; `scores`: (n,) or (n, 1). Raises ValueError without two rows of each class.

    >>> labels, scores = [0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.35, 0.8, 0.3, 0.9]
    >>> value, lower, upper = roc_auc_interval(labels, scores, 0.05)
    >>> round(value, 3), lower < value < upper
    (0.778, True)
    """
    _quantile(alpha)
    truth = _truth(labels)
    area, positive, negative = _placements(truth, _scores(scores, truth.size))
    few = min(positive.size, negative.size)
    return AucInterval(area, *roc_ends(area, _deviation(positive, negative) ** 2, few, alpha))


def roc_ends(area: float, variance: float, few: float, alpha: float) -> tuple[float, float]:
    """Of the interval of an area under the ROC curve. `few`: rows of the rarest class, or as many as their weights are worth."""
    if variance <= _ROUNDING**2:
        return area_ends(area, 0.0, few, alpha)
    expected = area * (1.0 - area) / (2.0 * few)
    return area_ends(area, (few * variance + SHRUNK * expected) / (few + SHRUNK), few, alpha)


def area_ends(area: float, variance: float, few: float, alpha: float) -> tuple[float, float]:
    """The same for any area in [0, 1], with its variance as it is."""
    if variance <= _ROUNDING**2 or not _ROUNDING < area < 1.0 - _ROUNDING:  # of perfect order, too
        doubt = _doubt(alpha, few)
        return max(area - doubt, 0.0), min(area + doubt, 1.0)
    t = t_quantile(1.0 - alpha / 2.0, max(int(few) - 1, 1))
    centre, spread = math.log(area / (1.0 - area)), t * math.sqrt(variance) / (area * (1.0 - area))
    return _expit(centre - spread), _expit(centre + spread)


def roc_auc_difference(labels: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, alpha: float) -> AucInterval:
    """The area of `b` minus that of `a` on the same rows, with an interval that misses with chance `alpha`. The same scores differ by nothing.

    Raises ValueError without LEAST rows of each class.

    >>> labels, scores = [0] * 10 + [1] * 10, list(range(20))
    >>> roc_auc_difference(labels, scores, scores, 0.05)
    AucInterval(value=0.0, lower=0.0, upper=0.0)
    """
    z = _quantile(alpha)
    truth = _truth(labels)
    first, second = _scores(a, truth.size), _scores(b, truth.size)
    fewest = int(min(truth.sum(), truth.size - truth.sum()))
    if fewest < LEAST:
        raise ValueError(f"at least {LEAST} rows of each class to compare two areas, found {fewest} of one")
    if np.array_equal(first, second):
        return AucInterval(0.0, 0.0, 0.0)
    area_a, positive_a, negative_a = _placements(truth, first)
    area_b, positive_b, negative_b = _placements(truth, second)
    positive, negative = positive_b - positive_a, negative_b - negative_a
    deviation, difference = _deviation(positive, negative), area_b - area_a
    spread = z * deviation if deviation > 0.0 else _doubt(alpha, fewest)
    return AucInterval(difference, max(difference - spread, -1.0), min(difference + spread, 1.0))


def _quantile(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"an error rate between 0 and 1, found {alpha}")
    return NormalDist().inv_cdf(1.0 - alpha / 2.0)


def _deviation(positive: Floats, negative: Floats) -> float:
    """Of a mean over both classes; exactly 0 where all rows of each agree."""
    if max(np.ptp(positive), np.ptp(negative)) < _ROUNDING:
        return 0.0
    return math.sqrt(positive.var(ddof=1) / positive.size + negative.var(ddof=1) / negative.size)


def _doubt(alpha: float, rows: float) -> float:
    """The largest share of rows that may be otherwise when so many, independent of one another, all agree: 1 − (alpha/2)^(1/rows)."""
    return float(1.0 - (alpha / 2.0) ** (1.0 / rows))


def _expit(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))  # of any number: a logit of few rows may lie hundreds away


def _truth(labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    values = np.asarray(labels).astype(np.float64)
    if values.ndim != 1 or not np.all((values == 0) | (values == 1)):
        raise ValueError("labels 0 and 1, one a row")
    truth = values == 1
    if min(truth.sum(), truth.size - truth.sum()) < 2:
        raise ValueError(f"at least two rows of each class, found {int(truth.sum())} positive of {truth.size}")
    return np.asarray(truth, dtype=np.bool_)


def _scores(scores: npt.ArrayLike, n: int) -> Floats:
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    if values.size != n or not np.all(np.isfinite(values)):
        raise ValueError(
            f"one finite score for each of {n} rows, found {values.size} of which {int(np.isfinite(values).sum())} are finite"
        )
    return values


def _placements(truth: npt.NDArray[np.bool_], scores: Floats) -> tuple[float, Floats, Floats]:
    """The area; for each positive the share of negatives below it, for each negative the share of positives above it (ties count half)."""
    positive, negative = scores[truth], scores[~truth]
    together = _midranks(scores)
    of_positive = (together[truth] - _midranks(positive)) / negative.size
    of_negative = 1.0 - (together[~truth] - _midranks(negative)) / positive.size
    return float(of_positive.mean()), of_positive, of_negative


def _midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    return ranks

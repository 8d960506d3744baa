"""Confidence sequences of a quantile, and of the difference between two arms' quantiles: of any law, at all looks together.

After Howard & Ramdas (Bernoulli 28, 2022), Theorem 1 and their A/B test: x is refuted as the q-quantile when too few rows are at most x, or too many below x,
for a rate of q. Ties are no trouble: P(X ≤ Q) ≥ q ≥ P(X < Q) always. We mix bets on the count over a grid (`bets.log_above`) instead of by a Beta law or
by stitching. A difference m is refuted when every pair of quantiles that far apart is, by the product of both arms' bets: half as many rows as two
intervals with half the error rate each.

Assumed: whatever came before, the next row of an arm lies at or below its quantile with the same chance q. Independent rows of one law do; latencies that rise and
fall together do not, and neither does a quantile that moves (see `dependence.py`). What needs no such thing is the share of rows beyond a threshold fixed
in advance: `two_means.rate_difference_in_blocks`.

Few rows: an end that nothing refutes is infinite. For alpha 0.05 the upper end of a median is finite from 10 rows, of a 0.95-quantile from 122,
of a 0.99-quantile from 618 (one look: 6, 72 and 368).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.bets import check_alpha, log_above
from flyball.stats.log_buckets import edges_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Sample = npt.ArrayLike | Mapping[int, int]
"""Values (n,) in any order, or counts in the buckets of `log_buckets.py`, whose width then widens the interval: an end by 2.2 % of the value at most,
that of a difference by twice as much."""


class Quantile(NamedTuple):
    """An estimate with the ends of its interval after `n` rows; without rows NaN and infinities."""

    value: float
    lower: float
    upper: float
    n: int


class _Sorted(NamedTuple):
    """Distinct values or buckets, ascending, each (u,): between what it lies, and how many rows are at or below it."""

    least: Floats
    most: Floats
    up_to: Ints

    @property
    def n(self) -> int:
        return int(self.up_to[-1]) if self.up_to.size else 0


def quantile_sequence(sample: Sample, q: float, alpha: float) -> Quantile:
    """The confidence sequence of the `q`-quantile; `alpha`: chance that any of all looks ever misses.

    >>> quantile_sequence(range(1000), 0.5, 0.05)
    Quantile(value=499.0, lower=447.0, upper=552.0, n=1000)
    >>> quantile_sequence(range(20), 0.99, 0.05).upper
    inf
    """
    rows = _sorted(sample, q, alpha)
    if rows.n == 0:
        return Quantile(math.nan, -math.inf, math.inf, 0)
    target = math.log(2.0 / alpha)
    low = _place(rows, _fewest(rows.n, q, np.asarray([target])))[0]
    high = _place(rows, rows.n + 1 - _fewest(rows.n, 1.0 - q, np.asarray([target])))[0]
    lower = -math.inf if low < 0 else float(rows.least[low])
    upper = math.inf if high >= rows.most.size else float(rows.most[high])
    return Quantile(_estimate(rows, q), lower, upper, rows.n)


def quantile_difference(first: Sample, second: Sample, q: float, alpha: float) -> Quantile:
    """The second arm's `q`-quantile less the first's. `n` of the answer is the smaller one. Logarithms of values make it the logarithm of a ratio.

    >>> found = quantile_difference(range(1000), range(200, 1200), 0.5, 0.05)
    >>> found.value, 100 < found.lower, found.upper < 300
    (200.0, True, True)
    """
    a, b = _sorted(first, q, alpha), _sorted(second, q, alpha)
    n = min(a.n, b.n)
    if n == 0:
        return Quantile(math.nan, -math.inf, math.inf, 0)
    value = _estimate(b, q) - _estimate(a, q)
    return Quantile(value, _least_difference(a, b, q, alpha / 2.0), -_least_difference(b, a, q, alpha / 2.0), n)


def _least_difference(a: _Sorted, b: _Sorted, q: float, alpha: float) -> float:
    """The smallest quantile of `b` less that of `a` that the product of their bets does not refute.

    Worst for each quantile of `a` that could be: its own values, and any beyond them all, which alone refutes nothing while rows are few.
    """
    below = np.append(0, a.up_to)  # how many lie below each value of a, and below what is beyond them
    left = math.log(1.0 / alpha) - log_above(below, a.n, q)
    fewest = _fewest(b.n, q, left)
    possible = fewest <= b.n
    places = _place(b, fewest[possible])
    others = np.append(a.most, math.inf)[possible]
    found = np.where(places < 0, -math.inf, b.least[np.maximum(places, 0)]) - np.where(places < 0, 0.0, others)
    return float(found.min(initial=math.inf))


def _fewest(n: int, q: float, log_capital: Floats) -> Ints:
    """How few of `n` rows may lie at or below the q-quantile before the bet that they are too few has more than each of `log_capital`: 0 to n + 1, (m,)."""
    if log_capital.size * n.bit_length() > n:  # cheaper to know all
        falling = log_above(np.arange(n, -1, -1), n, 1.0 - q)
        return np.searchsorted(-falling, -log_capital, side="right")
    low, high = np.zeros(log_capital.size, dtype=np.int64), np.full(log_capital.size, n + 1, dtype=np.int64)
    while np.any(low < high):
        middle = (low + high) // 2
        refuted = (log_above(n - np.minimum(middle, n), n, 1.0 - q) >= log_capital) & (middle <= n)
        low, high = np.where(refuted & (low < high), middle + 1, low), np.where(refuted, high, middle)
    return low


def _place(rows: _Sorted, counts: Ints) -> Ints:
    """Where the value lies that so many rows (m,) are at or below: −1 for none, the number of places for more than there are."""
    return np.where(counts <= 0, -1, np.searchsorted(rows.up_to, counts))


def _estimate(rows: _Sorted, q: float) -> float:
    place = int(np.searchsorted(rows.up_to, max(math.ceil(q * rows.n - 1e-9), 1)))  # 0.07 · 100 is 7.000000000000001
    return float((rows.least[place] + rows.most[place]) / 2.0)


def _sorted(sample: Sample, q: float, alpha: float) -> _Sorted:
    check_alpha(alpha)
    if not 0.0 < q < 1.0:
        raise ValueError(f"a quantile between 0 and 1, found {q}")
    if isinstance(sample, Mapping):
        buckets = np.asarray(sorted(bucket for bucket, times in sample.items() if times), dtype=np.int64)
        counts = np.asarray([sample[bucket] for bucket in buckets.tolist()], dtype=np.int64)
        if counts.size and counts.min() < 0:
            raise ValueError(f"counts of at least 0, found {counts.min()}")
        return _Sorted(*edges_of(buckets), np.cumsum(counts))
    values = np.asarray(sample, dtype=np.float64).reshape(-1)
    if np.isnan(values).any():
        raise ValueError(f"numbers, found {int(np.isnan(values).sum())} NaN among {values.size}")
    distinct, counts = np.unique(values, return_counts=True)
    return _Sorted(distinct, distinct, np.cumsum(counts))

"""Bets that a new value lies higher than earlier ones, from its rank alone: no scale, no tail and no baseline needs to be known.

A conformal p-value of a new value among all earlier ones is uniform while they are exchangeable, and independent of the earlier p-values
(Vovk, Gammerman & Shafer 2005, theorem 8.2). Its normal score z = Φ⁻¹(1 − p) is then standard normal, whatever the law of the values (van der Waerden), so
exp(λz − λ²/2) is an e-value: the likelihood ratio of a shift by λ standard deviations. The smoothing between ties is integrated out, not drawn: a value
that ranks between a and b is worth the mean of the bet over p in [a, b]. For errors that are 0 or 1 that is the likelihood ratio of a Bernoulli whose probit
moved by λ.

Exact where values do not tie; with ties the product of the averaged bets still has mean one at every fixed time, and the tests measure its run length.
The noise of the baseline is part of it: few earlier values can only be worth a small bet.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from statistics import NormalDist

import msgspec

SHIFTS = (0.25, 0.5, 1.0, 1.5, 2.5)
"""In standard deviations of the values. A shift between two of them loses less than a tenth of its growth rate."""
MOST_VALUES = 256
"""Distinct values that are kept. Beyond, neighbours are merged where the share above suffers least, relative to itself."""

_NORMAL = NormalDist()


class Ranks(msgspec.Struct, frozen=True, kw_only=True):
    """A sample as far as ranks need it: ascending distinct values and how often each came."""

    values: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        return sum(self.counts)


def ranks_of(values: Sequence[float]) -> Ranks:
    """A sample of so many values.

    >>> ranks_of([2.0, 1.0, 2.0])
    Ranks(values=(1.0, 2.0), counts=(1, 2))
    """
    counted = sorted(Counter(values).items())
    ranks = Ranks(values=tuple(value for value, _ in counted), counts=tuple(count for _, count in counted))
    while len(ranks.values) > MOST_VALUES:
        ranks = _merged(ranks)
    return ranks


def with_value(ranks: Ranks, value: float) -> Ranks:
    """The sample and one value more."""
    place = bisect_left(ranks.values, value)
    if place < len(ranks.values) and ranks.values[place] == value:
        counts = (*ranks.counts[:place], ranks.counts[place] + 1, *ranks.counts[place + 1 :])
        return Ranks(values=ranks.values, counts=counts)
    grown = Ranks(
        values=(*ranks.values[:place], value, *ranks.values[place:]), counts=(*ranks.counts[:place], 1, *ranks.counts[place:])
    )
    return grown if len(grown.values) <= MOST_VALUES else _merged(grown)


def _merged(ranks: Ranks) -> Ranks:
    """A quarter fewer values. A merged pair counts at its mean: at either of the two, the whole sample would creep that way."""
    values, counts = ranks.values, ranks.counts
    above = list(accumulate(reversed(counts)))[::-1]  # how many lie at or above each value
    costs = [
        (counts[i] + counts[i + 1]) / (above[i + 1] + 1) for i in range(len(counts) - 1)
    ]  # large in the upper tail: it is bet on
    merged: dict[int, tuple[float, int]] = {}
    for i in sorted(range(len(costs)), key=costs.__getitem__):
        if len(merged) == MOST_VALUES // 4:
            break
        if not merged.keys() & {i - 1, i + 1}:
            weight = counts[i] + counts[i + 1]
            merged[i] = ((values[i] * counts[i] + values[i + 1] * counts[i + 1]) / weight, weight)
    kept = [
        merged.get(i, (value, count)) for i, (value, count) in enumerate(zip(values, counts, strict=True)) if i - 1 not in merged
    ]
    return Ranks(values=tuple(value for value, _ in kept), counts=tuple(count for _, count in kept))


def rank_bets(ranks: Ranks, value: float) -> tuple[float, ...]:
    """One e-value per shift for: `value` is exchangeable with the sample. Above one when it ranks high.

    >>> [round(bet, 2) for bet in rank_bets(ranks_of(range(19)), 18.5)]
    [1.63, 2.52, 5.19, 8.85, 16.08]
    """
    n = ranks.n
    low, high = bisect_left(ranks.values, value), bisect_right(ranks.values, value)
    ties = sum(ranks.counts[low:high])
    above = sum(ranks.counts[high:])
    return _bets(above, ties, n)


def _bets(above: int, ties: int, n: int) -> tuple[float, ...]:
    """The mean of exp(λz − λ²/2) over p in [a, b] is (Φ(z_a − λ) − Φ(z_b − λ)) / (b − a)."""
    a, b = above / (n + 1), (above + ties + 1) / (n + 1)
    upper = math.inf if a <= 0.0 else _NORMAL.inv_cdf(1.0 - a)
    lower = -math.inf if b >= 1.0 else _NORMAL.inv_cdf(1.0 - b)
    return tuple((_phi(upper - shift) - _phi(lower - shift)) / (b - a) for shift in SHIFTS)


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))

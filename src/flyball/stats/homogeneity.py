"""Do rows of several strata have a thing equally often? Pearson's chi-square with small strata put together.

Strata that stay small together go to the smallest of the others: one of 20 rows beside 1,000 is beyond the chi-square's 0.1 % in 1.3 % of draws, where a thing is
rare. Two of which one is small are not compared; Fisher's exact test (hypergeometric.py) does. Of layers in which no more than that is left, the small ones are
added over the layers, each beside the rest of its own.

Source: Pearson (1900); over layers Mantel & Haenszel (JNCI 22, 1959); the p-value by Wilson & Hilferty's cube root (PNAS 17, 1931), within 3 %
of itself down to 1e-6 from 2 degrees of freedom on.
Assumes independent rows; at ONE look.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_LEAST_EXPECTED = 5.0
"""Cochran's rule: below it the chi-square law is off."""


def homogeneity_p(having: npt.ArrayLike, rows: npt.ArrayLike) -> float:
    """p-value of groups that all have the same share. (n_groups,) counts each; 1 where there is nothing to compare.

    With (n_layers, n_groups) groups are compared within each layer, and the statistics added: layers may differ.

    >>> round(homogeneity_p([10, 20], [100, 100]), 3)
    0.048
    >>> round(homogeneity_p([[10, 20], [80, 80]], [[100, 100], [100, 100]]), 3)
    0.141
    """
    layers = list(zip(np.atleast_2d(np.asarray(having)), np.atleast_2d(np.asarray(rows)), strict=True))
    parts = [_statistic(*layer) for layer in layers]
    parts.append(_of_small([layer for layer, (_, degree) in zip(layers, parts, strict=True) if not degree]))
    degrees = sum(degree for _, degree in parts)
    return _chi_square_tail(sum(value for value, _ in parts), degrees) if degrees else 1.0


def _statistic(having: Ints, rows: Ints) -> tuple[float, int]:
    """(chi-square, degrees of freedom) of one layer."""
    with_it, of = having[rows > 0].astype(np.float64), rows[rows > 0].astype(np.float64)
    if not 0 < with_it.sum() < of.sum():
        return 0.0, 0
    share = with_it.sum() / of.sum()
    rare = min(share, 1.0 - share)
    order = np.argsort(of, kind="stable")
    with_it, of = with_it[order], of[order]
    small = int(np.count_nonzero(of * rare < _LEAST_EXPECTED))
    together = np.cumsum(of) * rare >= _LEAST_EXPECTED
    if small:
        first = max(small, int(np.argmax(together)) + 1)
        with_it = np.append(with_it[first:], with_it[:first].sum())
        of = np.append(of[first:], of[:first].sum())
    if of.size < 2:
        return 0.0, 0
    return float(((with_it - of * share) ** 2 / (of * share * (1.0 - share))).sum()), of.size - 1


def _of_small(layers: Sequence[tuple[Ints, Ints]]) -> tuple[float, int]:
    """What is too small in each of these layers, beside the rest of its layer, added over all: one degree of freedom, where that is not small together."""
    apart = variance = expected = size = 0.0
    for having, rows in layers:
        n, k = float(rows.sum()), float(having.sum())
        if not 0.0 < k < n:
            continue
        small = rows * min(k, n - k) / n < _LEAST_EXPECTED
        if small.all():
            small = rows < rows.max()
        m = float(rows[small].sum())
        apart += float(having[small].sum()) - m * k / n
        variance += m * (n - m) * k * (n - k) / (n * n * (n - 1.0))
        expected, size = expected + m * k / n, size + m
    if min(expected, size - expected) < _LEAST_EXPECTED or variance <= 0.0:
        return 0.0, 0
    return apart * apart / variance, 1


def _chi_square_tail(statistic: float, degrees: int) -> float:
    if degrees == 1:
        return math.erfc(math.sqrt(statistic / 2.0))
    if degrees == 2:
        return math.exp(-statistic / 2.0)
    spread = 2.0 / (9.0 * degrees)
    z = ((statistic / degrees) ** (1.0 / 3.0) - (1.0 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2.0))

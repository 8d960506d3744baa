"""Does a histogram of a sample differ from that of the rest, in any way?"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.stats import hypergeometric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_EXPECTED = 8.0
"""Rows of the smaller side expected in a bin. With fewer the statistic is no chi-square any more: bins are merged first."""


def merged_in_order(everything: ArrayLike, smaller: float, most_bins: int) -> Ints:
    """Group number per bin: neighbours merged until each group expects FEWEST_EXPECTED of the `smaller` side's rows and there are about `most_bins`."""
    t = np.asarray(everything, dtype=np.float64)
    total = float(t.sum())
    least = max(FEWEST_EXPECTED * total / max(smaller, 1.0), total / most_bins)
    groups, number, held = np.zeros(t.size, dtype=np.int64), 0, 0.0
    for place, count in enumerate(t.tolist()):
        if held >= least * 0.999:
            number, held = number + 1, 0.0
        groups[place] = number
        held += count
    if number and held < least * 0.999:
        groups[groups == number] = number - 1
    return groups


def merged_if_rare(everything: ArrayLike, smaller: float, rest: int) -> Ints:
    """Group number per bin: a bin that expects too few rows of the `smaller` side shares group 0 with bin `rest` and others of its kind."""
    t = np.asarray(everything, dtype=np.float64)
    common = t * smaller >= FEWEST_EXPECTED * t.sum()
    common[rest] = False
    groups = np.where(common, np.cumsum(common), 0)
    rare = float(t[~common].sum())
    if common.any() and rare * smaller < FEWEST_EXPECTED * t.sum():
        groups[~common] = int(groups[int(np.argmin(np.where(common, t, np.inf)))])
    return groups


def statistic_and_p(sample: ArrayLike, everything: ArrayLike) -> tuple[float, float, float]:
    """The likelihood ratio G² of a 2 × k table by Williams' correction (1976, Biometrika 63), its p-value, and its degrees of freedom; (0, 1, 0) for fewer than
    two bins in use.

    Assumes exchangeable rows. The reference's counts are a sample like the window's, never the truth. exp(−G²/2) is how likely a table is, so the tail stays that of
    chi-square where many features ask for p-values of 10⁻⁵: simulated 0.9 to 1.5 times the level there. Pearson's X², with its exact mean and variance, is
    beyond it three times as often, since a bin that expects eight rows is skewed. Two bins: Fisher's exact p-value.

    >>> statistic, p, df = statistic_and_p([30, 10, 10], [100, 100, 100])
    >>> round(statistic, 2), round(p, 5), round(df)
    (17.88, 0.00013, 2)
    """
    from scipy.special import gammaincc, xlogy

    n, t = np.asarray(sample, dtype=np.float64), np.asarray(everything, dtype=np.float64)
    n, t = n[t > 0], t[t > 0]
    drawn, total, k = float(n.sum()), float(t.sum()), t.size
    rest = total - drawn
    if k < 2 or drawn <= 0 or rest <= 0:
        return 0.0, 1.0, 0.0
    ratio = 2.0 * float(np.sum(xlogy(n, n * total / (drawn * t)) + xlogy(t - n, (t - n) * total / (rest * t))))
    sides, bins = total * (1.0 / drawn + 1.0 / rest) - 1.0, total * float(np.sum(1.0 / t)) - 1.0
    statistic = max(ratio, 0.0) / (1.0 + sides * bins / (6.0 * total * (k - 1.0)))
    if k == 2:
        return statistic, hypergeometric.exact_p(int(n[0]), int(drawn), int(t[0]), int(total)), 1.0
    return statistic, float(gammaincc((k - 1.0) / 2.0, statistic / 2.0)), k - 1.0

"""Does a histogram of a sample differ from that of the rest, in any way?"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_EXPECTED = 8.0
"""Rows of the smaller side expected in a bin. With fewer the tail at 10⁻⁵ is too heavy for the gamma distribution: bins are merged first."""


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
    """Pearson's two-sample X², its p-value, and its degrees of freedom; (0, 1, 0) for fewer than two bins in use.

    Both margins are fixed, as sampling without replacement fixes them: mean and variance of X² are then exact (Haldane 1940), and the tail is
    that of the gamma distribution with these two moments. The reference's counts are a sample like the window's, never the truth.

    >>> statistic, p, df = statistic_and_p([30, 10, 10], [100, 100, 100])
    >>> round(statistic, 2), round(p, 5), round(df)
    (19.2, 6e-05, 2)
    """
    from scipy.special import gammaincc

    n, t = np.asarray(sample, dtype=np.float64), np.asarray(everything, dtype=np.float64)
    n, t = n[t > 0], t[t > 0]
    drawn, total, k = float(n.sum()), float(t.sum()), t.size
    rest = total - drawn
    if k < 2 or drawn <= 0 or rest <= 0 or total < 4:
        return 0.0, 1.0, 0.0
    statistic = float(np.sum((n - drawn * t / total) ** 2 / t)) * total * total / (drawn * rest)
    mean, variance = _moments(drawn, rest, t)
    if variance <= 0:
        return statistic, 1.0, k - 1.0
    scale = variance / mean
    return statistic, float(gammaincc(mean / scale, statistic / scale)), k - 1.0


def _moments(drawn: float, rest: float, t: Floats) -> tuple[float, float]:
    """Mean and variance of X² in a 2 × k table of fixed margins (Haldane 1940; Lewis, Saunders & Westcott 1984)."""
    total, k = float(t.sum()), t.size
    mean = total * (k - 1) / (total - 1)

    def parts(count: float, inverse: float) -> tuple[float, float]:
        return (count - 1) * (total - count) / (total - 1), (total * inverse - count**2) / (total - 2)

    v1, w1 = parts(2.0, 1.0 / drawn + 1.0 / rest)
    v2, w2 = parts(float(k), float(np.sum(1.0 / t)))
    return mean, 2 * total / (total - 3) * (v1 - w1) * (v2 - w2) + total**2 / (total - 1) * w1 * w2

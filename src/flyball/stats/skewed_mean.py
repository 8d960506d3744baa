"""An interval for a mean of skewed rows: Student's t, transformed until its law is symmetric.

Source: P. Hall, On the removal of skewness by transformation, J. R. Statist. Soc. B 54 (1992), the cubic (3): with γ the standardised third cumulant of the
mean, T + γT²/3 + γ²T³/27 + γ/6 is symmetric to the next order, and is inverted in closed form. Where large errors are rare a symmetric interval lies too low:
rows that happen to hold none of them have a low mean and a low deviation at once.

Simulated (1,500 draws each), misses of 95 % intervals of RMSE with 100 / 300 / 1,000 / 3,000 rows, in %, and of the symmetric interval:

====================  =========================  ===========================
errors                here                       symmetric
====================  =========================  ===========================
normal                5.3 / 4.1 / 5.5 / 4.7      6.0 / 6.1 / 4.6 / 4.1
exponential           6.5 / 5.3 / 5.7 / 5.4      10.6 / 7.2 / 5.1 / 4.5
t with 5 degrees      7.2 / 7.4 / 6.9 / 6.5      11.9 / 9.5 / 7.8 / 6.4
log-normal, σ = 1     11.5 / 9.7 / 11.0 / 9.6    32.3 / 24.6 / 19.2 / 12.1
gamma in 2 % of rows  28.3 / 7.5 / 4.7 / 5.5     41.5 / 24.1 / 14.3 / 9.2
====================  =========================  ===========================

Normal errors' intervals are 3 % wider at 100 rows, and less than 1 % from 300 on. What the rows hold no trace of no interval covers: two errors in a hundred rows.
"""

import math
from typing import NamedTuple

STRAIGHT = 1e-6
"""Skewness below it changes an end by less than a millionth of the error, and the transformation would divide by it."""
CARRIED_BY_FEW = 0.4
"""Skewness of the mean from which what a sample tells of it is not enough. Of the simulations above, those whose intervals miss in 9 % and more have it in 48 to
100 % of the draws; those of normal errors in 3 % at 100 rows, and never from 300 on."""


class Moments(NamedTuple):
    """Of a mean, as a sample tells them."""

    value: float
    error: float
    skewness: float
    """Standardised third cumulant of the mean, from -1 to 1: that of the rows over √n where they count alike."""


def ends(mean: Moments, t: float) -> tuple[float, float]:
    """Interval of the mean, with `t` the quantile of Student's t for its level.

    >>> [round(end, 2) for end in ends(Moments(10.0, 1.0, 0.0), 2.0)]
    [8.0, 12.0]
    >>> [round(end, 2) for end in ends(Moments(10.0, 1.0, 0.3), 2.0)]
    [8.34, 12.73]
    """
    lower = mean.value - mean.error * _untransformed(t, mean.skewness)
    upper = mean.value - mean.error * _untransformed(-t, mean.skewness)
    return min(lower, mean.value), max(upper, mean.value)


def _untransformed(symmetric: float, skewness: float) -> float:
    if abs(skewness) < STRAIGHT:
        return symmetric
    return 3.0 / skewness * (math.cbrt(1.0 + skewness * (symmetric - skewness / 6.0)) - 1.0)

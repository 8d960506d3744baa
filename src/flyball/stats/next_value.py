"""Is the next value higher than the earlier ones? Student's t of a one-step prediction: recursive residuals (Brown, Durbin & Evans 1975, eq. 5).

Assumes independent normal values of one mean and one variance, neither of which needs to be known: their noise is part of the null, so that few earlier
values can be contradicted by little. Under it each p-value is uniform and independent of those before it (ibid., lemma 1; Basu 1955).
Means of hundreds of bounded values are normal enough; values that share rare luck (storms) are not.
"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from flyball.stats.common_mean import Measured, common_mean
from flyball.stats.student import t_upper_tail


def upper_tail(value: float, earlier: Sequence[float]) -> float:
    """Chance of a next value as high as this one. 1 where fewer than two earlier ones, or equal ones, say nothing of their spread.

    >>> round(upper_tail(3.0, [0.1, -0.9, 0.4, 1.2, -0.6, -0.2]), 3)
    0.007
    """
    k = len(earlier)
    spread = stdev(earlier) if k >= 2 else 0.0
    if spread == 0.0:
        return 1.0
    return t_upper_tail((value - fmean(earlier)) / (spread * math.sqrt(1.0 + 1.0 / k)), k - 1)


def upper_tail_of_unequal(latest: Measured, earlier: Sequence[Measured], least_spread: float) -> float:
    """Where values vary by different amounts, known but for a common factor. Of equal ones it is `upper_tail`.

    `least_spread`: of that factor; values that hardly vary by luck are taken to vary so.
    """
    k = len(earlier)
    if k < 2:
        return 1.0
    mean, variance = common_mean(earlier)
    factor = max(math.sqrt(sum(((each.value - mean) / each.spread) ** 2 for each in earlier) / (k - 1)), least_spread)
    return t_upper_tail((latest.value - mean) / (factor * math.sqrt(latest.spread**2 + variance)), k - 1)

"""Is the next value higher than the earlier ones? Student's t of a one-step prediction: recursive residuals (Brown, Durbin & Evans 1975, eq. 5).

Assumes independent normal values of one mean and one variance, neither of which needs to be known: their noise is part of the null, so that few earlier
values can be contradicted by little. Under it each p-value is uniform and independent of those before it (ibid., lemma 1; Basu 1955).
Means of hundreds of bounded values are normal enough; values that share rare luck (storms) are not.
"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from flyball.stats.student import t_upper_tail


def upper_tail(value: float, earlier: Sequence[float], least_spread: float = 0.0) -> float:
    """Chance of a next value as high as this one. 1 where fewer than two earlier ones, or equal ones, say nothing of their spread.

    `least_spread`: a standard deviation that is known to be exceeded; values that hardly vary by luck are taken to vary so.

    >>> round(upper_tail(3.0, [0.1, -0.9, 0.4, 1.2, -0.6, -0.2]), 3)
    0.007
    """
    k = len(earlier)
    spread = max(stdev(earlier), least_spread) if k >= 2 else 0.0
    if spread == 0.0:
        return 1.0
    return t_upper_tail((value - fmean(earlier)) / (spread * math.sqrt(1.0 + 1.0 / k)), k - 1)

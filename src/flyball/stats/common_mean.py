"""Values that vary by different amounts about one mean which nobody knows, made comparable.

A mean of n rows over its own standard error will not do: what all of them share, a departure that lasts or the error of what they are compared with, grows
with the root of n there, and a longer window looks like a change. About their common mean, and over what each then varies by, they are of one law.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

LEAST_LEFT = 1e-9
"""Of a value's variance, after the mean. A value alone leaves none: rounding would be divided by rounding."""
DIGITS = 6
"""After the point. Values that are equal tie: what the mean's rounding leaves of them is no rank."""


class Measured(NamedTuple):
    value: float
    spread: float
    """Standard deviation about the common mean, above 0."""


def common_mean(values: Sequence[Measured]) -> tuple[float, float]:
    """The mean, weighted by precision, and its variance."""
    weights = [1.0 / each.spread**2 for each in values]
    return sum(weight * each.value for weight, each in zip(weights, values, strict=True)) / sum(weights), 1.0 / sum(weights)


def standardised(values: Sequence[Measured]) -> tuple[float, ...]:
    """Each about the mean of all, in what it then varies by. Of equal spreads the ranks are those of the values.

    >>> standardised([Measured(0.1, 0.04), Measured(0.12, 0.02), Measured(0.11, 0.02)])
    (-0.353553, 0.447214, -0.223607)
    """
    if not values:
        return ()
    mean, variance = common_mean(values)
    left = [max(each.spread**2 - variance, LEAST_LEFT * each.spread**2) for each in values]
    return tuple(round((each.value - mean) / math.sqrt(of), DIGITS) for each, of in zip(values, left, strict=True))

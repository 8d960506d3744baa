"""Student's t, without a library of 80 MB for one number."""

import math
from statistics import NormalDist


def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t: exact for 1 and 2 degrees of freedom, else Fisher's expansion to 1/ν⁴ (Abramowitz & Stegun 26.7.5).

    The expansion is within 1 % from ν = 3 for 0.9 ≤ p ≤ 0.99.

    Raises ValueError outside 0 < probability < 1 or below one degree.

    >>> round(t_quantile(0.95, 11), 3)
    1.796
    """
    if not 0.0 < probability < 1.0 or degrees < 1:
        raise ValueError(
            f"expected a probability between 0 and 1 and at least one degree of freedom, found {probability} and {degrees}"
        )
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    if degrees == 2:
        return (2.0 * probability - 1.0) / math.sqrt(2.0 * probability * (1.0 - probability))
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))


def t_upper_tail(statistic: float, degrees: int) -> float:
    """P(T > statistic), exact: the finite sums of Abramowitz & Stegun 26.7.3 and 26.7.4. O(degrees).

    Raises ValueError below one degree.

    >>> round(t_upper_tail(1.7959, 11), 4)
    0.05
    """
    if degrees < 1:
        raise ValueError(f"expected at least one degree of freedom, found {degrees}")
    theta = math.atan2(statistic, math.sqrt(degrees))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = degrees % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(1 if odd else 0, degrees - 1, 2):
        total += term
        term *= cosine * cosine * (k + 1.0) / (k + 2.0)
    central = 2.0 / math.pi * (theta + sine * total) if odd else sine * total
    return min(max(0.5 * (1.0 - central), 0.0), 1.0)

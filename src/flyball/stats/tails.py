"""How unlikely a score is beyond all that were seen: a conformal rank with a heavy tail, and bets on it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flyball.stats import conformal

HEAVIEST, LIGHTEST = 1.0, 4.0
"""Tail indices. A lighter tail than x⁻⁴ is never believed: a hundred scores do not show one, and a p-value too small is a false alarm."""
TAIL_SHARE, FEWEST_TAIL = 0.1, 5
LEVELS = (2.0**-2, 2.0**-4, 2.0**-7, 2.0**-10, 2.0**-13, 2.0**-17)
"""The large ones win slowly on what lasts; the last, with a thousand windows' budget divided among several detectors, in a single window."""
RESERVE = 0.2
"""Share of each bet that is kept: a usual window costs a factor of 5, not everything."""


def tail_p(past: npt.ArrayLike, score: float, uniform: float, least: float = 0.0) -> float:
    """Conformal p-value of a high `score`; above all of `past` and `least` its place in the lowest cell is (score / highest)^−α instead of by lot.

    Uniform for exchangeable scores whose tail beyond the highest is Pareto of index α; conservative when it is lighter. α: Hill (1975) on the upper tenth.
    `least`: a score that is not far on its own scale; where all of `past` is 0 there is no other.

    >>> past = [0.1 * k for k in range(1, 100)]
    >>> tail_p(past, 5.05, 0.5), round(tail_p(past, 99.0, 0.5), 8)
    (0.495, 1e-06)
    """
    earlier = np.asarray(past, dtype=np.float64)
    highest = max(float(earlier.max(initial=0.0)), least)
    if highest <= 0.0 or score <= highest:
        return conformal.conformal_p(earlier, score, uniform)
    return float((score / highest) ** -tail_index(earlier) / (earlier.size + 1))


def tail_index(scores: npt.ArrayLike) -> float:
    """Hill's estimate, between HEAVIEST and LIGHTEST; HEAVIEST where there are too few positive scores to tell."""
    values = np.sort(np.asarray(scores, dtype=np.float64))[::-1]
    k = max(int(TAIL_SHARE * values.size), FEWEST_TAIL)
    if values.size <= k or values[k] <= 0.0:
        return HEAVIEST
    mean = float(np.mean(np.log(values[:k] / values[k])))
    return LIGHTEST if mean <= 0.0 else min(max(1.0 / mean, HEAVIEST), LIGHTEST)


def tail_bets(p: float, levels: Sequence[float] = LEVELS) -> tuple[float, ...]:
    """One e-value per level a for a uniform p: (1 − r)/a when p ≤ a, plus r."""
    return tuple((1.0 - RESERVE) / level * (p <= level) + RESERVE for level in levels)

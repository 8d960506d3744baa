"""The difference between two arms' rates at all looks together, from four totals: how many of how many in each arm.

Estimand: the running average of conditional rates of the second arm's rows less that of the first's. Nothing is assumed of the dependence within or between
the arms, nor of their sizes. Averages of each arm's own rows: where the arms' shares change while the rates do, compare within blocks instead
(`two_means.rate_difference_in_blocks`), or a release that grows during a bad hour looks bad.

Each arm bets against a rate of its own (`bets.log_above`): for every pair of rates (p₁, p₂) the product of the two capitals is at most a supermartingale if
those are the averages. A difference m is refuted when even the best pair with p₂ − p₁ = m is: the safe test of a composite null (Turner, Ly & Grünwald,
Statistics & Probability Letters, 2024), by its infimum over the null. Two intervals with half the error rate each, the usual way, must both be left and
come out wider: half widths for alpha 0.05 in units of the standard error of the difference, this / two such intervals / in blocks / an interval for one look,

    50 of 1,000 and 70 of 1,000            3.5   4.7   3.4 to 3.7   1.96
    500 of 10,000 and 700 of 10,000        4.1   4.8   3.5          1.96
    50,000 of 1,000,000 and 3,500 of 50,000  4.4   4.7   3.5          1.96
    20 of 10,000 and 40 of 10,000          3.4   4.6   3.7          1.96
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from flyball.stats.bets import check_alpha, least_gap, least_rate, log_above
from flyball.stats.sequences import Interval

Floats = npt.NDArray[np.float64]

_KEPT = 0.05
"""Part of each arm's capital that is not bet. Beside a hundred times the rows of the other arm its smallest bet is too large for rates that are a little off its own:
what it lost there would let the other arm be anything. Costs some 1 % of width where the arms are alike."""


def rate_difference(count: int, n: int, other_count: int, other_n: int, alpha: float) -> Interval:
    """The second rate minus the first. `n` of the answer is the smaller one; without rows in both: 0 and the whole range.

    >>> interval = rate_difference(50, 1000, 140, 1000, 0.05)
    >>> interval.lower > 0.04, round(interval.mean, 2), interval.upper < 0.14
    (True, 0.09, True)
    """
    check_alpha(alpha)
    for found, rows in ((count, n), (other_count, other_n)):
        if not 0 <= found <= rows:
            raise ValueError(f"a count between 0 and {rows}, found {found}")
    if min(n, other_n) == 0:
        return Interval(0.0, -1.0, 1.0, 0)
    lower = _least_difference(count, n, other_count, other_n, alpha / 2.0)
    upper = -_least_difference(other_count, other_n, count, n, alpha / 2.0)
    return Interval(other_count / other_n - count / n, max(lower, -1.0), min(upper, 1.0), min(n, other_n))


# A release that waits is looked at every few seconds, and its counts change once a minute.
@lru_cache(256)
def _least_difference(count: int, n: int, other_count: int, other_n: int, alpha: float) -> float:
    return least_gap(
        lambda rates: np.logaddexp(math.log(1.0 - _KEPT) + log_above(n - count, n, 1.0 - rates), math.log(_KEPT)),
        lambda log_capital: _least_rate(other_count, other_n, log_capital),
        (0.0, 1.0),
        math.log(1.0 / alpha),
    )


def _least_rate(count: int, n: int, log_capital: Floats) -> Floats:
    """As `least_rate`, with what is kept; infinite where that alone is more than the capital may be."""
    most = np.full(log_capital.shape, np.inf)
    possible = log_capital > math.log(_KEPT)
    at_stake = log_capital[possible] + np.log1p(-_KEPT * np.exp(-log_capital[possible])) - math.log(1.0 - _KEPT)
    most[possible] = least_rate(count, n, at_stake)
    return most

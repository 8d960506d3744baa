"""Bets at many rates at once: what the confidence sequences of this room share.

A bet at one rate λ is best for one size of difference and one number of rows. A mixture over a geometric grid costs little against the best of
them (about 1.4 in the logarithm of the capital) and needs no guess. By Ville's inequality (1939) the capital ever reaches 1/α with a chance of at most α.

For outcomes of 0 or 1 (or any in [0, 1]) with conditional means μᵢ, and r > 0,

    (1 + r)^Σxᵢ / (1 + r·μ̄)ⁿ ≤ Π (1 + r)^xᵢ / (1 + r·μᵢ),

since the logarithm is concave (Jensen); the right side is a supermartingale because (1 + r)^x ≤ 1 + r·x on [0, 1]. So the left side tests the running average
μ̄ of conditional means, whatever the dependence, from a count alone (mixture martingales: Kaufmann & Koolen, JMLR 22, 2021; Howard et al. 2021, sub-Bernoulli case).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Grid(NamedTuple):
    """Rates λ·range of bets and the logarithms of their weights, both (k,)."""

    rates: Floats
    log_weights: Floats


def _grid(first: int, last: int, middle: int, spread: float) -> Grid:
    """1.1 · 1.4ⁱ. A Cauchy shape of weights: any λ far from the middle costs only the logarithm of its distance squared."""
    steps = np.arange(first, last + 1)
    weights = 1.0 / (1.0 + ((steps - middle) / spread) ** 2)
    return Grid(np.asarray(1.1 * 1.4**steps, dtype=np.float64), np.log(weights / weights.sum()))


ROWS = _grid(-14, 10, 0, 2.5)
"""From 0.01 (millions of rows) to 32 (rare events), most weight at 0.5 to 2: paired differences, which vary little within their range. Neighbours
closer than a factor 1.4 gain less than 1 % of width."""
COUNTS = _grid(-20, 10, -2, 3.0)
"""Most weight at 0.1 to 0.7: rates of 0.01 to 0.5 after 500 to 50,000 rows. From 0.001, which the larger of two arms of very different size needs."""
REACH = 0.95
"""Largest λ(cᵢ − lower): at 1 a single observation at the end of the range would lose the whole capital for ever."""
_NEWTON_STEPS = 40
"""Newton's method climbs monotonically to the root from below and needs fewer than ten steps; this only bounds the loop."""
_POINTS, _ZOOMS = 33, 6
"""Each zoom narrows the search for the worst pair of means 16-fold: it ends within 1e-7 of the range, and the gap, flat there, within far less."""
_BELOW, _BEYOND = -30.0, 50.0
"""Of the logarithm that `least_rate` starts from: e^50 is beyond every rate, and left of 1 − e^-30 a row of one arm beside a million of the other would take the
logarithm of 0. Without these bounds an arm with 200 times the rows of the other makes the answer NaN."""


def check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"an error rate between 0 and 1, found {alpha}")


def log_sum(logarithms: Floats) -> Floats:
    """log Σ exp over the last axis."""
    top = logarithms.max(axis=-1)
    total: Floats = top + np.log(np.exp(logarithms - top[..., None]).sum(axis=-1))
    return total


def least_sum(capital: Floats, grid: Grid, log_capital: float | Floats) -> Floats:
    """The smallest Σ μᵢ that is not refuted: m where log Σₖ wₖ exp(capitalₖ − λₖ m) is `log_capital`, (n,) of capital (n, rates) or (1, rates).

    By Newton from the left: the function is convex and falling, so each step stays left of the root and stopping early is only ever wider.
    """
    target = np.atleast_1d(np.asarray(log_capital, dtype=np.float64))
    weighted, rates = capital + grid.log_weights, grid.rates
    m: Floats = np.max((weighted - target[:, None]) / rates, axis=1)
    for _ in range(_NEWTON_STEPS):
        exponents = weighted - rates * m[:, None]
        top = exponents.max(axis=1)
        terms = np.exp(exponents - top[:, None])
        total = terms.sum(axis=1)
        step = (top + np.log(total) - target) * total / (terms @ rates)
        m = m + np.maximum(step, 0.0)
        if np.all(step <= 1e-9 * (1.0 + np.abs(m))):
            break
    return m


def log_above(counts: npt.ArrayLike, n: int, rates: npt.ArrayLike) -> Floats:
    """The logarithm of the capital of a bet that the average conditional rate is above each of `rates`, after `counts` of `n`; both (m,) or one number.

    Falls and is convex in the rate. That the rate is *below* p is `log_above(n − count, n, 1 − p)`.

    >>> bool(log_above(30, 100, 0.1)[0] > np.log(20) > log_above(12, 100, 0.1)[0])
    True
    """
    counted, means = np.atleast_1d(np.asarray(counts, dtype=np.float64)), np.atleast_1d(np.asarray(rates, dtype=np.float64))
    won = counted[:, None] * np.log1p(COUNTS.rates)
    return log_sum(won - n * np.log1p(means[:, None] * COUNTS.rates) + COUNTS.log_weights)


def least_rate(count: int, n: int, log_capital: npt.ArrayLike) -> Floats:
    """The smallest rate, for each logarithm of capital (m,), at which `log_above` is no more than that; may lie outside [0, 1]. Newton as in `least_sum`.
    Infinite where every rate that there is is refuted by far."""
    target = np.atleast_1d(np.asarray(log_capital, dtype=np.float64))
    won = count * np.log1p(COUNTS.rates) + COUNTS.log_weights
    exponents = (won - target[:, None]) / n
    refuted = exponents.max(axis=1) > _BEYOND
    rate: Floats = np.max(np.expm1(np.clip(exponents, _BELOW, _BEYOND)) / COUNTS.rates, axis=1)
    for _ in range(_NEWTON_STEPS):
        inner = 1.0 + rate[:, None] * COUNTS.rates
        exponents = won - n * np.log(inner)
        top = exponents.max(axis=1)
        terms = np.exp(exponents - top[:, None])
        total = terms.sum(axis=1)
        step = (top + np.log(total) - target) * total / (n * (terms * COUNTS.rates / inner).sum(axis=1))
        rate = rate + np.maximum(step, 0.0)
        if np.all(step <= 1e-12 + 1e-9 * np.abs(rate)):
            break
    found: Floats = np.where(refuted, np.inf, rate)
    return found


def least_gap(
    log_below: Callable[[Floats], Floats], least: Callable[[Floats], Floats], between: tuple[float, float], log_capital: float
) -> float:
    """The smallest m₂ − m₁ that the product of two arms' capitals does not refute, m₁ in `between`.

    `log_below`: of the bet that the first arm's mean is below each of some numbers; `least`: the smallest mean of the second at which the bet that it is
    above has no more than each of some logarithms. Both capitals are convex in the mean, so the pairs form a convex set, and the gap is convex in m₁.
    """
    lowest, highest = between
    gap = np.inf
    for _ in range(_ZOOMS):
        means = np.linspace(lowest, highest, _POINTS)
        gaps = least(log_capital - log_below(means)) - means
        best = int(np.argmin(gaps))
        gap = float(gaps[best])
        lowest, highest = float(means[max(best - 1, 0)]), float(means[min(best + 1, _POINTS - 1)])
    return gap

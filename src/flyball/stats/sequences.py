"""Confidence sequences: intervals that hold at every look together, so that looking often costs nothing.

Estimand: the running average of conditional means, (1/t) Σ E[xᵢ | x₁ … xᵢ₋₁]. For exchangeable rows that is the mean; for a world that
drifts it is the average so far. Nothing is assumed of the dependence between observations, only that each lies in the stated range
and that the order given is the order in which they became known.

Source: the step inside the proof of Theorem 4 of Howard, Ramdas, McAuliffe & Sekhon (Annals of Statistics 49, 2021; also Choe & Ramdas,
"Comparing sequential forecasters", 2023). For a predictable centre cᵢ and a rate λ with λ(cᵢ − lower) < 1,

    Π (1 + λ(xᵢ − cᵢ)) · exp(−λ(μᵢ − cᵢ))

is a non-negative supermartingale, since E[1 + λ(xᵢ − cᵢ)] = 1 + λ(μᵢ − cᵢ) ≤ exp(λ(μᵢ − cᵢ)). Their empirical-Bernstein bound then replaces
log(1 + y) by y − ψ(λ)y²; we keep the logarithm, which is never wider. A mixture over a grid of λ and Ville's inequality give the sequence.

Tuning: the grid is geometric in λ·range, with most of its weight between 0.5 and 2: the best rates for paired Brier differences with a
standard deviation of 0.08 in [−1, 1] at 1,000 to 10,000 rows. There the half width for alpha 0.05 is 0.0093 at 1,000 rows, 0.0051 at 2,500 and
0.0025 at 10,000 (empirical Bernstein under the same mixture: 0.0112 to 0.0146, 0.0063 to 0.0075 and 0.0029 to 0.0032, depending on its
scale; an interval for one look only: 0.0050, 0.0031, 0.0016). Elsewhere it stays valid and grows a little wider than need be.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.bets import REACH, ROWS, Grid, check_alpha, least_rate, least_sum

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with the ends of its interval after `n` observations. No data: the mean is the middle of the range, the ends its ends."""

    mean: float
    lower: float
    upper: float
    n: int


class Path(NamedTuple):
    """The same after every observation. Each array has shape (n,)."""

    mean: Floats
    lower: Floats
    upper: Floats


def mean_sequence(x: npt.ArrayLike, alpha: float, lower: float, upper: float) -> Interval:
    """The confidence sequence of the running average of conditional means, at its last observation. O(n).

    `x`: (n,) in [lower, upper], in the order in which they became known; `alpha`: chance that any of all looks ever misses.
    Raises ValueError on a value outside the range or one that is not finite.

    >>> differences = np.tile([0.05, -0.07], 500)
    >>> interval = mean_sequence(differences, 0.05, -1.0, 1.0)
    >>> interval.lower < -0.01 < interval.upper, interval.n
    (True, 1000)
    """
    values = checked_rows(x, alpha, lower, upper)
    n = values.size
    if n == 0:
        return Interval((lower + upper) / 2.0, lower, upper, 0)
    below = capital(values, lower, upper, ROWS)
    above = capital(-values, -upper, -lower, ROWS)
    low = (upper - lower) * least_sum(below, ROWS, np.log(2.0 / alpha))[0] / n
    high = -(upper - lower) * least_sum(above, ROWS, np.log(2.0 / alpha))[0] / n
    return Interval(float(values.mean()), float(max(low, lower)), float(min(high, upper)), n)


def mean_path(x: npt.ArrayLike, alpha: float, lower: float, upper: float) -> Path:
    """As `mean_sequence`, after every observation. O(n) with 25 numbers a row in memory.

    >>> path = mean_path([0.0, 1.0, 0.0], 0.05, 0.0, 1.0)
    >>> path.mean.tolist()
    [0.0, 0.5, 0.3333333333333333]
    """
    values = checked_rows(x, alpha, lower, upper)
    per_row = (upper - lower) / np.arange(1, values.size + 1)
    low = per_row * least_sum(capital(values, lower, upper, ROWS, path=True), ROWS, np.log(2.0 / alpha))
    high = -per_row * least_sum(capital(-values, -upper, -lower, ROWS, path=True), ROWS, np.log(2.0 / alpha))
    return Path(np.cumsum(values) / np.arange(1, values.size + 1), np.maximum(low, lower), np.minimum(high, upper))


def rate_sequence(count: int, n: int, alpha: float) -> Interval:
    """The confidence sequence of an average conditional rate, from the counts alone: order does not matter. The bets of `bets.log_above`.

    >>> interval = rate_sequence(0, 1000, 0.05)
    >>> interval.lower, interval.upper < 0.01
    (0.0, True)
    """
    if not 0 <= count <= n:
        raise ValueError(f"a count between 0 and {n}, found {count}")
    check_alpha(alpha)
    if n == 0:
        return Interval(0.5, 0.0, 1.0, 0)
    target = np.log(2.0 / alpha)
    low, high = least_rate(count, n, target)[0], 1.0 - least_rate(n - count, n, target)[0]
    return Interval(count / n, max(float(low), 0.0), min(float(high), 1.0), n)


def checked_rows(x: npt.ArrayLike, alpha: float, lower: float, upper: float) -> Floats:
    check_alpha(alpha)
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"one value a row, found an array of shape {values.shape}")
    # `not (…)` also catches NaN. The slack is for sums of float32 probabilities that end at 1 + 1e-7.
    if values.size and not (values.min() >= lower - 1e-6 and values.max() <= upper + 1e-6):
        raise ValueError(f"values in [{lower:g}, {upper:g}], found {values.min():g} to {values.max():g}")
    return np.clip(values, lower, upper)


def capital(values: Floats, lower: float, upper: float, grid: Grid, *, path: bool = False) -> Floats:
    """Per rate: Σ log(1 + λ(xᵢ − cᵢ)) + λ Σ cᵢ, at the end (1, rates) or after every observation (n, rates).

    The centre is the mean of what came before (one pseudo-observation in the middle), per rate held where λ(c − lower) ≤ REACH:
    both are known before xᵢ is.
    """
    before = np.concatenate(([0.0], np.cumsum(values)[:-1])) + (lower + upper) / 2.0
    centre = before / np.arange(1, values.size + 1)
    out = np.empty((values.size if path else 1, grid.rates.size))
    for k, rate in enumerate(grid.rates / (upper - lower)):
        held = np.minimum(centre, lower + REACH / rate)
        gain = np.log1p(rate * (values - held)) + rate * held
        out[:, k] = np.cumsum(gain) if path else gain.sum()
    return out

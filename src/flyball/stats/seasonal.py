"""What a positive quantity usually is at this time of the day and of the week, learned and robust.

log of the usual = level + day[slot of the day] + week[slot of the week]. The week's part is shrunk towards its weekday's and that towards 0: a Tuesday at nine
borrows from all days at nine and from all hours of Tuesdays until it has been seen often. First fit: medians in turn (median polish, Tukey 1977), with a level
per week so that a trend does not pass for a season. Then robust exponential smoothing (Gelper, Fried & Croux 2010, J. Forecasting 29): each value moves level
and slots by its residual, cut at CUT standard deviations. The scale is tracked by the median (half of the residuals lie within 0.6745 of it), so heavy tails
and outliers move neither. Residuals may follow one another (AR(1)): that is learned too. A count scatters by Poisson noise and, beyond it, in proportion to its
mean: variance μ + s²μ², as a negative binomial. Assumes that weeks resemble one another.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CUT = 2.5
"""Standard deviations that a residual counts for at most when level and slots follow it."""
FEW = 30.0
"""Expected: with fewer, counts are too uneven for a root or a logarithm to even them."""
PLACED = 6.0
"""Standard deviations beyond which a place in the distribution is 0 or 1 to the computer."""
LEAST_FAILURE = 1e-300
"""Probability. A mean so small that it is 0 to the computer has no logarithm."""
OUTLIER = 4.0
"""A residual so far from what the last one made likely does not pull the next one, and hardly moves the baseline: an anomaly is not learned before it is told."""
OUTLIER_STEP = 0.1
DAY_GAIN, WEEK_GAIN = 0.05, 0.15
"""Of a residual, per visit of the slot: a slot forgets in about 20 days, in about 7 weeks."""
SHRINKAGE = 4.0
"""Visits of a slot at which its own median and what the coarser ones say count the same."""
SLOT_VARIANCE = 0.25
"""Of logarithms between slots, about (busy hours have e times the traffic of quiet ones): a count of few says little beside it, and moves its slots as little."""
SLOWEST_LEVEL = 72
"""Windows: three days of hours. A level that forgets more slowly lags behind growth of a per cent a day by more than days differ."""
SCALE_GAIN = 0.02
LEAST_SCALE = 0.01
"""A per cent: what never moves at all would else be surprised by anything."""
CORRELATION_GAIN = 0.02
MOST_CORRELATION = 0.9
FIT_ROUNDS = 4


class Value(NamedTuple):
    """One window's value. A count or rate: `counted` of `exposure`; a size: its `log`, with the variance that the window's rows leave in it."""

    slot: int
    """Of the week."""
    counted: float | None
    exposure: float
    log: float
    noise: float


class Seasonal(msgspec.Struct, frozen=True, kw_only=True):
    """A learned baseline."""

    level: float
    day: tuple[float, ...]
    week: tuple[float, ...]
    scale: float
    """Standard deviation of the logarithm beyond counting noise."""
    correlation: tuple[float, float] = (0.0, 1.0)
    """Smoothed products of neighbours' residuals, and of squares."""
    previous: float = 0.0
    """The last residual; 0 after a gap."""

    @property
    def rho(self) -> float:
        return min(max(self.correlation[0] / max(self.correlation[1], 1e-9), 0.0), MOST_CORRELATION)


def log_usual(baseline: Seasonal, slot: int) -> float:
    return baseline.level + baseline.day[_hour(baseline, slot)] + baseline.week[slot]


def residual(baseline: Seasonal, value: Value, *, given_previous: bool, uniform: float = 0.5) -> float:
    """In standard deviations; `given_previous`: beyond what the last residual made likely.

    Where few are expected, the normal quantile of the count's place in its distribution, within its own probability by `uniform` (Smith 1985): a night with half a
    failure an hour and a day with fifty then have residuals of one law.

    >>> flat = Seasonal(level=math.log(100.0), day=(0.0,), week=(0.0,), scale=0.05)
    >>> round(residual(flat, count_value(0, 50), given_previous=False), 2)
    -5.37
    """
    pull = baseline.rho * baseline.previous * baseline.scale if given_previous else 0.0
    expected = log_usual(baseline, value.slot) + pull
    if value.counted is None:
        return (value.log - expected) / math.sqrt(value.noise + baseline.scale**2)
    mean = value.exposure * math.exp(min(expected, 50.0))
    far = _even(value.counted, baseline.scale) - _even(mean, baseline.scale)
    if mean >= FEW or abs(far) >= PLACED:
        return far
    return NormalDist().inv_cdf(min(max(_place(int(value.counted), mean, baseline.scale, uniform), 1e-12), 1.0 - 1e-12))


def usual_range(baseline: Seasonal, value: Value, z: float) -> tuple[float, float]:
    """What a value at this time is within z standard deviations: a count, the share of a rate's exposure times it, or a size."""
    expected = log_usual(baseline, value.slot)
    if value.counted is None:
        half = z * math.sqrt(value.noise + baseline.scale**2)
        return math.exp(expected - half), math.exp(expected + half)
    mean = value.exposure * math.exp(min(expected, 50.0))
    at = _even(mean, baseline.scale)
    return _uneven(max(at - z, 0.0), baseline.scale), _uneven(at + z, baseline.scale)


def _even(count: float, scale: float) -> float:
    """A negative binomial count with variance μ + s²μ² where its standard deviation is 1 (Anscombe 1948, eq. 4.1): a root for few, a logarithm for many."""
    return 2.0 / scale * math.asinh(scale * math.sqrt(count + 0.375))


def _place(count: int, mean: float, scale: float, uniform: float) -> float:
    """P(fewer) + uniform · P(as many) of a negative binomial with variance μ + s²μ²."""
    from scipy.special import betainc, gammaln

    size, extra = 1.0 / scale**2, scale**2 * mean
    success = 1.0 / (1.0 + extra)
    below = float(betainc(size, count, success)) if count else 0.0
    combinations = float(gammaln(size + count) - gammaln(size) - gammaln(count + 1.0))
    log_failures = count * math.log(max(extra * success, LEAST_FAILURE))
    return below + uniform * math.exp(combinations - size * math.log1p(extra) + log_failures)


def _uneven(even: float, scale: float) -> float:
    return max((math.sinh(0.5 * scale * even) / scale) ** 2 - 0.375, 0.0)


def count_value(slot: int, count: float, exposure: float = 1.0) -> Value:
    """A count (exposure 1), or `count` of `exposure` rows."""
    return Value(slot, count, exposure, math.log((count + 0.5) / exposure), 1.0 / (count + 0.5))


def size_value(slot: int, size: float, noise: float) -> Value:
    """A positive size; `noise`: variance of its logarithm for the rows behind it."""
    return Value(slot, None, 1.0, math.log(size), noise)


def advance(baseline: Seasonal, value: Value) -> Seasonal:
    """The baseline after one more window."""
    u = residual(baseline, value, given_previous=False)
    fresh = residual(baseline, value, given_previous=True)
    cut = min(max(u, -CUT), CUT)
    mean = value.exposure * math.exp(min(log_usual(baseline, value.slot), 50.0))
    noise = 1.0 / (mean + 0.375) if value.counted is not None else value.noise
    step = cut * math.sqrt(noise + baseline.scale**2) * (OUTLIER_STEP if abs(fresh) > OUTLIER else 1.0)
    informed = step * SLOT_VARIANCE / (SLOT_VARIANCE + noise)
    hour, n_week = _hour(baseline, value.slot), len(baseline.week)
    per_level = 1.0 / min(max(n_week, 7), SLOWEST_LEVEL)
    grown = math.exp(SCALE_GAIN if abs(fresh) > 0.6745 else -SCALE_GAIN)  # fresh: its median is the one that is judged by
    product, square = baseline.correlation
    previous = baseline.rho * baseline.previous
    if abs(fresh) <= OUTLIER:
        product += CORRELATION_GAIN * (u * baseline.previous - product)
        square += CORRELATION_GAIN * (u**2 - square)
        previous = u
    return Seasonal(
        level=_short(baseline.level + per_level * step),
        day=_moved(baseline.day, hour, DAY_GAIN * informed if len(baseline.day) > 1 else 0.0),
        week=_moved(baseline.week, value.slot, WEEK_GAIN * informed if n_week > 1 else 0.0),
        scale=_short(max(baseline.scale * grown, LEAST_SCALE)),
        correlation=(_short(product), _short(square)),
        previous=_short(previous),
    )


def fit(logs: npt.ArrayLike, slots: npt.ArrayLike, weeks: npt.ArrayLike, sizes: tuple[int, int], noise: float) -> Seasonal:
    """The first baseline, of logarithms (n,) at slots of the week (n,) in weeks (n,) from 0. `sizes`: slots of a day and of a week; `noise`: variance of counting."""
    y, at, block = np.asarray(logs, dtype=np.float64), np.asarray(slots, dtype=np.int64), np.asarray(weeks, dtype=np.int64)
    hours = at % sizes[0]
    level, day, week = np.zeros(int(block.max()) + 1), np.zeros(sizes[0]), np.zeros(sizes[1])
    shrinkage = SHRINKAGE * (1.0 + noise / SLOT_VARIANCE)
    weekdays, weekday = at // sizes[0], np.zeros(-(-sizes[1] // sizes[0]))
    for _ in range(FIT_ROUNDS):
        level = _medians(y - day[hours] - week[at], block, level.size, 0.0)
        day = _medians(y - level[block] - week[at], hours, day.size, SHRINKAGE * noise / SLOT_VARIANCE)
        weekday = _medians(y - level[block] - day[hours], weekdays, weekday.size, shrinkage)
        own = _medians(y - level[block] - day[hours] - weekday[weekdays], at, week.size, shrinkage)
        week = weekday[np.arange(week.size) // sizes[0]] + own
    left = y - level[block] - day[hours] - week[at]
    spread = (1.4826 * float(np.median(np.abs(left)))) ** 2
    return Seasonal(
        level=_short(float(level[block[-1]])),
        day=tuple(_short(float(v)) for v in day),
        week=tuple(_short(float(v)) for v in week),
        scale=_short(max(math.sqrt(max(spread - noise, 0.0)), LEAST_SCALE)),
    )


def _medians(values: Floats, places: npt.NDArray[np.int64], n: int, shrinkage: float) -> Floats:
    found = np.zeros(n)
    for place in np.unique(places):
        mine = values[places == place]
        found[place] = float(np.median(mine)) * mine.size / (mine.size + shrinkage)
    return found


def _hour(baseline: Seasonal, slot: int) -> int:
    return slot % len(baseline.day)


def _moved(values: tuple[float, ...], place: int, step: float) -> tuple[float, ...]:
    return (*values[:place], _short(values[place] + step), *values[place + 1 :])


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def size_of(value: Value) -> float:
    """What was seen: the count, or the size."""
    return value.counted if value.counted is not None else math.exp(value.log)


def middle(baseline: Seasonal, value: Value) -> float:
    """What is usual at this time: a count, a rate times the exposure, or a size."""
    return (value.exposure if value.counted is not None else 1.0) * math.exp(min(log_usual(baseline, value.slot), 50.0))

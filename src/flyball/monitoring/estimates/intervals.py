"""A part of a metric becomes an estimate with an interval for the metric that the window's labels will give.

Five things keep the two apart, and each has its variance: the labels' own luck given the rows; the luck that all rows of one window share (learned from
how blocks of the reference differ); the reference's rows, by the influence function, with the density ratio as weights; rows left out of a large
window; and the density ratio itself, taken as the change of the estimate when only the square root of each weight is believed.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.estimates.parts import UNIT_RANGE, Part
from flyball.stats import student
from flyball.stats.block_spread import Spread, block_spread, variance_of_mean

Floats = NDArray[np.float64]

ALPHA = 0.05
EDGE = 1e-6
"""Estimates stay so far inside [0, 1]: on the scale of log odds its ends are infinite."""


class Sample(NamedTuple):
    """What an estimate rests on."""

    weights: Floats
    """(n,) density ratio of the reference's rows."""
    blocks: NDArray[np.int64]
    """(n,)"""
    rows: int
    """Of the window, as used."""
    all_rows: int
    """Of the window."""


class Interval(NamedTuple):
    value: float
    lower: float
    upper: float


class Moments(NamedTuple):
    """An estimate before its interval."""

    value: float
    reference_variance: float
    """Of the estimate as one of the metric's expectation: rows and blocks of the reference, the weights, rows left out."""
    window_variance: float
    """Of the metric around its expectation: its labels' luck, the window's own luck."""
    spread: Spread


def moments(part: Part, sample: Sample) -> Moments:
    weights, residuals = sample.weights, part.residuals
    correction = float(weights @ residuals / weights.sum())
    half = np.sqrt(weights)
    unsure = correction - float(half @ residuals / half.sum())
    spread = block_spread(residuals, sample.blocks)
    centred = residuals - correction
    variance = variance_of_mean(centred, weights, sample.blocks, spread) + unsure**2
    left_out = max(1.0 / sample.rows - 1.0 / sample.all_rows, 0.0)
    variance += float(part.rows @ part.rows) / sample.rows * left_out
    return Moments(part.value + correction, variance, part.label_variance / sample.all_rows + spread.variance, spread)


def interval(name: str, found: Moments) -> Interval:
    """On the scale of log odds for metrics in [0, 1], of logarithms for the others: ends stay where a metric can be."""
    variance = found.reference_variance + found.window_variance
    margin = _quantile(variance, found.spread) * math.sqrt(variance)
    if name in UNIT_RANGE:
        value = min(max(found.value, EDGE), 1.0 - EDGE)
        odds, reach = math.log(value / (1.0 - value)), margin / (value * (1.0 - value))
        return Interval(value, _expit(odds - reach), _expit(odds + reach))
    value = max(found.value, EDGE)
    reach = min(
        margin / value, math.log(1e12)
    )  # an estimate near 0 with a wide margin says nothing; finite, so that it can be stored
    ends = Interval(value, value * math.exp(-reach), value * math.exp(reach))
    return Interval(*(math.sqrt(end) for end in ends)) if name == "rmse" else ends


def _quantile(variance: float, spread: Spread) -> float:
    """Student's t: the spread between windows rests on few blocks, all else on many rows (Satterthwaite 1946)."""
    shared = spread.variance * (1.0 + 1.0 / max(spread.blocks, 1))
    if shared <= 0.0:
        return student.t_quantile(1.0 - ALPHA / 2.0, 1000)
    degrees = (variance / shared) ** 2 * (spread.blocks - 1)
    return student.t_quantile(1.0 - ALPHA / 2.0, max(2, int(min(degrees, 1000.0))))


def _expit(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))

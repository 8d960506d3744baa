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
FARTHEST = 2.0
"""Of the symmetric margin: how far the scale of log odds may move an end. A loss of next to 0 would otherwise end anywhere in [0, 1]."""


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
    few: float
    """Rows that carry the metric."""


def moments(part: Part, sample: Sample) -> Moments:
    weights, residuals = sample.weights, part.residuals
    correction = float(weights @ residuals / weights.sum())
    half = np.sqrt(weights)
    unsure = correction - float(half @ residuals / half.sum())
    spread = block_spread(residuals, sample.blocks)
    centred = residuals - correction
    variance = variance_of_mean(centred, weights, sample.blocks, spread) + unsure**2
    left_out = max(1.0 / sample.rows - 1.0 / sample.all_rows, 0.0)
    # One row that the reference happens not to hold: where it shows no error at all, its rows alone would claim certainty.
    variance += (part.largest * float(weights @ weights) / float(weights.sum()) ** 2) ** 2
    variance += float(part.rows @ part.rows) / sample.rows * left_out
    luck = part.label_variance / sample.all_rows + spread.variance
    return Moments(part.value + correction, variance, luck, spread, part.few)


def interval(name: str, found: Moments, alpha: float = ALPHA) -> Interval:
    """The wider of two: symmetric, and on the scale of log odds (metrics in [0, 1]) or logarithms (the others). With few positives each is too
    narrow on one side. Ends stay where a metric can be."""
    variance = found.reference_variance + found.window_variance
    margin = _quantile(variance, found, alpha) * math.sqrt(variance)
    if name in UNIT_RANGE:
        value, highest = min(max(found.value, EDGE), 1.0 - EDGE), 1.0
        odds, reach = math.log(value / (1.0 - value)), margin / (value * (1.0 - value))
        lower, upper = _expit(odds - reach), _expit(odds + reach)
    else:
        value, highest = max(found.value, EDGE), math.inf
        reach = min(margin / value, math.log(1e12))  # finite: what is stored must be
        lower, upper = value * math.exp(-reach), value * math.exp(reach)
    lower = min(value - margin, max(lower, value - FARTHEST * margin))
    upper = max(value + margin, min(upper, value + FARTHEST * margin))
    ends = Interval(value, max(lower, 0.0), min(upper, highest))
    return Interval(*(math.sqrt(end) for end in ends)) if name == "rmse" else ends


def _quantile(variance: float, found: Moments, alpha: float) -> float:
    """Student's t: the spread between windows rests on few blocks, classification on the rows of the rarest class (Satterthwaite 1946)."""
    degrees, spread = found.few - 1.0, found.spread
    shared = spread.variance * (1.0 + 1.0 / max(spread.blocks, 1))
    if shared > 0.0:
        degrees = min(degrees, (variance / shared) ** 2 * (spread.blocks - 1))
    return student.t_quantile(1.0 - alpha / 2.0, max(2, int(min(degrees, 1000.0))))


def _expit(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))

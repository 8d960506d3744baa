"""Since when: the index at which a series changed, with a confidence interval.

A candidate t is refuted when the series does not look like two exchangeable stretches [0, t) and [t, n): its largest standardised difference of means over
all splits is compared with that of series in which each stretch was shuffled on its own. For the true t the shuffled series have the same law as the
series, so the set of what is not refuted covers the change with probability at least 1 − alpha, at any n and for any law (a conformal confidence set: Hore
& Ramdas, "Conformal changepoint localization", arXiv 2602.06267; permutation within segments: Antoch & Hušková 2001; the conditional
likelihood-ratio region that it makes free of laws: Worsley 1986). Differences are of ranks, so that one wild value is no change.
Ranks do not say how far: of three values that lie far above forty, the best split by ranks is as often as not a few values early. So among the candidates
that are not refuted the estimate is the one that splits the values themselves best, cut where they would be wild (Tukey, Exploratory Data Analysis, 1977).

Assumes one change and that stretches of `block` values are exchangeable on either side. A series that was cut at an alarm is not quite: it ends just when
its last values were high. The tests measure the coverage there.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.stats import dependence

Floats = NDArray[np.float64]

FENCE = 3.0
"""Interquartile ranges beyond the quartiles at which a value is cut: Tukey's outer fences. Of normal values, one in 400,000 lies beyond."""
RESAMPLES = 199
MOST_BLOCKS = 150
"""Longer series are averaged to at most so many blocks: the interval is coarser then, and its cost bounded (0.3 s)."""


class ChangePoint(NamedTuple):
    """Indices of the first value after the change."""

    at: int
    lower: int
    upper: int
    block: int
    """Values that were averaged: no interval is finer."""


def change_point(values: ArrayLike, alpha: float, seed: int, block: int | None = None) -> ChangePoint:
    """Where the series changed, and an interval that misses with chance `alpha` at most.

    `block`: values that are averaged before they are taken for exchangeable; None: learned from the series' own dependence on either side
    of the estimate. Raises ValueError for fewer than four values, or an alpha outside (0, 1).

    >>> change_point([0.1, 0.2, 0.15, 0.12, 0.18, 0.11, 0.9, 0.8, 0.85, 0.95, 0.7, 0.88], 0.05, seed=1)
    ChangePoint(at=6, lower=5, upper=7, block=1)
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or series.size < 4 or not np.isfinite(series).all():
        raise ValueError(f"expected at least four finite values in a row, found an array of shape {series.shape}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"an error rate between 0 and 1, found {alpha}")
    size = _block_of(series) if block is None else block
    size = max(1, min(size, series.size // 4), math.ceil(series.size / MOST_BLOCKS))
    first = series.size % size  # the newest values are whole blocks: there the change is
    at, low, high = _interval(series[first:].reshape(-1, size).mean(axis=1), alpha, seed)
    wider = size if size > 1 else 0  # the block with the change in it belongs to neither side
    lower, upper = first + low * size - wider, first + high * size + wider
    return ChangePoint(first + at * size, max(lower, 1), min(upper, series.size - 1), size)


def _block_of(series: Floats) -> int:
    """The longer one of either side of the best split: the change itself would look like dependence."""
    at = int(np.argmax(_gains(_middle_ranks(series)[None, :])[0])) + 1
    return max(dependence.block_length(side) for side in (series[:at], series[at:]) if 2 * side.size >= series.size)


def _interval(means: Floats, alpha: float, seed: int) -> tuple[int, int, int]:
    """The estimate, and the first and last candidates that are not refuted: the best by ranks never is."""
    ranks = _middle_ranks(means)
    observed = _gains(ranks[None, :])[0]
    best, most = int(np.argmax(observed)) + 1, float(observed.max())
    draw = np.random.default_rng(seed)
    kept = [t for t in range(1, ranks.size) if t == best or _p_value(ranks, t, most, draw) > alpha]
    cut = _cut(means)
    if not np.ptp(cut) > 0.0:
        return best, kept[0], kept[-1]
    at = kept[int(np.argmax(_gains(cut[None, :])[0][np.asarray(kept) - 1]))]
    return at, kept[0], kept[-1]


def _cut(means: Floats) -> Floats:
    """Where nearly all are one value there are no fences, and ranks say it: nothing differs."""
    low, high = np.quantile(means, [0.25, 0.75])
    beyond = FENCE * (high - low)
    cut: Floats = np.clip(means, low - beyond, high + beyond)
    return cut


def _p_value(ranks: Floats, t: int, observed: float, draw: np.random.Generator) -> float:
    """That of the candidate t: the observed series counts as one of the shuffled ones."""
    left = draw.permuted(np.tile(ranks[:t], (RESAMPLES, 1)), axis=1)
    right = draw.permuted(np.tile(ranks[t:], (RESAMPLES, 1)), axis=1)
    shuffled = _gains(np.hstack([left, right])).max(axis=1)
    return (1 + int(np.count_nonzero(shuffled >= observed - 1e-9))) / (RESAMPLES + 1)  # slack: sums in another order


def _gains(rows: Floats) -> Floats:
    """Squared standardised difference of means for each split after 1 … n − 1 values. rows (n_series, n) → (n_series, n − 1)."""
    n = rows.shape[1]
    k = np.arange(1, n)
    sums = np.cumsum(rows, axis=1)
    gains: Floats = (sums[:, :-1] - sums[:, -1:] * k / n) ** 2 / (k * (n - k) / n)
    return gains


def _middle_ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0
    return np.asarray(middle[inverse], dtype=np.float64)

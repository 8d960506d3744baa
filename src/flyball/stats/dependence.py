"""How many of a series' values are worth one independent value, and how to judge a series whose values depend on one another.

What dependence does to the sequences of this room, simulated for an AR(1) of 0.8 over 3,000 rows at alpha 0.1:

- The running average of *conditional* means (`sequences.py`) is covered whatever the dependence. It is not the long-run mean: that one lay outside in 98 % of series,
  because an hour of slow answers is then true of the hour, not of the unit. Means of blocks (`block_means`), of a length known from earlier rows: 0 %.
- Two arms drawn row by row from one series share its ups and downs: what was to be expected of the next row is the same for both. No false alarm in 100, for
  means in blocks, for averages and for quantiles. Nothing need be done.
- Two arms with a series each (a host of its own, a queue of its own): 78 % false alarms for means and 54 % for medians. One difference for each block of time
  (`block_differences`) restores the guarantee where blocks are several autocorrelation times long; no arithmetic on rows does.
- Sticky keys with many rows each: a busy key is one lottery ticket, not a hundred. One mean for each key (`key_means`).

The last three rest on blocks or keys being independent of one another, which `autocorrelation_time` of their values checks and cannot prove.
"""

import math

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

Floats = npt.NDArray[np.float64]

PER_UNIT_OF_EXCESS = 8.0
"""Rows of a block per unit by which the autocorrelation time exceeds one: neighbouring block means of an AR(1) then correlate by less than 0.04."""


def autocorrelation_time(values: ArrayLike) -> float:
    """τ = 1 + 2 Σ ρ(k), at least 1: n values in a row tell of their mean as much as n/τ independent ones.

    Sums of neighbouring autocorrelations are added while they are positive (initial positive sequence: Geyer, Statistical Science 7, 1992, § 3.3).
    Of the values' ranks, which heavy tails do not disturb. A constant series has τ = 1. (1 + φ)/(1 − φ) for an AR(1).

    >>> autocorrelation_time([0.0, 1.0] * 50)
    1.0
    """
    series = np.asarray(values, dtype=np.float64)
    n = series.size
    if n < 4:
        return 1.0
    ranks = _ranks(series)
    centred = ranks - ranks.mean()
    power = float(centred @ centred)
    if power <= 0.0:
        return 1.0
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    rho = np.fft.irfft(spectrum * np.conj(spectrum), size)[: n // 2] / power
    pairs = rho[: rho.size // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0.0)
    kept = pairs[: negative[0]] if negative.size else pairs
    return max(1.0, float(2.0 * kept.sum() - 1.0))


def block_length(values: ArrayLike) -> int:
    """Values to average into a block, so that blocks are nearly independent: 1 for an independent series, 65 for an AR(1) of 0.8."""
    return max(1, math.ceil(PER_UNIT_OF_EXCESS * (autocorrelation_time(values) - 1.0)))


def block_means(values: ArrayLike, length: int) -> Floats:
    """The mean of each `length` values in a row; what does not fill a block waits. The length must not depend on these values.

    >>> block_means([1.0, 3.0, 5.0, 7.0, 9.0], 2).tolist()
    [2.0, 6.0]
    """
    series = np.asarray(values, dtype=np.float64).reshape(-1)
    if length < 1:
        raise ValueError(f"a length of at least 1, found {length}")
    means: Floats = series[: series.size // length * length].reshape(-1, length).mean(axis=1)
    return means


def block_differences(values: ArrayLike, second: ArrayLike, blocks: ArrayLike) -> Floats:
    """The second arm's mean less the first's in each block, in order; all (n,), the blocks over. A block without rows of both arms says nothing and is left out.

    >>> block_differences([1.0, 2.0, 5.0, 3.0, 4.0], [False, False, True, False, False], [0, 0, 0, 1, 1]).tolist()
    [3.5]
    """
    rows, arm = np.asarray(values, dtype=np.float64).reshape(-1), np.asarray(second, dtype=bool).reshape(-1)
    _, place = np.unique(np.asarray(blocks).reshape(-1), return_inverse=True)
    if not rows.shape == arm.shape == place.shape:
        raise ValueError(f"an arm and a block for each value: {rows.size} values, {arm.size} arms, {place.size} blocks")
    count = np.stack([np.bincount(place[arm == which], minlength=place.max(initial=-1) + 1) for which in (False, True)])
    total = np.stack([np.bincount(place[arm == which], rows[arm == which], count.shape[1]) for which in (False, True)])
    both = count.min(axis=0) > 0
    mean = total[:, both] / count[:, both]
    return np.asarray(mean[1] - mean[0], dtype=np.float64)


def key_means(values: ArrayLike, keys: ArrayLike, rows: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The mean of the first `rows` values of each key that has so many, in the order in which they were complete, and which row completed each.

    Of a fixed number, so that a mean once taken does not change when its key comes again.

    >>> means, at = key_means([1.0, 9.0, 3.0, 5.0], ["a", "b", "a", "a"], 2)
    >>> means.tolist(), at.tolist()
    ([2.0], [2])
    """
    series, named = np.asarray(values, dtype=np.float64).reshape(-1), np.asarray(keys).reshape(-1)
    if rows < 1 or series.shape != named.shape:
        raise ValueError(
            f"at least 1 row a key and a key for each value, found {rows}, {series.size} values and {named.size} keys"
        )
    _, key = np.unique(named, return_inverse=True)
    order = np.argsort(key, kind="stable")
    counts = np.bincount(key)
    starts = (np.cumsum(counts) - counts)[counts >= rows]
    whole = order[starts[:, None] + np.arange(rows)]
    completed = whole[:, -1]
    when = np.argsort(completed)
    return np.asarray(series[whole].mean(axis=1)[when], dtype=np.float64), np.asarray(completed[when], dtype=np.int64)


def _ranks(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Middle ranks of ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0
    return np.asarray(middle[inverse], dtype=np.float64)

"""How many of a series' values are worth one independent value."""

import math

import numpy as np
from numpy.typing import ArrayLike

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


def _ranks(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Middle ranks of ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0
    return np.asarray(middle[inverse], dtype=np.float64)

"""How sure a count of alarms is."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import beta


def upper(times: int, n: int, confidence: float = 0.95) -> float:
    """One-sided exact upper bound of a proportion (Clopper & Pearson 1934).

    >>> round(upper(0, 300), 4)
    0.0099
    """
    return 1.0 if times >= n else float(beta.ppf(confidence, times + 1, n - times))


def lower(times: int, n: int, confidence: float = 0.95) -> float:
    return 0.0 if times == 0 or n == 0 else float(beta.ppf(1.0 - confidence, times, n - times + 1))


def paired(differences: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a mean of paired differences, by the bootstrap over pairs (each pair is one reference draw)."""
    values = np.asarray(differences, dtype=float)
    if values.size < 2:
        return math.nan, math.nan
    draw = np.random.default_rng(seed)
    means = values[draw.integers(values.size, size=(2_000, values.size))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)

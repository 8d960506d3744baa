"""Means of many small groups, drawn towards the mean of all by as much as they are noise (empirical Bayes)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PRIOR_ROWS = 10.0
"""With which a group's own variance is drawn to that of all: losses of easy rows vary less, and of ten rows nobody knows."""


class Shrunk(NamedTuple):
    excess: Floats
    """Group means minus the mean of all, after shrinking, (n_groups,); 0 for a group without rows."""
    errors: Floats
    """Their standard errors; of a group without rows, the standard deviation between groups."""
    mean: float
    between: float
    """Variance between groups; 0: all differences may be noise."""


def group_means(groups: ArrayLike, values: ArrayLike, n_groups: int) -> Shrunk:
    """Groups `groups` (n,) of 0 … n_groups − 1 with `values` (n,).

    Moments of a one-way layout (Searle, Casella & McCulloch 1992, eq. 3.6): within-variance pooled, between-variance what is left. Its own standard
    deviation is added where errors are told, since few groups show little of how groups differ. Assumes independent rows; for bounded values the normal
    approximation holds from some tens of rows on.

    >>> shrunk = group_means([0] * 50 + [1] * 50 + [2], [0.0, 0.2] * 25 + [0.5, 0.7] * 25 + [1.0], 3)
    >>> (shrunk.mean + shrunk.excess).round(2).tolist()
    [0.1, 0.6, 0.95]
    """
    places, seen = np.asarray(groups, dtype=np.int64), np.asarray(values, dtype=np.float64)
    sizes = np.bincount(places, minlength=n_groups).astype(np.float64)
    total, used = float(sizes.sum()), int((sizes > 0).sum())
    if total == 0.0:
        return Shrunk(np.zeros(n_groups), np.zeros(n_groups), 0.0, 0.0)
    mean = float(seen.mean())
    means = np.bincount(places, weights=seen, minlength=n_groups) / np.maximum(sizes, 1.0)
    within = float(np.sum((seen - means[places]) ** 2)) / max(total - used, 1.0)
    if used < 2 or total <= used or within == 0.0:
        return Shrunk(np.where(sizes > 0, means - mean, 0.0), np.zeros(n_groups), mean, 0.0)
    squares = float(np.sum(sizes * (means - mean) ** 2))
    spread = total - float(np.sum(sizes**2)) / total
    between = max((squares - (used - 1) * within) / spread, 0.0)
    # the variance of a sum of squares with used − 1 degrees of freedom, if groups were alike
    margin = within * float(np.sqrt(2.0 * (used - 1))) / spread
    own = np.bincount(places, weights=(seen - means[places]) ** 2, minlength=n_groups)
    noise = (own + PRIOR_ROWS * within) / (np.maximum(sizes - 1.0, 0.0) + PRIOR_ROWS) / np.maximum(sizes, 1.0)
    wide = between + margin
    weight = wide / (wide + noise)
    errors = np.sqrt(np.where(sizes > 0, wide * noise / (wide + noise), wide))
    return Shrunk(np.where(sizes > 0, weight * (means - mean), 0.0), errors, mean, between)

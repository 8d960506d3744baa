"""What rows of one block share: the variance between blocks beyond that of their rows, and what it does to a mean.

One-way random effects, by moments (Searle, Casella & McCulloch, Variance Components, 1992, section 3.6). Assumes that blocks are
independent of one another and of one law. With few blocks the spread is itself uncertain: `degrees` says how much.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST = 3
"""Blocks. With two there is one difference, which says next to nothing of a variance."""


class Spread(NamedTuple):
    """`variance` between block means; 0 with `blocks` 0 where there are too few to tell."""

    variance: float
    blocks: int


def block_spread(values: npt.ArrayLike, blocks: npt.ArrayLike) -> Spread:
    """Of `values` (n,) in `blocks` (n,), named by any numbers.

    >>> day = np.repeat([0, 1, 2, 3], 50)
    >>> luck = np.array([-1.0, 1.0, -1.0, 1.0])[day]
    >>> block_spread(luck + np.tile([-0.1, 0.1], 100), day).variance > 1.0
    True
    """
    rows = np.asarray(values, dtype=np.float64)
    _, place, sizes = np.unique(np.asarray(blocks), return_inverse=True, return_counts=True)
    n, count = rows.size, sizes.size
    if count < FEWEST or n <= count:
        return Spread(0.0, 0)
    means = np.bincount(place, rows) / sizes
    within = float(np.sum((rows - means[place]) ** 2)) / (n - count)
    between = float(sizes @ (means - rows.mean()) ** 2)
    excess = (between - (count - 1) * within) / (n - float(sizes @ sizes) / n)
    return Spread(max(excess, 0.0), count)


def variance_of_mean(values: npt.ArrayLike, weights: npt.ArrayLike, blocks: npt.ArrayLike, spread: Spread) -> float:
    """Of Σ wv / Σ w for values with mean 0: their rows' own, and the blocks' as far as the weights lie in few of them.

    >>> variance_of_mean([1.0, -1.0], [1.0, 1.0], [0, 1], Spread(0.0, 0))
    0.5
    """
    rows, weighted = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    total = float(weighted.sum())
    own = float(np.sum((weighted * rows) ** 2) / total**2)
    _, place = np.unique(np.asarray(blocks), return_inverse=True)
    return own + spread.variance * float(np.sum((np.bincount(place, weighted) / total) ** 2))

"""Where the mean of later rows will lie, from the mean of earlier ones: both have noise, and rows of a stretch of time share theirs.

Source: the prediction interval for a future mean (Hahn & Meeker, Statistical Intervals, 1991, section 4.8), with each mean's error from its own blocks (cluster
variance: Kish 1965) and Welch's degrees of freedom (Biometrika 34, 1947). How long rows share their luck nobody knows: short blocks of rows that are alike for
longer look more certain than they are, few long ones know little of their error (Schmeiser, Operations Research 30, 1982). So rows are cut in three ways, and the
widest interval counts: on independent rows it misses less often than it may. Assumes that both stretches of time are of one law and that the longest blocks, a
quarter of each, are independent: where the world moves between them, the interval misses, and that is what it is asked for.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats import student

MOST_BLOCKS, LEAST_BLOCKS = 12, 4
LEAST_ROWS = 15
"""Of a block: neighbours that resemble one another are then mostly in one."""
JUDGED_AT = 0.975
"""Quantile at which the ways are compared: few blocks have a larger one."""


class BlockMean(NamedTuple):
    mean: float
    error: float
    """Standard error."""
    degrees: int
    n: int


def block_mean(values: npt.ArrayLike) -> BlockMean | None:
    """Of (n,) values in order of time, cut into stretches of equally many: the way in which it is known least. None: fewer than LEAST_BLOCKS of LEAST_ROWS.

    >>> block_mean(np.tile([0.1, 0.3], 48))
    BlockMean(mean=0.2, error=0.0, degrees=5, n=96)
    """
    rows = np.asarray(values, dtype=np.float64)
    most = min(MOST_BLOCKS, rows.size // LEAST_ROWS)
    if most < LEAST_BLOCKS:
        return None
    ways = [_cut(rows, count) for count in (most, max(most // 2, LEAST_BLOCKS), LEAST_BLOCKS)]
    return max(ways, key=lambda way: student.t_quantile(JUDGED_AT, way.degrees) * way.error)


def _cut(rows: npt.NDArray[np.float64], blocks: int) -> BlockMean:
    mean = float(rows.mean())
    totals = np.asarray([part.sum() - mean * part.size for part in np.array_split(rows, blocks)])
    error = math.sqrt(blocks / (blocks - 1) * float(totals @ totals)) / rows.size
    return BlockMean(round(mean, 12), round(error, 12), blocks - 1, rows.size)


def expected(then: BlockMean, now: BlockMean, alpha: float) -> tuple[float, float]:
    """Interval that misses the mean of the later rows with chance `alpha`.

    >>> low, high = expected(BlockMean(-0.02, 0.003, 9, 400), BlockMean(-0.018, 0.004, 9, 300), 0.05)
    >>> round(low, 3), round(high, 3)
    (-0.031, -0.009)
    """
    variances = then.error**2, now.error**2
    total = sum(variances)
    if total == 0.0:
        return then.mean, then.mean
    degrees = total**2 / (variances[0] ** 2 / then.degrees + variances[1] ** 2 / now.degrees)
    reach = student.t_quantile(1.0 - alpha / 2.0, max(int(degrees), 1)) * math.sqrt(total)
    return then.mean - reach, then.mean + reach

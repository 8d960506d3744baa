"""How alike rows of one cluster are in something that is true of a row or not."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Intraclass(NamedTuple):
    correlation: float
    """Between two rows of one cluster: 0 for rows that come in any order (estimated above and below it), 1 where all rows of each cluster are alike."""
    p: float
    """How often rows that come in any order seem as much alike."""


def intraclass(true: npt.NDArray[np.bool_], clusters: npt.NDArray[np.int64]) -> Intraclass:
    """By analysis of variance (Ridout, Demétrio & Firth, Biometrics 55, 1999, section 2). Arrays of n_rows; numbers of clusters in any order.

    0 and 1 when there are not two clusters, or all rows are alike. A little low where clusters are few: with 30 a correlation of 0.3 is told as 0.29.

    >>> intraclass(np.asarray([True, True, False, False]), np.asarray([0, 0, 1, 1]))
    Intraclass(correlation=1.0, p=0.0)
    """
    from scipy.special import fdtrc

    place = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(place).astype(np.float64)
    k, n = sizes.size, float(true.size)
    if k < 2 or n <= k or bool(true.all()) or not true.any():
        return Intraclass(0.0, 1.0)
    counts = np.bincount(place, weights=true.astype(np.float64))
    explained = float((counts**2 / sizes).sum())
    between = (explained - float(counts.sum()) ** 2 / n) / (k - 1)
    within = (float(counts.sum()) - explained) / (n - k)
    typical = (n - float((sizes**2).sum()) / n) / (k - 1)
    p = 0.0 if within <= 0.0 else float(fdtrc(k - 1, n - k, between / within))
    return Intraclass((between - within) / (between + (typical - 1.0) * within), p)

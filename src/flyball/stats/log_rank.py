"""Do two groups of clusters have the same delay? The log-rank test on counts, with a variance that clusters may spoil as they like.

Source: Mantel (1966); the robust variance of Lin & Wei (JASA 84, 1989) for one binary covariate. The usual variance takes rows as independent, and labels
that come in batches make it reject nearly always. Assumes that clusters are independent; Student's t for their number, which wants about ten in each group.
Powerful where one group is later throughout; delays that cross may hide from it.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def log_rank(events: npt.ArrayLike, at_risk: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """How many standard deviations more happened in the second group than if both were alike; 0 where that cannot be told.

    `events`, `at_risk`: (n_clusters, n_bins); `second`: (n_clusters,) True for the second group. Bins in which a group has nobody at risk say nothing.

    >>> rng = np.random.default_rng(0)
    >>> early = rng.binomial(100, 0.5, size=(20, 1))
    >>> log_rank(np.where(np.arange(20)[:, None] < 10, early, early - 20), np.full((20, 1), 100), np.arange(20) >= 10) < -3
    True
    """
    happened, exposed = np.asarray(events, dtype=np.float64), np.asarray(at_risk, dtype=np.float64)
    late = np.asarray(second, dtype=np.bool_)
    of_second, of_all = exposed[late].sum(axis=0), exposed.sum(axis=0)
    both = (of_second > 0) & (of_second < of_all)
    if not both.any():
        return 0.0
    happened, exposed = happened[:, both], exposed[:, both]
    hazard = happened.sum(axis=0) / of_all[both]
    part = of_second[both] / of_all[both]
    scores = ((late[:, None] - part) * (happened - exposed * hazard)).sum(axis=1)
    deviation = float(np.sqrt((scores**2).sum()))
    return float(scores.sum()) / deviation if deviation > 0.0 else 0.0

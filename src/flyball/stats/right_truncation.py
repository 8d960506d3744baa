"""How soon the things came that will come, from those that have come alone: the product-limit estimate in reversed time.

Of a row whose label has not come nobody knows the class, so the delay of one class cannot be seen by Kaplan–Meier. But among labels that have come, the young
rows show the short delays only, and how much is missing of the long ones the old rows tell. Source: Lagakos, Barraj & De Gruttola (Biometrika 75, 1988),
the estimator of Lynden-Bell (1971). Assumes that the delay of what comes has one law in all cohorts; how *many* come may change from
cohort to cohort. It knows nothing beyond the largest age that was lived through: shares are of what comes by then.
"""

import numpy as np
import numpy.typing as npt

from flyball.stats import kaplan_meier
from flyball.stats.kaplan_meier import Survival

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def right_truncated(events: npt.ArrayLike, lived: npt.ArrayLike) -> Survival:
    """Share, of what comes by the last edge that any cluster lived through, that has come by each edge: rises to 1.

    `events`: (n_clusters, n_bins) what came in each bin; `lived`: (n_clusters,) bins that a cluster has lived through from end to end (later ones are
    not looked at). `at_risk` of the answer: what came up to each bin's end in clusters that lived through it. NaN everywhere: nothing came.

    Half come at once and half a bin later; the second cluster is too young to show that:

    >>> right_truncated([[10, 10], [30, 0]], [2, 1]).share.tolist()
    [0.0, 0.5, 1.0]
    """
    came, reach = np.asarray(events, dtype=np.int64), np.asarray(lived, dtype=np.int64)
    if came.ndim != 2 or reach.shape != came.shape[:1]:
        raise ValueError(f"events of (n_clusters, n_bins) and a reach for each cluster, found {came.shape} and {reach.shape}")
    n_bins = came.shape[1]
    seen = np.arange(n_bins) < reach[:, None]
    came = np.where(seen, came, 0)
    by_then = np.where(seen, np.cumsum(came, axis=1), 0)
    n_came, n_by_then = came.sum(axis=0), by_then.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(n_by_then > 0, n_came / n_by_then, 0.0)
        greenwood = n_came / (n_by_then * (n_by_then - n_came))
        influence = (came - by_then * hazard) / (n_by_then - n_came)
    known = int(reach.max(initial=0))
    share = np.concatenate([np.cumprod((1.0 - hazard)[::-1])[::-1], [1.0]])
    if n_came.sum() == 0:
        share = np.full(n_bins + 1, np.nan)
    share[known + 1 :] = np.nan
    return Survival(share, _summed(greenwood[None, :]), _summed_squares(influence), n_by_then)


def interval(curve: Survival, alpha: float) -> tuple[Floats, Floats]:
    """(lower, upper) of `share` at each edge, as `kaplan_meier.interval` in reversed time; NaN beyond what is known.

    >>> lower, upper = interval(right_truncated([[10, 10]], [2]), 0.05)
    >>> lower.round(2).tolist(), upper.round(2).tolist()
    ([0.0, 0.27, 1.0], [0.21, 0.69, 1.0])
    """
    known = int(np.isfinite(curve.share).sum())
    lower, upper = np.full((2, curve.share.size), np.nan)
    if known:
        reversed_time = Survival(
            curve.share[:known][::-1],
            curve.greenwood[:known][::-1],
            curve.clustered[:known][::-1],
            curve.at_risk[: known - 1][::-1],
        )
        ends = kaplan_meier.interval(reversed_time, alpha)
        lower[:known], upper[:known] = ends[0][::-1], ends[1][::-1]
    return lower, upper


def _summed(terms: Floats) -> Floats:
    finite = np.where(np.isfinite(terms), terms, 0.0)[:, ::-1]
    return np.concatenate([np.cumsum(finite, axis=1)[0][::-1], [0.0]])


def _summed_squares(influence: Floats) -> Floats:
    finite = np.where(np.isfinite(influence), influence, 0.0)[:, ::-1]
    clusters = influence.shape[0]
    correction = clusters / (clusters - 1) if clusters > 1 else 0.0
    return np.concatenate([correction * (np.cumsum(finite, axis=1)[:, ::-1] ** 2).sum(axis=0), [0.0]])

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


def right_truncated(events: npt.ArrayLike, by_then: npt.ArrayLike) -> Survival:
    """Share, of what comes by the end of the last bin, that has come by each edge: rises to 1.

    Both (n_clusters, n_bins): what came in a bin of rows that have lived through it, and what of those same rows came up to its end (the answer's
    `at_risk` is its sum). NaN everywhere: nothing came. Raises ValueError when more came in a bin than up to its end.

    Half come at once and half a bin later; the second cluster is too young to show that:

    >>> right_truncated([[10, 10], [30, 0]], [[10, 20], [30, 0]]).share.tolist()
    [0.0, 0.5, 1.0]
    """
    came, up_to = np.atleast_2d(np.asarray(events, dtype=np.int64)), np.atleast_2d(np.asarray(by_then, dtype=np.int64))
    if came.shape != up_to.shape or np.any(came < 0) or np.any(came > up_to):
        raise ValueError(
            f"at most as many events in a bin as up to its end, in {up_to.shape} of clusters and bins, found {came.shape}"
        )
    n_came, n_up_to = came.sum(axis=0), up_to.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(n_up_to > 0, n_came / n_up_to, 0.0)
        greenwood = n_came / (n_up_to * (n_up_to - n_came))
        influence = (came - up_to * hazard) / (n_up_to - n_came)
    share = np.concatenate([np.cumprod((1.0 - hazard)[::-1])[::-1], [1.0]])
    if n_came.sum() == 0:
        share = np.full(n_came.size + 1, np.nan)
    return Survival(share, _summed(greenwood[None, :]), _summed_squares(influence), n_up_to)


def interval(curve: Survival, alpha: float) -> tuple[Floats, Floats]:
    """(lower, upper) of `share` at each edge, as `kaplan_meier.interval` in reversed time; NaN beyond what is known.

    >>> lower, upper = interval(right_truncated([[10, 10]], [[10, 20]]), 0.05)
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

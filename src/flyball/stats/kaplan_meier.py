"""How much of a thing has happened by an age, when some are too young to tell: the product-limit estimate on counts.

Source: Kaplan & Meier (JASA 53, 1958); variance of Greenwood (1926), and of Ying & Wei (Journal of Multivariate Analysis 50, 1994) where rows of one
cluster (an hour, a day) share their luck; interval on the scale log(−log S) (Kalbfleisch & Prentice 1980, section 1.4), which stays within (0, 1).
Assumes that a row's youth says nothing of its delay: rows of every age are one population. In a bin, a row that is censored inside it must not be
counted at risk; in exact times, a row censored at an event's time was still at risk (the usual convention).
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Survival(NamedTuple):
    """At each edge: the first is before any bin, the last after all of them. NaN from where no row is old enough to tell."""

    share: Floats
    """(n_bins + 1,) of rows to which it has not happened yet."""
    greenwood: Floats
    """Variance of log share, rows independent."""
    clustered: Floats
    """Variance of log share, clusters independent; anything may hold within one."""
    at_risk: Ints
    """(n_bins,) rows behind each step."""


def kaplan_meier(events: npt.ArrayLike, at_risk: npt.ArrayLike) -> Survival:
    """The survival curve from integer counts, (n_clusters, n_bins) each or (n_bins,) for one cluster.

    Raises ValueError when more happens than is at risk.

    The remission times of Freireich et al. (1963), whose curve every textbook prints:

    >>> times = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    >>> seen = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    >>> curve = kaplan_meier(*counts_of(times, seen)[1:])
    >>> curve.share.round(3).tolist()
    [1.0, 0.857, 0.807, 0.753, 0.69, 0.627, 0.538, 0.448]
    >>> (curve.share * np.sqrt(curve.greenwood)).round(3).tolist()
    [0.0, 0.076, 0.087, 0.096, 0.107, 0.114, 0.128, 0.135]
    """
    happened, exposed = np.atleast_2d(np.asarray(events, dtype=np.int64)), np.atleast_2d(np.asarray(at_risk, dtype=np.int64))
    if happened.shape != exposed.shape or np.any(happened < 0) or np.any(happened > exposed):
        raise ValueError(
            f"at most as many events as rows at risk, in {exposed.shape} of clusters and bins, found {happened.shape}"
        )
    n_events, n_risk = happened.sum(axis=0), exposed.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = n_events / n_risk  # nobody at risk: NaN, unknown from here on
        greenwood = n_events / (n_risk * (n_risk - n_events))
        influence = (happened - exposed * hazard) / (n_risk - n_events)
    left = np.concatenate([[1.0], np.cumprod(1.0 - hazard)])
    ended = np.flatnonzero(left == 0.0)
    if ended.size:
        left[ended[0] :] = 0.0  # it has happened to all: what comes later is known too
    return Survival(left, _summed(greenwood), _summed_squares(influence), n_risk)


def counts_of(durations: npt.ArrayLike, observed: npt.ArrayLike) -> tuple[Floats, Ints, Ints]:
    """(times of events, ascending; events at each; rows at risk at each) of rows that lasted so long, until it happened or until nobody looked.

    >>> [part.tolist() for part in counts_of([2.0, 2.0, 2.0, 1.0], [True, True, False, False])]
    [[2.0], [2], [3]]
    """
    lasted, seen = np.asarray(durations, dtype=np.float64), np.asarray(observed, dtype=np.bool_)
    if lasted.shape != seen.shape or not np.all(np.isfinite(lasted)):
        raise ValueError(f"a finite duration a row and whether it was observed, found {lasted.shape} and {seen.shape}")
    times, events = np.unique(lasted[seen], return_counts=True)
    at_risk = lasted.size - np.searchsorted(np.sort(lasted), times, side="left")
    return times, events.astype(np.int64), at_risk.astype(np.int64)


def interval(curve: Survival, alpha: float) -> tuple[Floats, Floats]:
    """(lower, upper) of `share` at each edge, each missing the truth with chance `alpha`, by the larger of the two variances.

    Where nothing has happened yet, or to all, no variance can be seen: Clopper & Pearson's end for so many rows stands there.

    >>> lower, upper = interval(kaplan_meier([0, 5], [50, 50]), 0.05)
    >>> lower.round(3).tolist(), upper.round(3).tolist()
    ([1.0, 0.929, 0.776], [1.0, 1.0, 0.957])
    """
    z = NormalDist().inv_cdf(1.0 - alpha / 2.0)
    share = curve.share
    deviation = np.sqrt(np.maximum(curve.greenwood, curve.clustered))
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.exp(z * deviation / np.abs(np.log(share)))
        lower, upper = share**stretch, share ** (1.0 / stretch)
    lower[0] = upper[0] = 1.0
    for edge in range(1, share.size):
        rows = int(curve.at_risk[edge - 1])
        if share[edge] == 1.0:
            lower[edge], upper[edge] = min(lower[edge - 1], (alpha / 2.0) ** (1.0 / max(rows, 1))), 1.0
        elif share[edge] == 0.0:
            ended = 1.0 if rows == 0 else 1.0 - (alpha / 2.0) ** (1.0 / rows)
            lower[edge], upper[edge] = 0.0, upper[edge - 1] * ended
    return np.where(np.isnan(share), math.nan, lower), np.where(np.isnan(share), math.nan, upper)


def _summed(terms: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(terms), terms, 0.0))])


def _summed_squares(influence: Floats) -> Floats:
    """Of every cluster all steps up to an edge together: within one they may go hand in hand."""
    path = np.cumsum(np.where(np.isfinite(influence), influence, 0.0), axis=1)
    clusters = influence.shape[0]
    correction = clusters / (clusters - 1) if clusters > 1 else 0.0
    return np.concatenate([[0.0], correction * (path**2).sum(axis=0)])

"""Distances between two histograms over the same bins: each raises ValueError for what is no pair of such counts."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def js_divergence(reference: ArrayLike, current: ArrayLike) -> float:
    """Jensen–Shannon divergence in bits, in [0, 1], of two count vectors of the same length (Lin 1991, eq. 4.1).

    Empty bins need no epsilon: the mixture is positive wherever either is. An empty histogram is at distance 0: nothing was seen.
    """
    p, q = map(_shares, _counts(reference, current))
    if p is None or q is None:
        return 0.0
    mixture = 0.5 * (p + q)
    divergence = 0.5 * (_relative_entropy(p, mixture) + _relative_entropy(q, mixture))
    return float(min(max(divergence, 0.0), 1.0))  # rounding may leave −1e-17


def js_distance(reference: ArrayLike, current: ArrayLike) -> float:
    """Square root of the divergence: a metric in [0, 1] (Endres & Schindelin 2003).

    >>> js_distance([5, 5, 0], [5, 5, 0])
    0.0
    >>> js_distance([10, 0], [0, 10])
    1.0
    """
    return math.sqrt(js_divergence(reference, current))


def psi(reference: ArrayLike, current: ArrayLike) -> float:
    """Population stability index Σ (q − p) ln(q / p), for display only: half a row is added to each bin, without which an empty one is infinite.

    Its usual limits (0.1, 0.25) know nothing of the number of rows or bins (Yurdakul 2018); nothing here is decided by it.
    """
    p, q = (counts + 0.5 for counts in _counts(reference, current))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def total_variation(reference: ArrayLike, current: ArrayLike) -> float:
    """Share of rows that would have to change bins to make the histograms alike, in [0, 1]; 0 where one is empty."""
    p, q = map(_shares, _counts(reference, current))
    return 0.0 if p is None or q is None else float(0.5 * np.abs(p - q).sum())


def wasserstein_of_bins(reference: ArrayLike, current: ArrayLike, edges: ArrayLike, means: ArrayLike | None = None) -> float:
    """Wasserstein-1 distance ∫|F − G| dx in the unit of `edges`, from counts: below the first edge, between edges, from the last edge on.

    Rows are taken as spread evenly over their bin, or with `means` (of each count's rows) over the part of it around their mean, as the few rows of a long tail lie
    near its beginning; the area between F and G is then a sum of trapezoids. What moves within a bin is not seen, and the error is less than its width. What lies
    outside the edges counts as lying on them: a lower bound, where values are new.

    >>> wasserstein_of_bins([0, 10, 10, 0], [0, 0, 20, 0], [0.0, 1.0, 2.0])
    0.5
    """
    (p, q), x = map(_shares, _counts(reference, current)), np.asarray(edges, dtype=np.float64)
    if p is None or q is None or x.size < 2:
        return 0.0
    gap = np.cumsum(q - p)[:-1]
    left, right, width = gap[:-1], gap[1:], np.diff(x)
    if means is None:
        return float(_trapezoids(left, right, width).sum())
    middle = np.clip(np.asarray(means, dtype=np.float64)[1:-1], x[:-1], x[1:])
    before, after = np.maximum(2.0 * middle - x[1:] - x[:-1], 0.0), np.maximum(x[1:] + x[:-1] - 2.0 * middle, 0.0)
    return float((np.abs(left) * before + _trapezoids(left, right, width - before - after) + np.abs(right) * after).sum())


def _trapezoids(left: Floats, right: Floats, width: Floats) -> Floats:
    """Areas between 0 and lines from `left` to `right`, each side of a crossing counted."""
    crossing = left * right < 0
    plain = 0.5 * (np.abs(left) + np.abs(right)) * width
    total = np.where(crossing, 1.0, np.abs(left) + np.abs(right))
    crossed = 0.5 * (left**2 + right**2) / np.where(crossing, np.abs(left) + np.abs(right), total + 1e-300) * width
    return np.where(crossing, crossed, plain)


def _counts(reference: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    p, q = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if p.ndim != 1 or p.shape != q.shape:
        raise ValueError(f"expected two vectors of counts of the same bins, found shapes {p.shape} and {q.shape}")
    for values in (p, q):
        # Of a NaN neither holds.
        if values.size and not (values.min() >= 0.0 and values.max() < math.inf):
            wrong = values[~((values >= 0.0) & (values < math.inf))][0]
            raise ValueError(f"expected finite counts of 0 or more, found {wrong:g}")
    return p, q


def _shares(counts: Floats) -> Floats | None:
    total = counts.sum()
    return counts / total if total > 0 else None


def _relative_entropy(p: Floats, q: Floats) -> float:
    """Σ p log₂(p / q) over p > 0."""
    seen = p > 0
    return float(np.sum(p[seen] * np.log2(p[seen] / q[seen])))

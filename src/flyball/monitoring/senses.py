"""The ways in which a window may differ from what came before it, each with the test that sees it best.

All of them compare the window's counts with those of all rows together, as one draw without replacement: under exchangeable rows every subset of so many
rows is equally likely, so the noise of the reference is part of every p-value, and p-values of successive windows against all that came before
are independent (each is uniform given the bag of rows so far and all later windows).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.streams import MISSING_BIN, OTHER_BIN, UNSEEN_BIN, Stream
from flyball.stats import cauchy, chi_square, hypergeometric, permutation

NAMES = {"number": ("rank", "mean", "scale", "shape", "single"), "category": ("shape", "single")}
"""rank: Wilcoxon's; mean: in the column's own unit; scale: Mood's, wider or narrower; shape: chi-square over merged bins; single: one bin (missing, out of
range, unseen, a heavy value, a category) by Fisher's exact test."""
WEIGHTS = {"number": (0.25, 0.25, 0.1, 0.2, 0.2), "category": (0.4, 0.6)}
"""How a stream's evidence is divided. Numbers mostly move as a whole; categories one by one."""
SHAPE_BINS = 16
LOOKED_AT = 2.0
"""Standard deviations from which on a single bin's exact p-value is computed: what is nearer decides nothing."""
SMALLEST = 1e-250

Floats = NDArray[np.float64]


class Sensed(NamedTuple):
    """One stream's p-values, as if rows were exchangeable."""

    p: tuple[float, ...]
    """By sense."""
    squares: tuple[float, ...]
    """By sense: the squared standard normal of that p-value."""
    size: float
    """Harmonic size of window and rest: n·N/(n + N)."""


def sensed(stream: Stream, window: Floats, before: Floats) -> Sensed:
    """Counts of the window and of what came before it, both of at least one row."""
    everything = window + before
    n, rest = float(window.sum()), float(before.sum())
    shape_groups = (
        chi_square.merged_if_rare(everything, min(n, rest))
        if stream.kind == "category"
        else _number_groups(everything, min(n, rest))
    )
    shape = chi_square.statistic_and_p(np.bincount(shape_groups, window), np.bincount(shape_groups, everything))
    single_p, single_z = _single(stream, window, everything)
    # A Bonferroni minimum is above ½ by construction and not by luck: it must not speak against drift.
    single = (min(single_p, 0.5), single_z**2)
    found = [(shape[1], shape[0]), single]
    if stream.kind == "number":
        found = [*(_ordered(stream, window[1:], everything[1:]) or [single] * 3), *found]
    return Sensed(
        p=tuple(p for p, _ in found), squares=tuple(_square(p, otherwise) for p, otherwise in found), size=n * rest / (n + rest)
    )


def evidence(stream: Stream, p_values: tuple[float, ...]) -> float:
    """The stream's weighted Cauchy sum."""
    return sum(weight * cauchy.evidence(p) for weight, p in zip(WEIGHTS[stream.kind], p_values, strict=True))


def _ordered(stream: Stream, window: Floats, everything: Floats) -> list[tuple[float, float]]:
    """rank, mean, scale: of the rows that are not missing. Nothing where there are but two values: `single` says it all then, exactly."""
    if int(np.count_nonzero(everything)) <= 2:
        return []
    cumulative = np.cumsum(everything)
    rank = (cumulative - everything / 2.0) / cumulative[-1] - 0.5
    found = []
    for scores in (rank, np.asarray(stream.means), rank * rank):
        z = permutation.standardised_sum(window, everything, scores)
        found.append((permutation.two_sided_p(window, everything, scores), z * z))
    return found


def _number_groups(everything: Floats, smaller: float) -> NDArray[np.int64]:
    """Neighbours merged; missing alone, unless it is too rare."""
    groups = chi_square.merged_in_order(everything[1:], smaller, SHAPE_BINS)
    missing_alone = everything[MISSING_BIN] * smaller >= chi_square.FEWEST_EXPECTED * everything.sum()
    return np.concatenate([[groups[-1] + 1 if missing_alone else 0], groups])


def _single(stream: Stream, window: Floats, everything: Floats) -> tuple[float, float]:
    """The smallest weighted p-value of one bin against all others (Bonferroni), and the largest deviation."""
    weights = _bin_weights(stream, everything)
    places = np.flatnonzero(weights)
    n, total, hits = window.sum(), everything.sum(), everything[places]
    variance = n * (total - n) / max(total - 1.0, 1.0) * hits / total * (1.0 - hits / total)
    z = np.abs(window[places] - n * hits / total) / np.sqrt(np.maximum(variance, 1e-12))
    smallest = 1.0
    for index in np.flatnonzero(z >= LOOKED_AT).tolist():
        place = int(places[index])
        p = hypergeometric.exact_p(int(window[place]), int(n), int(everything[place]), int(total))
        smallest = min(smallest, p / float(weights[place]))
    return smallest, float(z.max(initial=0.0))


def _bin_weights(stream: Stream, everything: Floats) -> Floats:
    """Of the bins that are looked at singly; sum to one. Half by share: a common value is what a shift can move most rows to or from."""
    weights = np.zeros(everything.size)
    if stream.kind == "category":
        weights[[MISSING_BIN, UNSEEN_BIN, OTHER_BIN]] = 0.1, 0.1, 0.05
        named, left = np.arange(3, everything.size), 0.75
    else:
        weights[[MISSING_BIN, 1, everything.size - 1]] = 0.4, 0.15, 0.15
        named, left = np.asarray(stream.heavy_bins, dtype=np.int64), 0.3
    if named.size:
        shares = everything[named] / max(float(everything[named].sum()), 1.0)
        weights[named] = left * (0.5 / named.size + 0.5 * shares)
    normed: Floats = weights / weights.sum()
    return normed


def _square(p: float, otherwise: float) -> float:
    """z² of a two-sided p-value; where p is too small for a float, the statistic itself."""
    from scipy.special import ndtri

    if p < SMALLEST:
        return max(otherwise, 1_100.0)
    return float(ndtri(min(p, 1.0) / 2.0) ** 2)

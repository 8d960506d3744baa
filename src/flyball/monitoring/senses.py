"""The ways in which a window may differ from what came before it, each with the test that sees it best.

All of them compare the window's counts with those of all rows together, as one draw without replacement: under exchangeable rows every subset of so many
rows is equally likely, so the noise of the reference is part of every p-value, and p-values of successive windows against all that came before
are independent (each is uniform given the bag of rows so far and all later windows). Whatever is chosen here (scores, merged bins, weights, which senses can say
anything) is chosen by the counts of all rows together, never by which of them are the window's.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.streams import MISSING_BIN, OTHER_BIN, UNSEEN_BIN, Stream
from flyball.stats import cauchy, chi_square, hypergeometric, permutation

NAMES = {"number": ("rank", "mean", "scale", "shape", "single", "missing"), "category": ("shape", "single", "missing")}
"""rank: Wilcoxon's; mean: in the column's own unit; scale: Mood's, wider or narrower; shape: likelihood ratio over merged bins; single: one bin (out of range, unseen,
a heavy value, a category) by Fisher's exact test; missing: the same for missing values. All but `missing` are of the other rows alone."""
WEIGHTS = {"number": (0.3, 0.25, 0.05, 0.15, 0.1, 0.15), "category": (0.35, 0.5, 0.15)}
"""How a stream's evidence is divided among the senses that can say anything. Numbers mostly move as a whole, categories one by one."""
SHAPE_BINS = 16
LEAST_WEIGHT = 0.1
"""Of out of range, unseen and other, among bins that weigh ½ at most: that these stay rare is what a model relies on."""
TESTABLE = 1e-3
"""p-value that all of a bin's rows in the window would have to reach."""
LOOKED_AT = 2.0
"""Standard deviations from which on a single bin's exact p-value is computed: what is nearer decides nothing."""
SMALLEST = 1e-250

Floats = NDArray[np.float64]
Told = tuple[float, float]
"""p-value and squared statistic; NaN and 1: these rows cannot say anything in this sense."""
NOTHING: Told = (math.nan, 1.0)


class Sensed(NamedTuple):
    """One stream's p-values, as if rows were exchangeable."""

    p: tuple[float, ...]
    """By sense; NaN: it cannot say anything."""
    squares: tuple[float, ...]
    """By sense: the squared standard normal of that p-value."""
    size: float
    """Harmonic size of window and rest: n·N/(n + N)."""


def sensed(stream: Stream, window: Floats, before: Floats) -> Sensed:
    """Counts of the window and of what came before it, both of at least one row."""
    everything = window + before
    n, total = float(window.sum()), float(everything.sum())
    present = np.arange(window.size) != MISSING_BIN
    found = _of_present(stream, np.where(present, window, 0.0), np.where(present, everything, 0.0))
    found.append(_single(window, everything, np.where(present, 0.0, 1.0)))
    return Sensed(p=tuple(p for p, _ in found), squares=tuple(_square(*told) for told in found), size=n * (total - n) / total)


def combined(stream: Stream, p_values: tuple[float, ...]) -> float:
    """One p-value of all senses that can say anything; 1: none can."""
    told = [(p, weight) for p, weight in zip(p_values, WEIGHTS[stream.kind], strict=True) if not math.isnan(p)]
    total = sum(weight for _, weight in told)
    return cauchy.combined([p for p, _ in told], [weight / total for _, weight in told]) if told else 1.0


def _of_present(stream: Stream, window: Floats, everything: Floats) -> list[Told]:
    """All senses but `missing`, of rows that are not."""
    n, total = float(window.sum()), float(everything.sum())
    if not 0 < n < total:
        return [NOTHING] * (len(NAMES[stream.kind]) - 1)
    smaller = min(n, total - n)
    if stream.kind == "category":
        groups = chi_square.merged_if_rare(everything, smaller, OTHER_BIN)
    else:
        groups = np.append(0, chi_square.merged_in_order(everything[1:], smaller, SHAPE_BINS))
    statistic, p, df = chi_square.statistic_and_p(np.bincount(groups, window), np.bincount(groups, everything))
    shape = (p, statistic) if df >= (1 if stream.kind == "category" else 2) else NOTHING
    found = [shape, _single(window, everything, _bin_weights(stream, everything))]
    return [*_ordered(stream, window[1:], everything[1:]), *found] if stream.kind == "number" else found


def _ordered(stream: Stream, window: Floats, everything: Floats) -> list[Told]:
    """rank, mean, scale. Nothing where there are but two values: `single` says it all then, exactly."""
    if int(np.count_nonzero(everything)) <= 2:
        return [NOTHING] * 3
    cumulative = np.cumsum(everything)
    rank = (cumulative - everything / 2.0) / cumulative[-1] - 0.5
    found = []
    for scores in (rank, np.asarray(stream.means), rank * rank):
        z = permutation.standardised_sum(window, everything, scores)
        found.append((permutation.two_sided_p(window, everything, scores), z * z))
    return found


def _single(window: Floats, everything: Floats, weights: Floats) -> Told:
    """The smallest weighted p-value of one bin against all others (Bonferroni), and the largest deviation.

    A bin that holds too few rows to reach a small p-value at all has no weight (Tarone 1990).
    """
    n, total = float(window.sum()), float(everything.sum())
    testable = np.minimum(everything, total - everything) * -math.log(n / total) > -math.log(TESTABLE)
    weights = np.where(testable, weights, 0.0)
    places = np.flatnonzero(weights)
    if places.size == 2 and everything[places].sum() == total:  # two values: each is the other's complement
        places = places[:1]
    if places.size == 0:
        return NOTHING
    weights = weights / weights[places].sum()
    hits = everything[places]
    variance = n * (total - n) / max(total - 1.0, 1.0) * hits / total * (1.0 - hits / total)
    z = np.abs(window[places] - n * hits / total) / np.sqrt(variance)
    # A Bonferroni minimum is above ½ by construction and not by luck: it must not speak against drift.
    smallest = 0.5
    for index in np.flatnonzero(z >= LOOKED_AT).tolist():
        place = int(places[index])
        p = hypergeometric.exact_p(int(window[place]), int(n), int(everything[place]), int(total))
        smallest = min(smallest, p / float(weights[place]))
    return smallest, float(z.max() ** 2)


def _bin_weights(stream: Stream, everything: Floats) -> Floats:
    """Of the bins that are looked at singly, by the spread of a share, √(s(1 − s)): a move of so many points is hardest to see where the share is a half."""
    share = everything / everything.sum()
    weights: Floats = np.sqrt(share * (1.0 - share))
    category = stream.kind == "category"
    rare = [UNSEEN_BIN, OTHER_BIN] if category else [1, everything.size - 1]
    named = list(range(3, everything.size)) if category else list(stream.heavy_bins)
    looked_at = np.zeros(everything.size)
    looked_at[named] = weights[named]
    looked_at[rare] = np.maximum(weights[rare], LEAST_WEIGHT)
    return looked_at


def _square(p: float, otherwise: float) -> float:
    """z² of a two-sided p-value; where p is too small for a float, the statistic itself."""
    from scipy.special import ndtri

    if math.isnan(p):
        return 1.0
    return max(otherwise, 1_100.0) if p < SMALLEST else float(ndtri(min(p, 1.0) / 2.0) ** 2)

"""How far a stream moved, in units that people know. None of them decides alone: a p-value says whether, these say how much."""

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.streams import Stream
from flyball.stats import distances

Floats = NDArray[np.float64]
UPPER, PROVEN = 1.645, 3.0
"""Standard errors: of an upper end of 95 %; of a share that would move so far once in 370 times."""


def of(stream: Stream, counts: Floats, before: Floats) -> dict[str, float]:
    """`psi`, `js` (distance), `share_points` (largest_move), and `total_variation` of a category or `wasserstein` of a number, in its own unit."""
    found = {
        "psi": distances.psi(before, counts),
        "js": distances.js_distance(before, counts),
        "share_points": 100.0 * largest_move(stream, counts, before),
    }
    if stream.kind == "category":
        found["total_variation"] = distances.total_variation(before, counts)
    elif counts[1:].sum() > 0 and before[1:].sum() > 0 and stream.edges:
        found["wasserstein"] = distances.wasserstein_of_bins(before[1:], counts[1:], stream.edges)
    return {name: float(f"{value:.5g}") for name, value in found.items()}


def largest_move(stream: Stream, counts: Floats, before: Floats) -> float:
    """The largest share of rows that went into or out of one bin, or across one edge: what the finding's sentence tells, in [0, 1]."""
    n, m = max(counts.sum(), 1.0), max(before.sum(), 1.0)
    return float(np.abs(_shares(stream, counts) / n - _shares(stream, before) / m).max(initial=0.0))


def may_have_moved(stream: Stream, counts: Floats, before: Floats, least: float) -> bool:
    """Whether a share moved by `least`, or did move (PROVEN errors of no move) and may have by so much (below an upper end of 95 %): luck of a window's rows makes
    no move too small. Difference of two proportions, normal law; pooled for the question whether it moved."""
    n, m = max(counts.sum(), 1.0), max(before.sum(), 1.0)
    now, then = _shares(stream, counts) / n, _shares(stream, before) / m
    far, pooled = np.abs(now - then), (now * n + then * m) / (n + m)
    proven = far >= PROVEN * np.sqrt(pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m))
    upper = far + UPPER * np.sqrt(now * (1.0 - now) / n + then * (1.0 - then) / m)
    return bool(np.any((far >= least) | (proven & (far > 0.0) & (upper >= least))))


def _shares(stream: Stream, counts: Floats) -> Floats:
    """Rows in each bin; of a number also below each edge."""
    return counts if stream.kind == "category" else np.concatenate((counts, np.cumsum(counts[1:])[:-1]))

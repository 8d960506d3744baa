"""How far a stream moved, in units that people know. None of them decides alone: a p-value says whether, these say how much."""

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.streams import Stream
from flyball.stats import distances

Floats = NDArray[np.float64]


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
    now, then = counts / max(counts.sum(), 1.0), before / max(before.sum(), 1.0)
    single = np.abs(now - then)
    if stream.kind == "category":
        return float(single.max(initial=0.0))
    across = np.abs(np.cumsum(now[1:]) - np.cumsum(then[1:]))
    return float(max(single.max(initial=0.0), across[:-1].max(initial=0.0)))

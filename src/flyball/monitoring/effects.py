"""How far a stream moved, in units that people know. None of them decides alone: a p-value says whether, these say how much."""

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.streams import Stream
from flyball.monitoring.traits import Traits
from flyball.stats import distances, log_buckets

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
        found["wasserstein"] = distances.wasserstein_of_bins(before[1:], counts[1:], stream.edges, stream.means or None)
    return {name: float(f"{value:.5g}") for name, value in found.items()}


def told(stream: Stream, counts: Floats, before: Floats, seen: Traits | None) -> tuple[dict[str, float], tuple[str, ...]]:
    """`of`, with `outside`; and which of them may be more, since nobody knows how far out numbers lie that are beyond the reference's: those that came before,
    and without traits the window's. `seen`: of the rows of `counts`; None: not known, as of several windows."""
    found = of(stream, counts, before)
    if "wasserstein" not in found or not (is_bound(stream, counts) or is_bound(stream, before)):
        return found, ()
    if seen is not None:
        found["wasserstein"] = float(f"{found['wasserstein'] + outside(stream, counts, seen, before):.5g}")
    return found, () if seen is not None and not is_bound(stream, before) else ("wasserstein",)


def outside(stream: Stream, counts: Floats, seen: Traits, before: Floats | None = None) -> float:
    """What a window's numbers beyond the reference's lowest and highest add to `wasserstein`, which has them lie there: beyond them one of the distributions is 0
    or 1, so it is their mean distance, known to 1 % from the traits of the same rows (to 2 % a level more where buckets are joined).

    `before`: where it has such numbers as well, as many of the window's may be beside them, which is allowed for by leaving the furthest out: at least so
    much is added."""
    if not stream.edges or not seen.buckets or seen.lowest is None or seen.highest is None:
        return 0.0
    places = np.fromiter(sorted(seen.buckets), dtype=np.int64, count=len(seen.buckets))
    times = np.array([seen.buckets[place] for place in places.tolist()], dtype=np.int64)
    until, total = np.cumsum(times), max(float(counts[1:].sum()), 1.0)
    lower, upper = (np.clip(edge, seen.lowest, seen.highest) for edge in log_buckets.edges_of(places, seen.level))
    middle, rows = (lower + upper) / 2.0, int(until[-1])
    shares = np.zeros(2) if before is None else before[[1, -1]] / max(float(before[1:].sum()), 1.0)
    fewer, more = np.ceil(shares * total).astype(np.int64).tolist()

    def among(first: int, last: int) -> NDArray[np.int64]:
        """Of each bucket, how many of its rows are these in order of their values: of the rows themselves there may be millions."""
        found: NDArray[np.int64] = np.maximum(np.minimum(until, last) - np.maximum(until - times, first), 0)
        return found

    under = among(fewer, int(counts[1])) @ np.maximum(stream.edges[0] - middle, 0.0)
    over = among(max(rows - int(counts[-1]), 0), max(rows - more, 0)) @ np.maximum(middle - stream.edges[-1], 0.0)
    return float(under + over) / total


def is_bound(stream: Stream, counts: Floats) -> bool:
    """Whether the window has numbers beyond the reference's, by which `wasserstein` is more than is told."""
    return stream.kind == "number" and bool(stream.edges) and counts[1] + counts[-1] > 0.0


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

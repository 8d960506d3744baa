"""Edges of bins as people read them: four digits, or as many more as tell them apart."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from flyball.monitoring.streams import Stream

FEWEST_DIGITS, FLOAT32_DIGITS, FLOAT64_DIGITS = 4, 9, 17
ONE_VALUE_DIGITS = 15
"""Of a number far from 0 that the reference has alone: what moves it may be its last digit."""

Written = Callable[[float], str]


def of_stream(stream: Stream) -> Written:
    """Writes an edge, a heavy value or another number of its bins, with the stream's centre put back."""
    after_heavy = {place - 1 for place in stream.heavy_bins}
    seen = [edge for place, edge in enumerate(stream.edges[:-1]) if place not in after_heavy]
    if stream.edges and highest_of(stream) not in seen:
        seen.append(highest_of(stream))
    digits = _digits([edge + stream.centre for edge in seen], FLOAT64_DIGITS if stream.centre else FLOAT32_DIGITS)
    if stream.centre and len(seen) == 1:
        digits = ONE_VALUE_DIGITS
    return lambda value: f"{value + stream.centre:.{digits}g}"


def of_values(values: Sequence[float]) -> Written:
    digits = _digits(values, FLOAT32_DIGITS)
    return lambda value: f"{value:.{digits}g}"


def highest_of(stream: Stream) -> float:
    """The highest value of the reference: the last edge stands one float32 above it."""
    return float(str(np.nextafter(np.float32(stream.edges[-1]), np.float32(-np.inf))))


def middle_half_of(stream: Stream) -> tuple[float, float]:
    """The edges below which a quarter and three quarters of the reference's numbers lie."""
    inner = np.cumsum(stream.counts[2:-1])
    if not inner.size:
        return 0.0, 0.0
    low, high = (stream.edges[int(np.searchsorted(inner, share * inner[-1]))] for share in (0.25, 0.75))
    return low, high


def _digits(values: Sequence[float], most: int) -> int:
    apart = [(a, b) for a, b in pairwise(values) if a != b]
    return next((n for n in range(FEWEST_DIGITS, most) if all(f"{a:.{n}g}" != f"{b:.{n}g}" for a, b in apart)), most)

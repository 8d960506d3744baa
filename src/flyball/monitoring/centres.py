"""Numbers far from 0 beside how far they are apart: seconds since 1970, days written as 20260101, identifiers. As float32, which a model sees and in which bins
are counted, such numbers are all one. In a frame the column's centre is taken off first, by the reference and by every window alike."""

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import blocks
from flyball.monitoring.edge_words import highest_of, middle_half_of
from flyball.monitoring.streams import Stream

FINENESS = 100.0
"""Steps of a float32 within the median distance from the centre: the narrowest of 32 bins of a normal variable still has a dozen."""
MOST_ROWS = 10_000
"""That are looked at for values that fall together, evenly spaced."""
WHOLE = 2.0**24
"""From here on a float32 has no place for every whole number."""

LARGEST = float(np.finfo(np.float32).max)
"""A float32 holds no larger number, and no edge of a bin can stand above it: 1e39, or the largest float64 in the place of a missing value, counts as infinite."""
SMALLEST = float(np.finfo(np.float32).tiny)
"""Numbers that are nearer to one another fall together with any centre."""

Float32s = NDArray[np.float32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def centre_of(values: Floats) -> float:
    """What is to be taken off, a value of the column; 0: nothing, as a float32 is fine enough."""
    present = values[np.abs(values) < LARGEST]
    if present.size == 0 or np.array_equal(_float32(present), present):
        return 0.0
    centre = float(np.quantile(present, 0.5, method="inverted_cdf"))
    apart = np.abs(present - centre)
    apart = apart[apart > 0.0]
    if apart.size == 0:
        return centre if abs(centre) >= WHOLE else 0.0
    if float(np.median(apart)) < SMALLEST:
        return 0.0
    step = float(np.spacing(_float32(np.asarray(abs(centre)))))
    return centre if step * FINENESS > float(np.median(apart)) else 0.0


def is_coarse(values: Floats, centre: float) -> bool:
    """Whether what a float32 tells apart is less than half of what there is: a few far numbers beside many near 0, or two clusters."""
    present = values[np.abs(values) < LARGEST]
    some = present[blocks.sampled(present.size, -(-max(present.size, 1) // MOST_ROWS))]
    return bool(2 * np.unique(_float32(some - centre)).size < np.unique(some).size)


def looks_far(stream: Stream) -> bool:
    """Whether a column that was counted as it came lies so far from 0 that float32 leaves few places within half of it, as far as its bins tell."""
    if stream.kind != "number" or not stream.edges:
        return False
    low, high = middle_half_of(stream)
    apart = (high - low) or (highest_of(stream) - stream.edges[0])
    return abs(high) >= WHOLE if apart == 0.0 else apart < FINENESS * float(np.spacing(np.float32(abs(high))))


def centred(values: Floats, centre: float) -> Float32s:
    """Without the centre. Infinite values become missing ones: beyond the highest there is no bin of their own for them."""
    listed = _float32(values - centre)
    listed[are_infinite(values, centre)] = np.nan
    return listed


def are_infinite(values: Floats, centre: float) -> Bools:
    """Or so large that they are as float32."""
    found: Bools = np.abs(_float32(values - centre)) >= LARGEST
    return found


def _float32(values: Floats) -> Float32s:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)

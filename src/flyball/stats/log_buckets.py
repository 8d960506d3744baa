"""Counts of numbers in buckets of equal relative width: a distribution in its own unit, whatever the unit, exact to merge.

The buckets are those of DDSketch (Masson, Rim & Lee, VLDB 2019) with a fixed base and both signs: 32 to a doubling, so that a value is known to 2.2 %.
Where they become too many all are joined two by two, as in UDDSketch (Epicoco et al., IEEE Access 2020): `level` is how often. A part of the values never has
more of them than the whole, so however values are divided and merged, level and counts come out the same.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PER_DOUBLING = 32
ZERO_AT = 5_000
"""Added to a bucket's exponent: float32 begins at 2⁻¹⁴⁹, 4,768 buckets below 1, and sign × bucket is to be in order of the values."""
_HAIR = 1e-7
"""Relative: `bucket_of` gives values to the bucket above from 1e-6 of a bucket below its edge."""


def bucket_of(values: ArrayLike) -> Ints:
    """The bucket of each value, (n,): 0 for 0, negative for negative values, ascending with them. Infinities get the outermost; NaN is not allowed.

    >>> bucket_of([-1.0, 0.0, 1.0, 1.01, 2.0]).tolist()
    [-5000, 0, 5000, 5000, 5032]
    """
    numbers = np.asarray(values, dtype=np.float64)
    sizes = np.clip(np.abs(numbers), 2.0**-149, 2.0**130)
    # an integer power of two is exact, and what rounding makes of others is a hair below or above: it is given to the bucket above
    places = np.floor(np.log2(sizes) * PER_DOUBLING + 1e-6).astype(np.int64) + ZERO_AT
    return np.where(numbers == 0.0, 0, np.sign(numbers).astype(np.int64) * places)


def joined(buckets: ArrayLike, level: int) -> Ints:
    """Of each bucket the one nearest to 0 of those that it is joined with; 0 stays by itself.

    >>> joined([-5001, 0, 5000, 5003, 5004], 2).tolist()
    [-5000, 0, 5000, 5000, 5004]
    """
    places = np.asarray(buckets, dtype=np.int64)
    found: Ints = np.sign(places) * (np.abs(places) >> level << level)
    return found


def edges_of(buckets: ArrayLike, level: int = 0) -> tuple[Floats, Floats]:
    """Between which values each bucket's lie, both (n,): a hair wider than the bucket, for what rounding moved into it.

    >>> lower, upper = edges_of(bucket_of([-100.0, 0.0, 100.0]))
    >>> bool(np.all(lower <= [-100.0, 0.0, 100.0]) and np.all(upper >= [-100.0, 0.0, 100.0]) and np.all(upper - lower < 2.3))
    True
    """
    places = np.asarray(buckets, dtype=np.int64)
    exponents = np.abs(places) - ZERO_AT
    near = np.where(exponents <= -149 * PER_DOUBLING, 0.0, np.exp2(exponents / PER_DOUBLING) * (1.0 - _HAIR))
    far = np.where(exponents + 2**level > 130 * PER_DOUBLING, np.inf, np.exp2((exponents + 2**level) / PER_DOUBLING))
    near, far = np.where(places == 0, 0.0, near), np.where(places == 0, 0.0, far)
    return np.where(places < 0, -far, near), np.where(places < 0, -near, far)


def counted(values: ArrayLike) -> dict[int, int]:
    """Bucket → count, ascending; `values` (n,) without NaN."""
    buckets, times = np.unique(bucket_of(values), return_counts=True)
    return dict(zip(buckets.tolist(), times.tolist(), strict=True))


def merged(parts: Sequence[tuple[Mapping[int, int], int]], most: int) -> tuple[dict[int, int], int]:
    """The counts of all parts (buckets, level) in `most` buckets or fewer, and their level.

    >>> merged([({5000: 1, 5001: 2, 5002: 3}, 0), ({5002: 4}, 1)], 3)
    ({5000: 3, 5002: 7}, 1)
    """
    level = max(own for _, own in parts)
    places = np.concatenate([np.fromiter(buckets.keys(), dtype=np.int64, count=len(buckets)) for buckets, _ in parts])
    times = np.concatenate([np.fromiter(buckets.values(), dtype=np.int64, count=len(buckets)) for buckets, _ in parts])
    kept, at = np.unique(joined(places, level), return_inverse=True)
    while kept.size > most:
        level += 1
        kept, at = np.unique(joined(places, level), return_inverse=True)
    total = np.zeros(kept.size, dtype=np.int64)
    np.add.at(total, at, times)
    return dict(zip(kept.tolist(), total.tolist(), strict=True)), level


def distance(buckets: ArrayLike, times: ArrayLike, expected: ArrayLike, level: int = 0) -> float:
    """How far counts lie from equally likely `expected` values (m,): Kolmogorov's distance, but a value may lie one bucket off (Lévy's idea), in [0, 1].

    Of joined buckets it is the least that their counts may mean, and one bucket off stays 2.2 %: with one joined bucket off, 20 % nearly would fit alike.

    >>> distance(bucket_of([1.0, 2.0, 3.0]), [1, 1, 1], [1.0, 2.0, 3.0])
    0.0
    >>> distance(bucket_of([60.0, 120.0, 180.0]), [1, 1, 1], [1.0, 2.0, 3.0])
    1.0
    """
    places, weights = np.asarray(buckets, dtype=np.int64), np.asarray(times, dtype=np.float64)
    wanted = np.sort(bucket_of(expected))
    if weights.sum() == 0.0 or wanted.size == 0:
        return 0.0
    order, width = np.argsort(places), 2**level - 1
    places, below = places[order], np.append(0.0, np.cumsum(weights[order])) / weights.sum()
    first, last = places - width * (places < 0), places + width * (places > 0)

    def due(at: Ints) -> Floats:
        return np.searchsorted(wanted, at, side="right") / wanted.size

    # values of a joined bucket may all be in its first one, or in its last one; the steps lie here: between them nothing is further
    surely, at_most = below[1:], below[np.searchsorted(first, wanted + 1, side="right")]
    return float(max(np.max(surely - due(last + 1)), np.max(due(wanted) - at_most), 0.0))

"""A window in counts: exact, and exact to merge."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring import streams
from flyball.monitoring.reference import Reference, prediction_columns


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Integer counts in the reference's bins."""

    rows: int
    counts: dict[str, tuple[int, ...]]
    """Stream → counts per bin; a stream that was not seen is absent."""


def profile_of(
    reference: Reference, columns: Mapping[str, Any], scores: NDArray[np.float64] | None, rows: int | None = None
) -> Profile:
    """Count rows: features column by column (numbers with NaN or None, categories with '' or None), scores (n_rows, n_scores) or None.

    `rows`: how many there were, where of some columns fewer values are known; None: every column has one for each row.
    Raises DataError when columns differ in length, or are longer than `rows`.
    """
    seen: dict[str, Any] = {
        stream.name: columns[stream.name]
        for stream in reference.streams
        if stream.role != "prediction" and stream.name in columns
    }
    if scores is not None:
        features = frozenset(stream.name for stream in reference.streams if stream.role == "feature")
        answered = prediction_columns(reference.task, reference.classes, features, streams.score_table(scores))
        seen |= {name: values for name, (_, values) in answered.items()}
    sizes = {len(values) for values in seen.values()}
    if rows is not None and max(sizes, default=0) > rows:
        raise DataError(f"columns of up to {max(sizes)} values", expected=f"at most {rows}")
    if rows is None and len(sizes) > 1:
        raise DataError(f"columns of different length: {sorted(sizes)}", expected="one value per row in each")
    counts = {
        stream.name: tuple(streams.bin_of(stream, seen[stream.name]).tolist())
        for stream in reference.streams
        if stream.name in seen
    }
    return Profile(rows=max(sizes, default=0) if rows is None else rows, counts=counts)


def empty(reference: Reference) -> Profile:
    """The profile of no rows: merging it changes nothing."""
    return Profile(rows=0, counts={stream.name: (0,) * stream.n_bins for stream in reference.streams})


def merge(a: Profile, b: Profile) -> Profile:
    """The profile of the rows of both. Associative and commutative; equal to counting all rows at once."""
    names = dict.fromkeys((*a.counts, *b.counts))
    return Profile(rows=a.rows + b.rows, counts={name: _sum(a.counts.get(name), b.counts.get(name)) for name in names})


def _sum(a: tuple[int, ...] | None, b: tuple[int, ...] | None) -> tuple[int, ...]:
    if a is None or b is None:
        return a or b or ()
    return tuple(x + y for x, y in zip(a, b, strict=True))

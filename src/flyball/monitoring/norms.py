"""What columns look like in their own units when nothing is wrong: what a window's traits are compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import blocks, counting, traits
from flyball.monitoring.streams import Stream
from flyball.monitoring.traits import Traits

QUANTILES = 33
"""Equally likely values of a number that are kept, as observed: ties stay ties. A few hundred bytes a column."""
MOST_ROWS = 200_000
"""Reference rows whose quantiles are taken, evenly spaced."""
FEWEST_ROWS = 20

Ints = NDArray[np.int64]

FILE = "norms.json"
"""In a package."""


class Norm(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the reference."""

    present: int
    """Rows that have a value."""
    quantiles: tuple[float, ...] = ()
    """Numbers: as equally likely values, ascending."""
    top_share: float
    """Of the most frequent value among the present ones; 1 where a window of the reference had one value only."""
    clumping: float
    """Highest over its windows: share of values equal to the one before, beyond what the window's shares of values lead to expect."""


class Norms(msgspec.Struct, frozen=True, kw_only=True):
    """Encode with `records.codec`; about 40 kB for 100 columns."""

    format: int = 1
    columns: dict[str, Norm]
    rows: int
    multiplicities: tuple[tuple[int, int], ...] = ()
    """(how often a row occurs, how many such rows the reference has)."""


def known_of(streams: Sequence[Stream]) -> dict[str, frozenset[str] | None]:
    """Column → the categories of the reference, or None for a number: what `traits.traits_of` asks for."""
    return {
        stream.name: frozenset((*stream.categories, *stream.others)) if stream.kind == "category" else None
        for stream in streams
        if stream.role == "feature"
    }


def build(streams: Sequence[Stream], columns: Mapping[str, Any], windows: Sequence[Ints]) -> Norms:
    """From the reference's rows; `windows`: their indices, a window each."""
    known = known_of(streams)
    whole = {name: columns[name] if isinstance(columns[name], np.ndarray) else np.asarray(columns[name]) for name in known}
    large = [window for window in windows if window.size >= FEWEST_ROWS]
    rows = [{name: values[window] for name, values in whole.items()} for window in large]
    several = [traits.traits_of(known, each) for each in rows]
    numbers, coded = traits.read(known, whole)
    found = {name: _number(values, [each.columns[name] for each in several]) for name, (values, _) in numbers.items()}
    found |= {
        stream.name: _category(
            stream,
            int(np.count_nonzero(np.array([bool(name) for name in coded[stream.name][0]], dtype=bool)[coded[stream.name][1]])),
            [(each.columns[stream.name], _present(of[stream.name])) for each, of in zip(several, rows, strict=True)],
        )
        for stream in streams
        if stream.name in coded
    }
    _, times = np.unique(traits.row_digests(numbers, coded), return_counts=True)
    often, many = np.unique(times, return_counts=True)
    return Norms(
        columns={name: found[name] for name in known},
        rows=int(times.sum()),
        multiplicities=tuple(zip(often.tolist(), many.tolist(), strict=True)),
    )


def clumping(seen: Traits, collision: float) -> float:
    """Share of values that repeat the one before (of those that have one in their piece), less `collision`: the chance that two values drawn apart are equal."""
    return seen.repeats / max(seen.pairs, 1) - collision


def collision(shares: Sequence[int]) -> float:
    """The chance that two of the counted values are equal."""
    counts = np.asarray(shares, dtype=np.float64)
    total = float(counts.sum())
    return float(np.sum((counts / total) ** 2)) if total else 1.0


def _number(values: NDArray[np.float64], windows: list[Traits]) -> Norm:
    present = values[~np.isnan(values)]
    some = present[blocks.sampled(present.size, -(-max(present.size, 1) // MOST_ROWS))]
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    kept = np.quantile(some, levels, method="inverted_cdf") if some.size else np.zeros(0)
    _, times = np.unique(some, return_counts=True)
    constant = any(each.present >= FEWEST_ROWS and each.lowest == each.highest for each in windows)
    clumps = [clumping(each, collision(tuple(each.buckets.values()))) for each in windows if each.present >= FEWEST_ROWS]
    return Norm(
        present=present.size,
        quantiles=tuple(float(f"{value:.8g}") for value in kept),
        top_share=1.0 if constant or not some.size else round(float(times.max() / some.size), 5),
        clumping=round(max(clumps, default=1.0), 5),
    )


def _present(values: Any) -> list[int]:
    return [times for value, times in counting.times_each(values).items() if value]


def _category(stream: Stream, present: int, windows: list[tuple[Traits, list[int]]]) -> Norm:
    large = [(seen, counts) for seen, counts in windows if sum(counts) >= FEWEST_ROWS]
    top = max(stream.counts[3:], default=0) / max(sum(stream.counts[1:]), 1)
    clumps = [clumping(seen, collision(counts)) for seen, counts in large]
    return Norm(
        present=present,
        top_share=1.0 if any(len(counts) == 1 for _, counts in large) else round(top, 5),
        clumping=round(max(clumps, default=1.0), 5),
    )

"""What a column looks like in its own unit, beside the reference's bins: enough to say what kind of fault moved it.

Exact to merge, in any order and to the byte. Only what repeats the value before it knows of an order, and is counted within the rows that came together.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import counting
from flyball.stats import log_buckets

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Digests = NDArray[np.uint64]
Numbers = dict[str, tuple[Floats, int]]
Coded = dict[str, tuple[list[str], Ints]]

MOST_BUCKETS = 384
"""Of a number; where it has more, they are joined two by two, and half of them are left at least. A number of so many is spread over twelve doublings (six on
either side of 0), so that what its faults are told by moves by many of them."""
KEPT_NAMES = 64
"""Categories per column that the reference does not have."""
KEPT_ROWS = 256
"""Distinct rows by smallest digest. Up to so many rows the repeated ones are exact, beyond it an estimate: a twentieth is seen to within a fiftieth."""


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """One column of one window."""

    values: int
    """Rows of which it was captured, missing ones too."""
    missing: int
    unreadable: int = 0
    """Numbers: values that are none, such as a text."""
    lowest: float | None = None
    """Numbers: of the finite ones."""
    highest: float | None = None
    repeats: int = 0
    """Values equal to the one before in the same piece, missing ones left out."""
    buckets: dict[int, int] = {}
    """Numbers: see stats/log_buckets."""
    level: int = 0
    """Of the buckets; 0, as of releases before: each by itself."""
    pieces: int = 1
    """In which a value was present: rows that were looked at together, as they stood. Releases before did not tell: one."""
    unknown: dict[str, int] = {}
    """Categories that the reference does not have: those with the smallest digests, so that merging keeps the same ones, each counted exactly."""

    @property
    def present(self) -> int:
        return self.values - self.missing - self.unreadable

    @property
    def pairs(self) -> int:
        """Values that have one before them in their piece."""
        return max(self.present - self.pieces, 0)


class WindowTraits(msgspec.Struct, frozen=True, kw_only=True):
    columns: dict[str, Traits]
    rows: dict[int, int] = {}
    """Digest of a row → how often it occurred, of the KEPT_ROWS smallest digests; empty where not every column was captured of every row."""


def traits_of(known: Mapping[str, frozenset[str] | None], columns: Mapping[str, Any]) -> WindowTraits:
    """Look at rows. `known`: column → the reference's categories, or None for a number; values as in `profile_of`, and numbers may be texts."""
    numbers, coded = read(known, columns)
    found = {name: _of_numbers(*values) for name, values in numbers.items()}
    found |= {name: _of_categories(*values, known[name] or frozenset()) for name, values in coded.items()}
    sizes = {each.values for each in found.values()}
    whole = len(sizes) == 1 and len(found) == len(known)
    return WindowTraits(columns=found, rows=_smallest(row_digests(numbers, coded)) if whole else {})


def read(known: Mapping[str, frozenset[str] | None], columns: Mapping[str, Any]) -> tuple[Numbers, Coded]:
    """Columns as numbers (and how many values were none), and as distinct categories (and each row's place among them)."""
    numbers = {name: _numbers(columns[name]) for name, of in known.items() if of is None and name in columns}
    return numbers, {name: counting.codes(columns[name]) for name, of in known.items() if of is not None and name in columns}


def merge(a: WindowTraits, b: WindowTraits) -> WindowTraits:
    """The traits of the rows of both, each a piece or several. Associative and commutative: no order of merging is kept, so the pair at a seam is no pair."""
    names = dict.fromkeys((*a.columns, *b.columns))
    columns = {name: _merged(a.columns.get(name), b.columns.get(name)) for name in names}
    return WindowTraits(columns=columns, rows=_fewest(_sum(a.rows, b.rows)) if a.rows and b.rows else {})


def _numbers(values: Any) -> tuple[Floats, int]:
    """Numbers as float32 with NaN for missing and for what is none, and how many are none."""
    try:
        return counting.numbers(values).astype(np.float64), 0
    except (TypeError, ValueError):  # texts among them
        read = [_number(value) for value in (values.tolist() if hasattr(values, "tolist") else list(values))]
        known = np.array([np.nan if value is None else value for value in read], dtype=np.float64)
        return counting.numbers(known).astype(np.float64), sum(value is None for value in read)


def _number(value: Any) -> float | None:
    """None: there is a value, and it is no number."""
    if value is None or value == "":
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _of_numbers(numbers: Floats, unreadable: int) -> Traits:
    present = numbers[~np.isnan(numbers)]
    finite = present[np.isfinite(present)]
    buckets, level = log_buckets.merged([(log_buckets.counted(present), 0)], MOST_BUCKETS)
    return Traits(
        values=numbers.size,
        missing=numbers.size - present.size - unreadable,
        unreadable=unreadable,
        lowest=float(finite.min()) if finite.size else None,
        highest=float(finite.max()) if finite.size else None,
        repeats=int(np.count_nonzero(present[1:] == present[:-1])),
        buckets=buckets,
        level=level,
        pieces=int(present.size > 0),
    )


def _of_categories(names: list[str], codes: Ints, known: frozenset[str]) -> Traits:
    there = np.array([bool(name) for name in names], dtype=bool)[codes] if names else np.zeros(0, dtype=bool)
    present = codes[there]
    times = np.bincount(codes, minlength=len(names))
    unknown = {name: int(count) for name, count in zip(names, times, strict=True) if name and name not in known}
    return Traits(
        values=codes.size,
        missing=codes.size - present.size,
        repeats=int(np.count_nonzero(present[1:] == present[:-1])),
        pieces=int(present.size > 0),
        unknown=_fewest_names(unknown),
    )


def _merged(a: Traits | None, b: Traits | None) -> Traits:
    if a is None or b is None:
        return a or b or Traits(values=0, missing=0)
    lows = [each.lowest for each in (a, b) if each.lowest is not None]
    highs = [each.highest for each in (a, b) if each.highest is not None]
    buckets, level = log_buckets.merged([(a.buckets, a.level), (b.buckets, b.level)], MOST_BUCKETS)
    return Traits(
        values=a.values + b.values,
        missing=a.missing + b.missing,
        unreadable=a.unreadable + b.unreadable,
        lowest=min(lows, default=None),
        highest=max(highs, default=None),
        repeats=a.repeats + b.repeats,
        buckets=buckets,
        level=level,
        pieces=a.pieces + b.pieces,
        unknown=_fewest_names(_sum(a.unknown, b.unknown)),
    )


def _sum(a: Mapping[Any, int], b: Mapping[Any, int]) -> dict[Any, int]:
    return {key: a.get(key, 0) + b.get(key, 0) for key in dict.fromkeys((*a, *b))}


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _fewest_names(times: Mapping[str, int]) -> dict[str, int]:
    """What is dropped once has a larger digest than all that stay, and so never comes back: counts are exact."""
    kept = sorted(times, key=_digest)[:KEPT_NAMES] if len(times) > KEPT_NAMES else times
    return {name: times[name] for name in sorted(kept)}


def _fewest(times: Mapping[int, int]) -> dict[int, int]:
    return {digest: times[digest] for digest in sorted(times)[:KEPT_ROWS]}


def _smallest(digests: Digests) -> dict[int, int]:
    distinct, times = np.unique(digests, return_counts=True)
    return dict(zip(distinct[:KEPT_ROWS].tolist(), times[:KEPT_ROWS].tolist(), strict=True))


def row_digests(numbers: Numbers, coded: Coded) -> Digests:
    """One number for each row, of all its columns in order of their names: 8 bytes, so that equal digests are equal rows."""
    together: Digests = np.zeros(1, dtype=np.uint64)
    for name in sorted((*numbers, *coded)):
        if name in numbers:
            bits = (numbers[name][0] + 0.0).astype(np.float32).view(np.uint32).astype(np.uint64)
        else:
            names, codes = coded[name]
            bits = np.array([_digest(value) for value in names], dtype=np.uint64)[codes]
        together = _mixed(together * np.uint64(31) + bits)
    return together


def _mixed(values: Digests) -> Digests:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

"""A window's counts as bytes: MessagePack, whole numbers as differences of one to the next, in as few half bytes as they need.

Counts of neighbours are alike, and buckets lie side by side: mostly one byte for both, where JSON has nine. The same counts are the same bytes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring.joint_rows import PairCounts
from flyball.monitoring.traits import Traits, WindowTraits
from flyball.monitoring.window_counts import Profile

U64 = NDArray[np.uint64]

BITS = 3
"""Of a number in each half of a byte; the fourth says whether more follow (as in LEB128)."""
MORE = 1 << BITS
MOST_HALVES = 22
"""Of 64 bits."""
FURTHEST = 9_160
"""Bucket of an infinity; one of each sign, and 0 between them."""
MOST_BUCKETS = 2 * FURTHEST + 1
"""That there are: a run of thousands is told in a byte or two, so bytes that hold no counts would take gigabytes."""
MOST_LEVEL = 13
"""From the next on all buckets are 0."""


class Parts(NamedTuple):
    """Of a window."""

    profile: Profile
    bins: str
    pairs: PairCounts | None
    traits: WindowTraits | None
    begin: datetime | None


class _Column(msgspec.Struct, array_like=True, frozen=True):
    """Traits by place, not by name: a hundred columns would spend eight kilobytes on names. New ones are put at the end, with a default."""

    values: int
    missing: int
    unreadable: int
    pieces: int
    repeats: int
    lowest: float | None
    highest: float | None
    level: Annotated[int, msgspec.Meta(ge=0, le=MOST_LEVEL)]
    gaps: bytes
    """From the last bucket of a run to the first of the next; without the bits that are 0 at this level."""
    runs: bytes
    """How many buckets lie side by side."""
    times: bytes
    unknown: dict[str, int]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    format: Literal[2] = 2
    """1 was JSON."""
    rows: int
    counts: dict[str, bytes]
    bins: str
    pairs: list[bytes] | None
    columns: dict[str, _Column] | None
    digests: bytes
    """Of rows, eight bytes each, ascending."""
    times: bytes
    """How often each of them occurred."""
    begin: datetime | None


_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder = msgspec.msgpack.Decoder(_Kept)


def encode(parts: Parts) -> bytes:
    seen = parts.traits
    digests = {} if seen is None else dict(sorted(seen.rows.items()))
    kept = _Kept(
        rows=parts.profile.rows, counts={name: packed(counts) for name, counts in parts.profile.counts.items()}, bins=parts.bins,
        pairs=None if parts.pairs is None else [packed(counts) for counts in parts.pairs.counts],
        columns=None if seen is None else {name: _column(of) for name, of in seen.columns.items()},
        digests=np.array(list(digests), dtype="<u8").tobytes(), times=packed(list(digests.values())), begin=parts.begin,
    )  # fmt: skip
    return _encoder.encode(kept)


def decode(kept: bytes) -> Parts:
    """Raises DataError or msgspec.MsgspecError for other bytes."""
    found = _decoder.decode(kept)
    if len(found.digests) % 8:
        raise DataError(f"{len(found.digests)} bytes of rows' digests", expected="eight for each")
    digests = np.frombuffer(found.digests, dtype="<u8").tolist()
    columns = None if found.columns is None else {name: _traits(of) for name, of in found.columns.items()}
    return Parts(
        Profile(rows=found.rows, counts={name: tuple(unpacked(counts)) for name, counts in found.counts.items()}), found.bins,
        None if found.pairs is None else PairCounts(counts=tuple(tuple(unpacked(counts)) for counts in found.pairs)),
        None if columns is None else WindowTraits(columns=columns, rows=_paired(digests, unpacked(found.times))), found.begin,
    )  # fmt: skip


def packed(numbers: Sequence[int]) -> bytes:
    """Whole numbers of 63 bits as the differences of each to the one before, the sign in the lowest bit.

    >>> packed([1000, 1001, 999]).hex()
    '8ab323'
    >>> unpacked(packed([1000, 1001, 999]))
    [1000, 1001, 999]
    """
    steps = np.diff(np.asarray(numbers, dtype=np.int64), prepend=np.int64(0)).astype(np.int64)
    coded = (np.left_shift(steps, 1) ^ np.right_shift(steps, 63)).view(np.uint64)[:, np.newaxis]
    groups: U64 = coded >> (np.arange(MOST_HALVES, dtype=np.uint64) * np.uint64(BITS))
    places = np.arange(MOST_HALVES)
    length = np.maximum((groups > 0).sum(axis=1), 1)[:, np.newaxis]
    more = np.where(places < length - 1, np.uint64(MORE), np.uint64(0))
    halves = (groups & np.uint64(MORE - 1) | more)[places < length].astype(np.uint8)
    if halves.size % 2:
        halves = np.append(halves, np.uint8(MORE))  # a number that has no end is none
    return bytes(halves[::2] << 4 | halves[1::2])


def unpacked(kept: bytes) -> list[int]:
    """Raises DataError for what `packed` does not give."""
    coded = np.frombuffer(kept, dtype=np.uint8)
    halves = np.stack([coded >> 4, coded & 15], axis=1).ravel()
    halves = halves[:-1] if halves.size and halves[-1] == MORE else halves
    if halves.size == 0:
        return []
    ends = np.flatnonzero(halves < MORE)
    starts = np.append(0, ends[:-1] + 1)
    if ends.size == 0 or ends[-1] != halves.size - 1 or (ends - starts).max() >= MOST_HALVES:
        raise DataError("packed numbers that end amid one", expected="what to_bytes() gave")
    within = np.arange(halves.size) - np.repeat(starts, ends - starts + 1)
    parts = (halves & (MORE - 1)).astype(np.uint64) << (within.astype(np.uint64) * np.uint64(BITS))
    whole = np.add.reduceat(parts, starts)
    steps = (whole >> np.uint64(1)).view(np.int64) ^ -(whole & np.uint64(1)).view(np.int64)
    found: list[int] = np.cumsum(steps).tolist()
    return found


def _column(seen: Traits) -> _Column:
    buckets = dict(sorted(seen.buckets.items()))
    places = [place >> seen.level for place in buckets]  # joined: they divide evenly
    return _Column(
        seen.values, seen.missing, seen.unreadable, seen.pieces, seen.repeats, seen.lowest, seen.highest, seen.level,
        *_in_runs(places), packed(list(buckets.values())), seen.unknown,
    )  # fmt: skip


def _traits(kept: _Column) -> Traits:
    plain: dict[str, Any] = {
        name: getattr(kept, name) for name in kept.__struct_fields__ if name not in ("gaps", "runs", "times")
    }
    times = unpacked(kept.times)
    places = [place << kept.level for place in _out_of_runs(kept.gaps, kept.runs, len(times))]
    if any(abs(place) > FURTHEST for place in places):
        raise DataError("a bucket beyond an infinity's", expected="what to_bytes() gave")
    return Traits(**plain, buckets=_paired(places, times))


def _in_runs(places: list[int]) -> tuple[bytes, bytes]:
    """Ascending places."""
    at = np.asarray(places, dtype=np.int64)
    first = np.diff(at, prepend=at[:1] - 2) > 1
    gaps = np.diff(at, prepend=np.int64(0))[first]
    lengths = np.diff(np.append(np.flatnonzero(first), at.size))
    return packed(gaps.tolist()), packed(lengths.tolist())


def _out_of_runs(gaps: bytes, runs: bytes, buckets: int) -> list[int]:
    """`buckets`: how many there are to be; nothing is made before their lengths say so too."""
    lengths = unpacked(runs)
    if any(not 0 < length <= MOST_BUCKETS for length in lengths) or buckets > MOST_BUCKETS or sum(lengths) != buckets:
        raise DataError(f"runs of no bucket, of more than there are, or not of {buckets}", expected="what to_bytes() gave")
    found: list[int] = []
    for gap, length in _paired_off(unpacked(gaps), lengths):
        first = (found[-1] if found else 0) + gap
        found.extend(range(first, first + length))
    return found


def _paired(keys: list[int], times: list[int]) -> dict[int, int]:
    return dict(_paired_off(keys, times))


def _paired_off(keys: list[int], times: list[int]) -> list[tuple[int, int]]:
    if len(keys) != len(times):
        raise DataError(f"{len(times)} counts of {len(keys)} things", expected="one for each")
    return list(zip(keys, times, strict=True))

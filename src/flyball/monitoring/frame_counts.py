"""Frames in the bins of a reference: what is counted of a window, in one place or in several."""

import functools
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from flyball.errors import DataError
from flyball.monitoring import frame_bytes, joint_rows, traits, window_counts
from flyball.monitoring.centres import are_infinite, centre_of, centred, is_coarse
from flyball.monitoring.counting import doubles, texts
from flyball.monitoring.frame_clock import Clock
from flyball.monitoring.frames import Columns, columns_of
from flyball.monitoring.joint import PREFIX, Directions
from flyball.monitoring.joint_rows import PairCounts
from flyball.monitoring.norms import Norms, known_of
from flyball.monitoring.reference import Reference
from flyball.monitoring.streams import Stream
from flyball.monitoring.traits import WindowTraits
from flyball.monitoring.window_counts import Profile, profile_of
from flyball.records import codec
from flyball.records.signature import ColumnType

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

FEWEST_ROWS = 20
"""A frame of fewer rows is compared with nothing."""
PIECE_ROWS = 1 << 16
"""Counted at once, and merged: memory beside a frame does not grow with its rows. A frame cut at multiples of them is counted to the bytes of the whole."""


class Known(NamedTuple):
    """What windows are counted in."""

    reference: Reference
    directions: Directions | None
    norms: Norms | None
    centred: bool
    """FrameProfile.centred."""
    clock: Clock | None = None
    """FrameProfile.clock."""

    @property
    def centres(self) -> dict[str, float]:
        """Column → what is taken off it; the others are as they came."""
        return {stream.name: stream.centre for stream in self.reference.streams if stream.centre}


class FrameCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A window, or a part of one: counts and no rows. Of parts, `merge` makes the whole."""

    profile: Profile
    bins: str
    """Digest of the bins that it is counted in."""
    pairs: PairCounts | None = None
    traits: WindowTraits | None = None
    begin: datetime | None = None
    """Of the window, where the reference has a clock."""

    def to_bytes(self) -> bytes:
        """To be sent where parts are merged; `from_bytes` gives it back."""
        return frame_bytes.encode(frame_bytes.Parts(self.profile, self.bins, self.pairs, self.traits, self.begin))

    @classmethod
    def from_bytes(cls, kept: bytes) -> "FrameCounts":
        """Raises DataError for other bytes."""
        try:
            if kept[:1] == b"{":  # of a release that kept them as JSON
                return codec.decode(kept, cls)
            return cls(**frame_bytes.decode(kept)._asdict())
        except (msgspec.MsgspecError, TypeError, UnicodeDecodeError) as error:
            raise DataError(f"bytes that hold no counts: {error}", expected="what to_bytes() gave") from None


class Counted(NamedTuple):
    """A frame as it was counted."""

    counts: FrameCounts
    infinite: dict[str, int]
    """Taken.infinite, of all rows."""


class Taken(NamedTuple):
    """Columns as they are counted."""

    values: dict[str, Any]
    centres: dict[str, float]
    """Of the numbers that are not as they came: what was taken off them."""
    infinite: dict[str, int]
    """Number → how many of its values count as missing since they are infinite; columns without any are not in it."""
    coarse: list[str]
    """Numbers that fall together all the same; of the reference alone."""


def taken(columns: Columns, known: Known | None) -> Taken:
    """As the reference was; None: this is the reference."""
    found = Taken({}, {}, {}, [])
    if known is not None and not known.centred:
        # Its infinite values lie in the outermost bins: a window's must, too.
        found.values.update(columns.values)
        return found
    centres = None if known is None else known.centres
    for name, values in columns.values.items():
        if columns.types[name] is ColumnType.CATEGORY:
            found.values[name] = values
            continue
        numbers = doubles(values)
        centre = centre_of(numbers) if centres is None else centres.get(name, 0.0)
        found.values[name] = centred(numbers, centre)
        if centres is None and is_coarse(numbers, centre):
            found.coarse.append(name)
        if centre:
            found.centres[name] = centre
        if infinite := int(are_infinite(numbers, centre).sum()):
            found.infinite[name] = infinite
    return found


def together(types: Mapping[str, ColumnType], values: Mapping[str, Any], centres: Collection[str]) -> dict[str, Any]:
    """The columns whose dependence and faults are looked at. Not those of which a centre was taken off: their words would be of what was left."""
    return {
        name: np.asarray(texts(each), dtype=object) if types[name] is ColumnType.CATEGORY else each
        for name, each in values.items()
        if name not in centres
    }


def bins_of(reference: Reference) -> str:
    """A digest. What lies in the bins is left out: counts of two profiles may be compared where their bins are the same."""
    each = [(of.name, of.kind, of.edges, of.categories, of.others) for of in reference.streams]
    centres = [(of.name, of.centre) for of in reference.streams if of.centre]
    return codec.digest([*each, centres] if centres else each)[:16]


def columns_beside(known: Known, frame: "IntoDataFrame", *, strict: bool) -> Columns:
    """The frame's columns that the reference has, as what it has them."""
    own = features_of(known.reference)
    decimal = frozenset(stream.name for stream in own if _written_decimal(stream))
    clock = None if known.clock is None else known.clock.column
    columns = columns_of(frame, {stream.name: _type_of(stream) for stream in own}, decimal, strict=strict, clock=clock)
    if columns.rows < FEWEST_ROWS:
        raise DataError(f"a frame of {columns.rows} rows", expected=f"at least {FEWEST_ROWS}")
    return columns


def features_of(reference: Reference) -> tuple[Stream, ...]:
    """The streams that are columns."""
    return tuple(stream for stream in reference.streams if stream.role == "feature")


def count(known: Known, columns: Columns) -> Counted:
    starts = range(0, max(columns.rows, 1), PIECE_ROWS)
    return functools.reduce(_both, (_count(known, columns.rows_between(start, start + PIECE_ROWS)) for start in starts))


def _both(a: Counted, b: Counted) -> Counted:
    counts = merge(a.counts, b.counts)
    infinite = {name: a.infinite.get(name, 0) + b.infinite.get(name, 0) for name in counts.profile.counts}
    return Counted(counts, {name: times for name, times in infinite.items() if times})


def _count(known: Known, columns: Columns) -> Counted:
    seen = taken(columns, known)
    reference = known.reference
    plain = together(columns.types, seen.values, seen.centres) if known.directions is not None or known.norms is not None else {}
    observed = None if known.directions is None else joint_rows.observe(known.directions, plain)
    values = seen.values if observed is None else seen.values | observed.values
    asked = (
        {}
        if known.norms is None
        else {name: of for name, of in known_of(reference.streams).items() if name in known.norms.columns}
    )
    counts = FrameCounts(
        profile=profile_of(reference, values, None, columns.rows),
        bins=bins_of(reference),
        begin=columns.begin,
        pairs=None if observed is None else observed.pairs,
        traits=None if known.norms is None else traits.traits_of(asked, plain),
    )
    return Counted(counts, seen.infinite)


def merge(a: FrameCounts, b: FrameCounts) -> FrameCounts:
    """Of the rows of both, the same bytes in whatever order. Raises DataError where they are counted in different bins, or one lacks a column that the other has."""
    refuse_other(a, b)
    if a.bins != b.bins:
        raise DataError(
            "counts of two different references", expected="parts that are counted in the bins of one",
            next_step="give each place the same profile (FrameProfile.to_bytes keeps it), and count the parts again",
        )  # fmt: skip
    if a.begin != b.begin:
        raise DataError("parts of two windows of time", expected="parts of one", next_step="merge those that begin together")
    # A direction is lacking only where a column of it is, which is told first.
    differ = a.profile.counts.keys() ^ b.profile.counts.keys()
    if lacking := sorted(differ, key=lambda name: (name.startswith(PREFIX), name)):
        raise DataError(
            f"parts of a window, one of them without {', '.join(map(repr, lacking[:5]))}", expected="the same columns in each",
            next_step="mend the part where it is made, or leave it out",
        )  # fmt: skip
    return FrameCounts(
        profile=window_counts.merge(a.profile, b.profile),
        bins=a.bins,
        pairs=None if a.pairs is None or b.pairs is None else joint_rows.merge(a.pairs, b.pairs),
        traits=None if a.traits is None or b.traits is None else traits.merge(a.traits, b.traits),
        begin=a.begin,
    )


def refuse_other(*counted: object) -> None:
    """A release before gave counts without their bins: nobody could tell whose they are."""
    for each in counted:
        if not isinstance(each, FrameCounts):
            raise DataError(
                f"a {type(each).__name__}, as a release before gave or of something else", expected="what count() of a monitor gave",
                next_step="count the window again, with this release",
            )  # fmt: skip


def _written_decimal(stream: Stream) -> bool:
    """Text of floats, as it was read, or as releases before this one counted them."""
    return any(name.endswith(".0") and name.removeprefix("-")[:-2].isdecimal() for name in (*stream.categories, *stream.others))


def _type_of(stream: Stream) -> ColumnType:
    return ColumnType.CATEGORY if stream.kind == "category" else ColumnType.NUMBER

"""What a frame is like: what other frames are compared with."""

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks, frame_words, joint, norms, seasons
from flyball.monitoring.frame_clock import Clock, clock_of, times_of
from flyball.monitoring.frame_counts import FEWEST_ROWS, Known, Taken, taken, together
from flyball.monitoring.frames import Columns, columns_of
from flyball.monitoring.joint import Directions
from flyball.monitoring.joint_reference import with_joint
from flyball.monitoring.norms import Norms
from flyball.monitoring.reference import Reference, build
from flyball.records import codec

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as bytes."""

    reference: Reference | None = None
    """None: bytes of a release that kept the reference alone."""
    left_out: dict[str, str] = {}
    infinite: dict[str, int] = {}
    coarse: tuple[str, ...] = ()
    directions: Directions | None = None
    norms: Norms | None = None
    left_out_known: bool = True
    centred: bool = False
    clock: Clock | None = None


class FrameProfile(NamedTuple):
    """What a frame is like: bins and counts, no rows. Kilobytes, whatever the frame."""

    reference: Reference
    left_out: dict[str, str]
    """Column → why it is not looked at."""
    infinite: dict[str, int] = {}
    """Column → values that count as missing since they are infinite."""
    coarse: tuple[str, ...] = ()
    """Numbers of which many fall together as float32."""
    directions: Directions | None = None
    """How columns go together; None, as of a release before: that is not looked at."""
    norms: Norms | None = None
    """By what a fault of the data is told from a world that moved; None likewise."""
    left_out_known: bool = False
    """False: bytes of a release that kept the reference alone, so that `left_out` is empty whatever was."""
    centred: bool = False
    """Numbers far from 0 are without their centre and infinite ones missing (centres.centred). False: a release before counted them as they came."""
    clock: Clock | None = None
    """By what rows belong to windows; None: windows are so many rows as they come."""

    def to_bytes(self) -> bytes:
        """To be kept; `from_bytes` gives it back."""
        return codec.encode(_Kept(**self._asdict()))

    @classmethod
    def from_bytes(cls, kept: bytes) -> "FrameProfile":
        """Raises DataError for other bytes."""
        try:
            found = codec.decode(kept, _Kept)
            if found.reference is None:
                return cls(codec.decode(kept, Reference), {})
        except (msgspec.MsgspecError, TypeError) as error:
            raise DataError(f"bytes that hold no profile: {error}", expected="what to_bytes() gave") from None
        return cls(**{name: getattr(found, name) for name in cls._fields})

    @property
    def known(self) -> Known:
        return Known(self.reference, self.directions, self.norms, self.centred, self.clock)

    def __str__(self) -> str:
        return frame_words.profile_text(self.reference, self._beside())

    def _repr_html_(self) -> str:
        return frame_words.profile_html(self.reference, self._beside())

    def _beside(self) -> list[str]:
        windows = [] if self.clock is None else [self.clock.words, *self.reference.notes]
        return (
            windows
            + frame_words.infinite(self.infinite)
            + frame_words.coarse(self.coarse)
            + frame_words.not_looked_at(self.left_out)
        )


def profile(
    frame: "IntoDataFrame", *, window_rows: int | None = None, time: str | None = None, window: timedelta | str | None = None
) -> FrameProfile:
    """What a Polars or pandas frame or an Arrow table is like, to compare others with.

    Rows are taken in the order in which they stand. `window_rows`: how many rows the frames will have that are compared with it (None: a twentieth):
    how far stretches of so many rows differ from one another is learned. Or, of rows that have a time: `time`, the column that says it, and `window`, how
    long frames will be (`"1h"`, `"1d"`); columns that follow the time of day or the day of the week are then compared with the same hours or days.
    Raises DataError for what is no frame, or too short, and for text that could not be kept.
    """
    clock = clock_of(time, window)
    columns = columns_of(frame, clock=time)
    if columns.rows < FEWEST_ROWS:
        raise DataError(f"a frame of {columns.rows} rows", expected=f"at least {FEWEST_ROWS}")
    if clock is None:
        found = _built(columns, taken(columns, None), _Cutting(None, _size_of(columns, window_rows)))
    elif window_rows is not None:
        raise DataError("windows of time and of rows", expected="one of them: time= with window=, or window_rows=")
    else:
        cutting = _Cutting(times_of(frame, clock.column), clock.window)
        clock = _looked_for(cutting, clock)
        found = _built(columns, taken(columns, None), cutting)._replace(clock=clock)
    _refuse_half_characters(found)
    return found


class _Cutting(NamedTuple):
    event_us: NDArray[np.int64] | None
    window: timedelta | int


def _looked_for(cutting: _Cutting, clock: Clock) -> Clock:
    """Raises DataError where there are windows enough, but not of rows enough to see how far they differ: blocks that are far longer would stand for them."""
    cut = blocks.cut(0 if cutting.event_us is None else cutting.event_us.size, cutting.event_us, cutting.window, thin=True)
    if not cut.in_time and cut.windows_of_time >= blocks.FEWEST_WINDOWS:
        raise DataError(
            f"{cut.windows_of_time:,} {clock.words}, of which fewer than {blocks.FEWEST_WINDOWS} have two rows",
            expected=f"at least {blocks.FEWEST_WINDOWS}: by them is told how far windows differ", next_step="a longer window=, or more rows",
        )  # fmt: skip
    numbered = blocks.numbered(cutting.event_us, cutting.window)
    rows = np.array([part.size for part in numbered.windows] if numbered else [], dtype=np.int64)
    looked = numbered is not None and seasons.are_looked_for(numbered.numbers, rows, clock.window)
    return msgspec.structs.replace(clock, looked_for=looked)


def _size_of(columns: Columns, window_rows: int | None) -> int:
    size = window_rows if window_rows is not None else max(columns.rows // 20, FEWEST_ROWS)
    if not isinstance(size, int | np.integer) or size < 1:
        raise DataError(f"windows of {size!r} rows", expected="a whole number, at least one")
    return int(size)


def _built(columns: Columns, seen: Taken, cutting: _Cutting) -> FrameProfile:
    reference = build(columns.signature, seen.values, cutting.event_us, None, cutting.window, None)
    streams = tuple(msgspec.structs.replace(each, centre=seen.centres.get(each.name, 0.0)) for each in reference.streams)
    reference = msgspec.structs.replace(reference, streams=streams)
    cut = blocks.cut(columns.rows, cutting.event_us, cutting.window, thin=True)
    plain = together(columns.types, seen.values, seen.centres)
    large = blocks.cut(columns.rows, cutting.event_us, cutting.window)  # a window of few rows says nothing of values that stick
    own = [stream for stream in streams if stream.name in plain]
    directions = joint.build({stream.name: stream.kind for stream in own}, plain, cut.windows)
    return FrameProfile(
        with_joint(reference, directions, plain, cut.windows, thin=cut.thin), columns.left_out, seen.infinite, tuple(seen.coarse), directions,
        norms.build(own, plain, large.windows), left_out_known=True, centred=True,
    )  # fmt: skip


def _refuse_half_characters(found: FrameProfile) -> None:
    """Half of a surrogate pair: text that was decoded wrongly, and that no bytes can hold. A profile is kept as bytes."""
    held = {stream.name: (*stream.categories, *stream.others) for stream in found.reference.streams}
    for name, told in (found.left_out | held).items():
        try:
            codec.encode((name, told))
        except UnicodeEncodeError:
            raise DataError(
                f"the column {name!r} holds half a character, or is named so", expected="text that UTF-8 can hold",
                next_step='decode it otherwise where it is read, or with errors="replace"',
            ) from None  # fmt: skip

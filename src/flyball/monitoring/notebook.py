"""The monitors as a library: what a frame is like, what has moved in another one, and a watch over many. No platform, no project.

>>> import polars as pl
>>> then = pl.DataFrame({"age": [float(n % 50) for n in range(1000)], "town": ["Oslo", "Rome"] * 500})
>>> now = pl.DataFrame({"age": [float(n % 50) + 20 for n in range(300)], "town": ["Oslo", "Rome"] * 150})
>>> compare(then, now).moved
('age',)
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from flyball.errors import DataError
from flyball.monitoring import drift, effects, frame_words
from flyball.monitoring.drift import DriftState
from flyball.monitoring.frame_words import ComparedColumn
from flyball.monitoring.frames import Columns, columns_of, rows_of
from flyball.monitoring.histogram import histogram_of
from flyball.monitoring.policy import DRIFT_SHARE, MonitorPolicy
from flyball.monitoring.reference import Reference, build
from flyball.monitoring.streams import Stream
from flyball.monitoring.window import Window
from flyball.monitoring.window_counts import Profile, profile_of
from flyball.records import codec
from flyball.records.findings import Finding
from flyball.records.signature import ColumnType

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

DAY = timedelta(days=1)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
FEWEST_ROWS = 20
"""A frame of fewer rows is compared with nothing."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as bytes."""

    reference: Reference | None = None
    """None: bytes of a release that kept the reference alone."""
    left_out: dict[str, str] = {}


class FrameProfile(NamedTuple):
    """What a frame is like: bins and counts, no rows. Kilobytes, whatever the frame."""

    reference: Reference
    left_out: dict[str, str]
    """Column → why it is not looked at."""

    def to_bytes(self) -> bytes:
        """To be kept; `from_bytes` gives it back."""
        return codec.encode(_Kept(reference=self.reference, left_out=self.left_out))

    @classmethod
    def from_bytes(cls, kept: bytes) -> "FrameProfile":
        """Raises DataError for other bytes."""
        try:
            found = codec.decode(kept, _Kept)
            return cls(found.reference or codec.decode(kept, Reference), found.left_out)
        except (msgspec.MsgspecError, TypeError) as error:
            raise DataError(f"bytes that hold no profile: {error}", expected="what to_bytes() gave") from None

    def __str__(self) -> str:
        return frame_words.profile_text(self.reference, frame_words.not_looked_at(self.left_out))

    def _repr_html_(self) -> str:
        return frame_words.profile_html(self.reference, frame_words.not_looked_at(self.left_out))


class Comparison(NamedTuple):
    """One frame beside another."""

    reference_rows: int
    rows: int
    columns: tuple[ComparedColumn, ...]
    """What moved first, then by distance."""
    absent: tuple[str, ...]
    """Columns of the reference that are not in the frame."""
    left_out: dict[str, str]
    level: float
    """Chance of a false alarm, all columns together: what was asked for, or drift.HIGHEST_LEVEL where that is less."""
    exchangeable: bool
    """False: stretches of the reference differ by more than chance (time, sorting), and what they do is no move."""
    asked: float | None = None
    """The level that was asked for, where the test has a smaller one."""

    @property
    def moved(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.finding is not None)

    @property
    def words(self) -> str:
        named = ", ".join(self.moved) or "nothing"
        chance = f"chance of a false alarm, all columns together: {self.level:g}"
        if self.asked is not None:
            chance += f", the most that one look may have; {self.asked:g} was asked for"
        return f"{self.rows:,} rows beside {self.reference_rows:,}: {named} moved ({chance})"

    def __str__(self) -> str:
        return frame_words.comparison_text(self.words, self.columns, self._beside())

    def _repr_html_(self) -> str:
        return frame_words.comparison_html(self.words, self.columns, self._beside())

    def _beside(self) -> list[str]:
        lines = [f"not in the frame: {', '.join(self.absent)}"] if self.absent else []
        if not self.exchangeable:
            lines.append(
                "stretches of the reference differ from one another, so only what differs more is called moved: shuffle the rows if their order means nothing"
            )
        return lines + frame_words.not_looked_at(self.left_out)


def profile(frame: "IntoDataFrame", *, window_rows: int | None = None) -> FrameProfile:
    """What a Polars or pandas frame or an Arrow table is like, to compare others with.

    Rows are taken in the order in which they stand. `window_rows`: how many rows the frames will have that are compared with it (None: a twentieth):
    how far stretches of so many rows differ from one another is learned. Raises DataError for what is no frame, or too short, and for text that could not be kept.
    """
    columns = columns_of(frame)
    if columns.rows < FEWEST_ROWS:
        raise DataError(f"a frame of {columns.rows} rows", expected=f"at least {FEWEST_ROWS}")
    size = window_rows if window_rows is not None else max(columns.rows // 20, FEWEST_ROWS)
    if not isinstance(size, int | np.integer) or size < 1:
        raise DataError(f"windows of {size!r} rows", expected="a whole number, at least one")
    found = FrameProfile(build(columns.signature, columns.values, None, None, int(size), None), columns.left_out)
    _refuse_half_characters(found)
    return found


def _refuse_half_characters(found: FrameProfile) -> None:
    """Half of a surrogate pair: text that was decoded wrongly, and that no bytes can hold. A profile is kept as bytes."""
    held = {stream.name: (*stream.categories, *stream.others) for stream in found.reference.streams}
    for name, texts in (found.left_out | held).items():
        try:
            codec.encode((name, texts))
        except UnicodeEncodeError:
            raise DataError(
                f"the column {name!r} holds half a character, or is named so", expected="text that UTF-8 can hold",
                next_step='decode it otherwise where it is read, or with errors="replace"',
            ) from None  # fmt: skip


def compare(reference: "FrameProfile | IntoDataFrame", frame: "IntoDataFrame", *, level: float = 0.01) -> Comparison:
    """What has moved from `reference` to `frame`. `level`: chance that anything at all is said to have moved where nothing has;
    more than 0.1 is taken as that, and the words say so: p-values of several senses are put together by a rule that is right for small levels only.

    Raises DataError as `profile` does, and where the two have no column in common.
    """
    if not isinstance(level, int | float | np.number) or not 0.0 < level < 1.0:
        raise DataError(f"a level of {level!r}", expected="a chance between 0 and 1, such as 0.01")
    tested = min(float(level), drift.HIGHEST_LEVEL)
    known = reference if isinstance(reference, FrameProfile) else profile(reference, window_rows=max(rows_of(frame), FEWEST_ROWS))
    # A single look has no slow drift to find: all of the budget is a window's own.
    monitor = Monitor(known, drift.LOOKS[0] / tested)
    columns = monitor.columns(frame)
    counted = monitor.count(columns)
    found = {finding.subject: finding for finding in monitor.judge(counted)}
    compared = [
        _compared(stream, counted, found.get(stream.name)) for stream in known.reference.streams if stream.name in counted.counts
    ]
    ranked = sorted(compared, key=lambda column: (column.finding is None, -column.effects["js"], column.name))
    absent = tuple(stream.name for stream in known.reference.streams if stream.name not in counted.counts)
    return Comparison(
        known.reference.rows, counted.rows, tuple(ranked), absent, columns.left_out, tested, known.reference.exchangeable,
        float(level) if level > tested else None,
    )  # fmt: skip


def _compared(stream: Stream, counted: Profile, finding: Finding | None) -> ComparedColumn:
    counts = np.asarray(counted.counts[stream.name], dtype=np.float64)
    far = effects.of(stream, counts, np.asarray(stream.counts, dtype=np.float64))
    return ComparedColumn(stream.name, far, finding, histogram_of(stream, counted.counts[stream.name]))


class Monitor:
    """Looks at one window after the other, for ever, under one false-alarm budget: at most one false alarm in `windows` windows, on average."""

    def __init__(self, reference: "FrameProfile | IntoDataFrame", windows: float = 90.0, state: DriftState | None = None) -> None:
        """`state`: of an earlier monitor of this reference, to go on with. Raises DataError when the budget is none, or the state another reference's."""
        if not isinstance(windows, int | float | np.number) or not windows >= 1.0:
            raise DataError(f"a budget of one false alarm in {windows!r} windows", expected="a number of windows, at least 1")
        self.reference = (reference if isinstance(reference, FrameProfile) else profile(reference)).reference
        bins = _bins_of(self.reference)
        if state is not None and state.bins not in ("", bins):
            raise DataError(
                "a state of a monitor of another reference", expected="one whose counts are in the bins of this one",
                next_step="go on with the reference that the state is of (FrameProfile.to_bytes keeps it), or begin without a state",
            )  # fmt: skip
        self.state = msgspec.structs.replace(state or DriftState(), bins=bins)
        """A frozen record, some kB: keep it with records.codec, and a new monitor goes on from it."""
        self._types = {stream.name: _type_of(stream) for stream in self.reference.streams}
        self._decimal = frozenset(stream.name for stream in self.reference.streams if _written_decimal(stream))
        self._policy = MonitorPolicy(
            window=DAY, budget_windows=windows * DRIFT_SHARE, min_rows=FEWEST_ROWS, mature_share=1.0, label_delay=None, tolerance=0.0
        )  # fmt: skip

    def look(self, frame: "IntoDataFrame") -> tuple[Finding, ...]:
        """What has moved in the next window; mostly nothing. Raises DataError as `compare` does, and where a column of the reference is not there: nobody
        would watch it."""
        columns = self.columns(frame)
        if absent := [name for name in self._types if name not in columns.values]:
            raise DataError(
                f"a frame without {', '.join(map(repr, absent[:5]))}", expected="every column of the reference",
                next_step="mend it where it is made, or profile a reference without what is gone for good",
            )  # fmt: skip
        return self.judge(self.count(columns))

    def columns(self, frame: "IntoDataFrame") -> Columns:
        columns = columns_of(frame, self._types, self._decimal)
        if columns.rows < FEWEST_ROWS:
            raise DataError(f"a frame of {columns.rows} rows", expected=f"at least {FEWEST_ROWS}")
        return columns

    def count(self, columns: Columns) -> Profile:
        """The window in the reference's bins: to be merged with others' (`profile.merge`) where a window is counted in several places."""
        return profile_of(self.reference, columns.values, None)

    def judge(self, counted: Profile) -> tuple[Finding, ...]:
        """`look`, of a window that is counted already."""
        start = BEGINNING + self.state.windows * DAY
        reading = drift.judge(
            self.reference, self.state, counted, Window(model="", unit="", start=start, end=start + DAY), self._policy
        )
        self.state = reading.state
        return reading.findings


def _bins_of(reference: Reference) -> str:
    """A digest. What lies in the bins is left out: counts of two profiles may be compared where their bins are the same."""
    return codec.digest([(each.name, each.kind, each.edges, each.categories, each.others) for each in reference.streams])[:16]


def _written_decimal(stream: Stream) -> bool:
    """Text of floats, as it was read, or as releases before this one counted them."""
    return any(name.endswith(".0") and name.removeprefix("-")[:-2].isdecimal() for name in (*stream.categories, *stream.others))


def _type_of(stream: Stream) -> ColumnType:
    return ColumnType.CATEGORY if stream.kind == "category" else ColumnType.NUMBER

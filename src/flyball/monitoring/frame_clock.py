"""Frames whose rows have a time: cut into windows of time, which are compared with those of the same hours where a column follows the clock."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring.frames import table_of
from flyball.monitoring.season import EPOCH
from flyball.monitoring.window import Window
from flyball.spec.fields import format_duration, parse_duration

if TYPE_CHECKING:
    from narwhals.typing import IntoDataFrame

MICROSECOND = timedelta(microseconds=1)
EARLIEST, LATEST = (int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) / MICROSECOND) for year in (2, 9999))
"""A window around them has a date, too."""


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """By which rows belong to windows."""

    column: str
    window: timedelta
    """They begin at its multiples since 1970, in UTC."""
    looked_for: bool = True
    """Whether the reference has windows enough to see columns follow it (seasons.are_looked_for). True, too, of a release that did not ask."""

    @property
    def words(self) -> str:
        return f"windows of {format_duration(self.window)} by {self.column!r}"


def clock_of(column: str | None, window: timedelta | str | None) -> Clock | None:
    """None: rows just follow one another. Raises DataError where a window is none, or has no column to go by."""
    if column is None:
        if window is None:
            return None
        raise DataError("windows of time, and no column that says when a row was", expected="time=, the column's name")
    if window is None:
        raise DataError(f"times in {column!r}, and no length of windows", expected='window=, such as "1h" or "1d"')
    try:
        length = parse_duration(window) if isinstance(window, str) else window
    except ValueError as error:
        raise DataError(f"windows of {window!r}: {error}", expected='a duration such as "1h" or "1d"') from None
    if not isinstance(length, timedelta) or length < timedelta(seconds=1):
        raise DataError(f"windows of {window!r}", expected='a duration such as "1h" or "1d", of a second at least')
    return Clock(column=column, window=length)


def times_of(frame: "IntoDataFrame", column: str) -> NDArray[np.int64]:
    """(n_rows,) microseconds UTC; a time without a zone is taken as UTC. Raises DataError where a row has none."""
    table = table_of(frame)
    if column not in table.columns:
        raise DataError(f"a frame without {column!r}", expected="the column that says when each row was")
    series: nw.Series[Any] = table[column]
    if series.dtype not in (nw.Datetime, nw.Date):
        raise DataError(
            f"the column {column!r} holds {series.dtype}", expected="times (Datetime or Date)",
            next_step="convert it where the frame is made: str.to_datetime() in Polars, pandas.to_datetime",
        )  # fmt: skip
    if nulls := int(series.is_null().sum()):
        raise DataError(f"{nulls:,} of {len(series):,} rows without a time in {column!r}", expected="a time in each row")
    moments = series.cast(nw.Datetime("us")) if series.dtype == nw.Date else series
    found = np.asarray(moments.dt.timestamp("us").to_numpy(), dtype=np.int64)
    if beyond := int(((found < EARLIEST) | (found > LATEST)).sum()):
        raise DataError(
            f"{beyond:,} of {len(series):,} rows with a time in {column!r} at the end of all calendars", expected="times from the year 2 to 9998",
            next_step="leave out what stands for none, such as 9999-12-31",
        )  # fmt: skip
    return found


class Stretch(NamedTuple):
    """What the rows of a frame cover."""

    begin: datetime
    """Of the first window with a row."""
    windows: int
    """Until the last one with a row."""
    span: timedelta
    """From the first row to the last."""


def stretch_of(frame: "IntoDataFrame", clock: Clock) -> Stretch:
    """Raises DataError as `times_of` does."""
    times = times_of(frame, clock.column)
    first, last = (int(end) // (clock.window // MICROSECOND) for end in (times.min(), times.max()))
    return Stretch(EPOCH + first * clock.window, last - first + 1, int(np.ptp(times)) * MICROSECOND)


def window_of(frame: "IntoDataFrame", clock: Clock) -> datetime:
    """When the window begins that all rows are of. Raises DataError where they are of several."""
    begin, count, _ = stretch_of(frame, clock)
    if count > 1:
        raise DataError(
            f"rows of {count:,} windows, from {begin:%Y-%m-%d %H:%M} UTC on", expected=f"rows of one: {clock.words}",
            next_step="look at one window after the other: group the frame by them",
        )  # fmt: skip
    return begin


def refuse_earlier(last: str, begin: datetime) -> None:
    """Windows come in order, each once: `last` is the id of the newest one that was looked at, or empty."""
    if not last:
        return
    before = datetime.fromisoformat(last.split("/")[-2])
    if begin <= before:
        raise DataError(
            f"a window that begins at {begin:%Y-%m-%d %H:%M} UTC, after one of {before:%Y-%m-%d %H:%M}",
            expected="windows in order of time, each once", next_step="merge the parts of a window before they are judged (merge)",
        )  # fmt: skip


def window_from(begin: datetime, clock: Clock, count: int = 1) -> Window:
    """Or so many of them together."""
    return Window(model="", unit="", start=begin, end=begin + count * clock.window)

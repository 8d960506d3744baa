"""Streams in which nothing drifts, of real rows: what a monitor says there is false."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from bench.monitoring.data import Table
from bench.monitoring.frames import START, WEEK, Frame, Ints, Past, Stream, evenly, joined

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Size:
    """How much of everything a stream has."""

    features: int
    window_rows: int
    reference_rows: int

    def words(self) -> str:
        return f"{self.features} × {self.window_rows:,} / {self.reference_rows:,}"


class Null(NamedTuple):
    stream: Stream
    how: str
    """How the rows were drawn."""


def null(table: Table, size: Size, windows: int, seed: int) -> Null:
    """One draw of a reference and of `windows` windows from the same rows."""
    return _of_weeks(table, size, windows, seed) if table.weeks else _of_rows(table, size, windows, seed)


def pool_of(table: Table, size: Size) -> Frame:
    return table.frame.narrowed(size.features, partial(_other_weeks, table) if table.weeks else None)


def _other_weeks(table: Table, draw: np.random.Generator) -> Ints:
    """Of each row the row of the same hour in the week that stands for its own: copies of a column depend on the hour, and on the hour before, as it does.

    Where that week lacks the hour, its next one.
    """
    hours = _hour_of_week(table.frame)
    rows = np.arange(len(table.frame))
    for own, other in zip(table.weeks, draw.permutation(len(table.weeks)), strict=True):
        there = table.weeks[other]
        rows[own] = there[np.minimum(np.searchsorted(hours[there], hours[own]), there.size - 1)]
    return rows


def _hour_of_week(frame: Frame) -> Ints:
    assert frame.event_us is not None
    return (frame.event_us // 3_600_000_000 + 72) % 168


def _of_rows(table: Table, size: Size, windows: int, seed: int) -> Null:
    """A permutation where the rows suffice, so that reference and windows share none.

    Where they do not, reference and windows are both drawn with replacement from the whole table: then they come from one distribution, exactly.
    (Windows drawn from what the reference has left over do not: the rest of a finite table differs from the reference in one and the same way
    in every window.)
    """
    pool, draw = pool_of(table, size), np.random.default_rng([seed, 1])
    wanted = size.reference_rows + windows * size.window_rows
    if wanted <= len(pool):
        order = draw.permutation(len(pool))[:wanted]
        reference_rows, rest = order[: size.reference_rows], order[size.reference_rows :]
        how = "permuted"
    else:
        reference_rows, rest = draw.integers(len(pool), size=size.reference_rows), None
        how = "with replacement"

    def rows(number: int) -> Ints:
        if rest is not None:
            return rest[number * size.window_rows : (number + 1) * size.window_rows]
        return np.random.default_rng([seed, 2, number]).integers(len(pool), size=size.window_rows)

    reference = before(pool.take(reference_rows), size.window_rows)
    return Null(
        Stream(Past(reference, DAY, size.window_rows), windows, lambda number: on_day(pool.take(rows(number)), number)), how
    )


def before(frame: Frame, window_rows: int) -> Frame:
    """A reference that ends where the stream begins, with as many rows a day as windows have."""
    span = DAY * (len(frame) / window_rows)
    return evenly(frame, START - span, span)


def on_day(frame: Frame, number: int) -> Frame:
    return evenly(frame, START + number * DAY, DAY)


def _of_weeks(table: Table, size: Size, windows: int, seed: int) -> Null:
    """Whole weeks in a random order: what depends on the hour and on the hour before stays, season and trend are gone.

    A window is as many weeks as come nearest to `window_rows`, at least one.
    """
    pool, draw = pool_of(table, size), np.random.default_rng([seed, 3])
    per_window = max(1, round(size.window_rows / 168))
    per_reference = max(per_window, round(size.reference_rows / 168))
    wanted = per_reference + windows * per_window
    enough = wanted <= len(table.weeks)
    numbers = draw.permutation(len(table.weeks))[:wanted] if enough else draw.integers(len(table.weeks), size=wanted)

    def weeks(first: int, count: int) -> Frame:
        """`first` counts from the beginning of the reference."""
        return joined([_week(pool, table.weeks[numbers[at]], at - per_reference) for at in range(first, first + count)])

    stream = Stream(
        Past(weeks(0, per_reference), per_window * WEEK, per_window * 168),
        windows,
        lambda number: weeks(per_reference + number * per_window, per_window),
    )
    how = "permuted" if enough else "with replacement"
    return Null(stream, f"weeks {how}, {per_window} a window, {per_reference} in the reference")


def _week(pool: Frame, rows: Ints, place: int) -> Frame:
    """Those rows, moved to the week `place` after START, each at its own hour."""
    frame = pool.take(rows)
    start = round((START + place * WEEK).timestamp() * 1_000_000)
    return frame.at(start + _hour_of_week(frame) * 3_600_000_000)

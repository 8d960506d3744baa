"""Where windows lie when their length was changed."""

from datetime import UTC, datetime, timedelta

from flyball.control.window_grid import WindowGrid
from flyball.control.world import micros
from flyball.records.findings import WindowSummary

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def closed(begin: float, length: float, unit: str = "u1") -> WindowSummary:
    start = START + begin * HOUR
    return WindowSummary(model="m", unit=unit, start=start, end=start + length * HOUR, predictions=1, labels=0, mature=False)


def at(hours: float) -> int:
    return micros(START + hours * HOUR)


def test_shorter_windows_begin_where_the_newest_longer_one_ended():
    grid = WindowGrid(6 * HOUR, [closed(0, 24), closed(24, 24, "u2")], START + 100 * HOUR)
    assert [grid.start_of("u1", at(hours)) for hours in (23, 25, 48, 55)] == [at(0), None, at(48), at(54)]
    assert grid.start_of("u2", at(47.5)) == at(24)
    assert [grid.end_of("u1", at(hours)) for hours in (0, 48)] == [at(24), at(54)]


def test_longer_windows_begin_at_the_next_whole_one():
    grid = WindowGrid(24 * HOUR, [closed(0, 24), closed(24, 6), closed(30, 6)], START + 100 * HOUR)
    assert [grid.start_of("u1", at(hours)) for hours in (5, 35, 36, 47, 48)] == [at(0), at(30), None, None, at(48)]


def test_windows_of_one_length_have_no_gap_and_those_that_a_wrong_clock_closed_hold_up_none():
    grid = WindowGrid(24 * HOUR, [closed(0, 24), closed(24_000, 6)], START + 100 * HOUR)
    assert [grid.start_of("u2", at(hours)) for hours in (5, 30, 24_003)] == [at(0), at(24), at(24_000)]

"""Frames whose rows have a time: like is compared with like."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from flyball.errors import DataError
from flyball.monitoring import Monitor, compare, merge, profile
from flyball.monitoring.frame_clock import Clock, times_of
from flyball.monitoring.notebook import FrameProfile

START, HOUR = datetime(2026, 1, 5, tzinfo=UTC), timedelta(hours=1)
ROWS = 60
"""Of an hour."""


def hours(first: int, count: int, seed: int, *, shift: float = 0.0) -> pl.DataFrame:
    """`watts` follows the hour, and a bit each day's own weather; `town` does not."""
    draw = np.random.default_rng([seed, first])
    hour = first + np.repeat(np.arange(count), ROWS)
    weather = np.random.default_rng([seed, 7]).normal(0.0, 0.3, 400)[hour // 24]
    watts = 10.0 * np.sin(hour % 24 * np.pi / 12.0) + weather + draw.normal(0.0, 2.0, hour.size) + shift
    minutes = draw.uniform(0.0, 60.0, hour.size)
    at = [START + timedelta(hours=int(h), minutes=float(m)) for h, m in zip(hour, minutes, strict=True)]
    return pl.DataFrame({"at": at, "watts": watts, "town": draw.choice(["Oslo", "Rome"], hour.size)})


@pytest.fixture(scope="module")
def known() -> FrameProfile:
    return profile(hours(0, 40 * 24, 1), time="at", window="1h")


def test_a_value_of_noon_is_a_move_at_night_and_none_at_noon(known: FrameProfile) -> None:
    # By night watts lie at -10: a move of 4 is within what a day holds, and far from what other nights were.
    night = hours(50 * 24 + 18, 1, 1, shift=4.0)
    found = compare(known, night)
    assert found.moved == ("watts",)
    assert "18:00 to 21:00 UTC of other days" in found.columns[0].finding.words
    assert "compared watts with 18:00 to 21:00 UTC of other days" in str(found)
    assert "Windows follow the time of day (watts)" in str(known)
    blind = profile(hours(0, 40 * 24, 1).drop("at"), window_rows=ROWS)
    assert compare(blind, night.drop("at")).moved == ()
    assert "time=, window=" in str(compare(blind, night.drop("at")))
    for hour in (50 * 24 + 6, 50 * 24 + 18):
        assert compare(known, hours(hour, 1, 1)).moved == ()


def test_hours_that_go_up_and_down_as_ever_keep_the_budget(known: FrameProfile) -> None:
    alarms = 0
    for seed in range(3):
        monitor = Monitor(known, windows=20)
        for hour in range(50 * 24, 50 * 24 + 160):
            alarms += bool(monitor.look(hours(hour, 1, 1 if seed == 0 else 20 + seed)))
    assert alarms <= 35  # of 480 windows 24 are allowed; more than 35 have a chance of 1 %


def test_a_monitor_looks_at_one_window_after_the_other(known: FrameProfile) -> None:
    monitor = Monitor(known)
    with pytest.raises(DataError, match="rows of 2 windows, from 2026-02-24 00:00 UTC on"):
        monitor.look(hours(50 * 24, 2, 1))
    monitor.look(hours(50 * 24 + 5, 1, 1))
    for hour in (50 * 24 + 5, 50 * 24 + 2):
        with pytest.raises(DataError, match="after one of 2026-02-24 05:00"):
            monitor.look(hours(hour, 1, 1))
    later = Monitor(known, state=monitor.state)
    with pytest.raises(DataError, match="after one of 2026-02-24 05:00"):
        later.look(hours(50 * 24 + 5, 1, 1))
    (found, *_) = later.look(hours(50 * 24 + 6, 1, 1, shift=20.0))
    assert (found.subject, found.window_start, found.window_end) == (
        "watts", START + timedelta(hours=50 * 24 + 6), START + timedelta(hours=50 * 24 + 7),
    )  # fmt: skip


def test_parts_of_a_window_of_time_are_merged_and_of_two_windows_refused(known: FrameProfile) -> None:
    monitor, whole = Monitor(known), hours(50 * 24 + 6, 1, 1, shift=20.0)
    first, second = (monitor.count(monitor.columns(part)) for part in (whole.head(30), whole.tail(30)))
    together, alone = merge(first, second), monitor.count(monitor.columns(whole))
    assert (together.profile, together.begin) == (alone.profile, START + timedelta(hours=50 * 24 + 6))
    assert [each.words for each in Monitor(known).judge(together)] == [each.words for each in Monitor(known).judge(alone)]
    assert type(first).from_bytes(first.to_bytes()) == first
    other = monitor.count(monitor.columns(hours(50 * 24 + 7, 1, 1)))
    with pytest.raises(DataError, match="parts of two windows of time"):
        merge(first, other)
    blind = Monitor(profile(hours(0, 40 * 24, 1).drop("at"), window_rows=ROWS))
    with pytest.raises(DataError, match="counts of no window of time"):
        monitor.judge(blind.count(blind.columns(whole.drop("at"))))


def test_several_windows_at_once_are_compared_with_all_hours_and_said_to_be(known: FrameProfile) -> None:
    day = compare(known, hours(50 * 24, 24, 1))
    assert day.moved == ()
    assert "rows of 24 windows of 1h by 'at': compared with all windows of the reference" in str(day)


def test_where_no_column_follows_the_clock_or_rows_are_part_of_a_window_that_is_said() -> None:
    weeks = compare(profile(hours(0, 40 * 24, 1), time="at", window="1w"), hours(45 * 24, 7 * 24, 1))
    assert "windows of 1w by 'at': no column is seen to follow the clock" in str(weeks)
    days = compare(profile(hours(0, 40 * 24, 1), time="at", window="1d"), hours(50 * 24, 6, 1))
    assert "of the window, and are compared with whole ones" in days.clock


def test_the_clock_is_no_column_and_is_kept_with_the_profile(known: FrameProfile) -> None:
    assert known.left_out == {}
    kept = FrameProfile.from_bytes(known.to_bytes())
    assert kept == known
    assert kept.clock == Clock(column="at", window=HOUR)
    assert compare(kept, hours(50 * 24, 1, 1)).schema == ()
    with pytest.raises(DataError, match="a frame without 'at'"):
        compare(known, hours(50 * 24, 1, 1).drop("at"))


def test_times_are_the_same_in_every_library() -> None:
    naive = pl.DataFrame({"at": ["2026-01-05 01:00", "2026-01-05 02:30"]}).with_columns(pl.col("at").str.to_datetime())
    zoned = naive.with_columns(at=pl.col("at").dt.replace_time_zone("Europe/Oslo"))
    first = int(START.timestamp() * 1e6) + 3_600_000_000
    assert times_of(naive, "at").tolist() == [first, first + 5_400_000_000]
    assert times_of(zoned, "at").tolist() == [first - 3_600_000_000, first + 1_800_000_000]
    pandas = pd.DataFrame({"at": naive["at"].to_list()})
    assert times_of(pandas, "at").tolist() == times_of(naive, "at").tolist()
    assert times_of(pl.DataFrame({"at": [date(2026, 1, 5)]}), "at").tolist() == [first - 3_600_000_000]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"time": "at"}, "no length of windows"),
        ({"window": "1h"}, "no column that says when a row was"),
        ({"time": "at", "window": "soon"}, "windows of 'soon'"),
        ({"time": "at", "window": 3600}, "windows of 3600"),
        ({"time": "at", "window": timedelta(0)}, "windows of"),
        ({"time": "at", "window": "1h", "window_rows": 50}, "windows of time and of rows"),
        ({"time": "when", "window": "1h"}, "a frame without 'when'"),
        ({"time": "town", "window": "1h"}, "'town' holds String"),
    ],
)
def test_a_clock_that_is_none_is_refused_in_words(more: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        profile(hours(0, 4, 1), **more)


def test_rows_without_a_time_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 240 rows without a time in 'at'"):
        profile(hours(0, 4, 1).with_columns(at=pl.when(pl.int_range(pl.len()) > 0).then(pl.col("at"))), time="at", window="1h")


def test_a_time_that_stands_for_none_is_refused(known: FrameProfile) -> None:
    never = hours(50 * 24, 1, 1).with_columns(at=pl.lit("9999-12-31").str.to_datetime())
    for look in (
        lambda: compare(known, never),
        lambda: Monitor(known).look(never),
        lambda: profile(never, time="at", window="1h"),
    ):
        with pytest.raises(DataError, match="60 of 60 rows with a time in 'at' at the end of all calendars"):
            look()


def thin_hours(first: int, count: int, rows: float, seed: int, *, swing: float = 3.0, shift: float = 0.0) -> pl.DataFrame:
    """So many rows an hour on average, at random; `watts` follows the hour. `swing`: by how much; `shift` in standard deviations."""
    draw = np.random.default_rng([seed, first])
    moments = first + np.sort(draw.uniform(0.0, count, round(count * rows)))
    watts = swing * np.sin(np.floor(moments) % 24 * np.pi / 12.0) + draw.normal(shift, 1.0, moments.size)
    return pl.DataFrame({"at": [START + timedelta(hours=float(each)) for each in moments], "watts": watts})


@pytest.mark.parametrize("rows", [14, 6, 1.5])
def test_windows_of_too_few_rows_to_see_the_clock_keep_the_budget_and_say_so(rows: float) -> None:
    # Blocks of 650 rows, which stood for them, alarmed in 20 of 120 quiet hours.
    thin, alarms = profile(thin_hours(0, 60 * 24, rows, 1), time="at", window="1h"), 0
    monitor = Monitor(thin, windows=20)
    for hour in range(60 * 24, 60 * 24 + 120):
        alarms += bool(monitor.look(thin_hours(hour, 1, ROWS, 2)))
    assert alarms <= 12  # 6 are allowed; more than 12 have a chance of 1 %
    assert "Most windows of the reference of features have fewer than 20 rows" in str(thin)
    beside = str(compare(thin, thin_hours(60 * 24, 1, ROWS, 2)))
    # Of 14 on average some hours have 20, enough to see the clock.
    assert ("whether columns follow the clock was not looked at" in beside) == (rows < 14)
    kept = FrameProfile.from_bytes(thin.to_bytes())
    assert kept.clock == thin.clock


def alike_hours(first: int, count: int, rows: float, seed: int, *, shift: float = 0.0) -> pl.DataFrame:
    """Thin ones of three columns, none of which follows anything."""
    drawn, found = np.random.default_rng([seed, 1]), thin_hours(first, count, rows, seed, swing=0.0, shift=shift)
    return found.with_columns(pl.Series(name, drawn.normal(size=found.height)) for name in ("volts", "amps"))


@pytest.mark.parametrize("rows", [10, 5, 2])
def test_a_move_is_told_at_once_beside_windows_of_few_rows_and_so_are_values_that_stick(rows: float) -> None:
    # Beside 200 of them alone no window of these was told: among three columns no rank of so few is rare enough.
    thin = profile(alike_hours(0, 60 * 24, rows, 1), time="at", window="1h")
    moved = [alike_hours(70 * 24, 1, 200, seed, shift=0.7) for seed in range(8)]
    assert sum("watts" in [each.subject for each in Monitor(thin).look(window)] for window in moved) >= 7
    far = alike_hours(70 * 24, 1, 200, 8, shift=1.5)
    stuck = far.with_columns(watts=pl.Series(np.repeat(far["watts"].to_numpy()[:8], 25)))
    assert "watts sticks" in [each.words.partition(":")[0] for each in Monitor(thin).look(stuck)]
    beside = str(compare(thin, alike_hours(70 * 24, 1, 200, 9)))
    assert "too few rows to show whether they differ" in beside
    assert "differ from one another" not in beside


def test_windows_of_a_row_each_are_refused_and_told_what_to_do() -> None:
    lonely = thin_hours(0, 60 * 24, 1, 1).with_columns(at=pl.Series([START + timedelta(hours=n) for n in range(60 * 24)]))
    with pytest.raises(DataError, match=r"1,440 windows of 1h by 'at', of which fewer than 8 have two rows.*\n*.*longer window="):
        profile(lonely, time="at", window="1h")
    assert not profile(lonely, time="at", window="1d").reference.exchangeable


def test_a_window_that_divides_no_day_says_that_nobody_looked_at_the_clock() -> None:
    odd = profile(hours(0, 20 * 24, 1), time="at", window="5h")
    assert "whether columns follow the clock was not looked at" in str(compare(odd, hours(20 * 24 + 1, 1, 1)))

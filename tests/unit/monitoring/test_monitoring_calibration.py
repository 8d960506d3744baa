"""False alarms and power by simulation, on real rows where they are there. Seeds are fixed; the sizes are small: longer runs are in docs/monitoring/drift.md."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flyball.monitoring import senses
from flyball.monitoring.drift import DriftState, judge
from flyball.monitoring.policy import DRIFT_SHARE, MonitorPolicy
from flyball.monitoring.reference import build
from flyball.monitoring.window import Window
from flyball.monitoring.window_counts import profile_of
from flyball.records.signature import Column, ColumnType, Signature

PLACES = [parent / "shared/data" for parent in Path(__file__).parents[4:6]]
DATA = next((place for place in PLACES if place.is_dir()), PLACES[0])
START = datetime(2026, 1, 1, tzinfo=UTC)
FIVE_PER_HUNDRED = 20
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"real rows are not there: {DATA}")


def policy(run_length):
    return MonitorPolicy(
        window=timedelta(hours=1), budget_windows=int(run_length * DRIFT_SHARE), min_rows=50, mature_share=0.95, label_delay=None, tolerance=0.01
    )  # fmt: skip


def table(name, *drop):
    return pl.read_csv(DATA / name / "data.csv.gz", infer_schema_length=20_000).drop(drop)


def columns_of(frame):
    return {name: frame[name] for name in frame.columns}


def reference_of(frame, rows):
    kinds = {name: ColumnType.CATEGORY if frame[name].dtype == pl.String else ColumnType.NUMBER for name in frame.columns}
    columns = tuple(Column(name=name, type=kind, missing=True) for name, kind in kinds.items())
    return build(Signature(task="binary", classes=("0", "1"), columns=columns), columns_of(frame), None, None, rows, None)


def alarms_of(reference, windows, run_length=FIVE_PER_HUNDRED):
    state, found = DriftState(), []
    for number, frame in enumerate(windows):
        window = Window(model="m", unit="u", start=START + timedelta(hours=number), end=START + timedelta(hours=number + 1))
        reading = judge(reference, state, profile_of(reference, columns_of(frame), None), window, policy(run_length))
        state = reading.state
        found.append([finding.subject for finding in reading.findings])
    return found


def sample(rng, frame, n):
    return frame[rng.integers(0, frame.height, n)]


@pytest.mark.parametrize(
    ("name", "drop", "reference_rows", "window_rows"),
    [
        ("adult_iid_pool", (), 500, 1000),
        ("adult_iid_pool", (), 5000, 200),
        ("hotel_booking", ("Index", "timestamp", "period"), 500, 500),
    ],
)
def test_on_shuffled_real_rows_alarms_stay_within_the_budget_over_draws_of_the_reference(name, drop, reference_rows, window_rows):
    rng, frame, alarms, windows = np.random.default_rng(31), table(name, *drop), 0, 0
    for _ in range(6):
        reference = reference_of(sample(rng, frame, reference_rows), window_rows)
        found = alarms_of(reference, (sample(rng, frame, window_rows) for _ in range(15)))
        alarms, windows = alarms + sum(map(bool, found)), windows + len(found)
    budget = windows / FIVE_PER_HUNDRED
    assert alarms <= budget + 2 * np.sqrt(budget)


def weeks(name, time):
    frame = table(name).drop_nulls(time).with_columns(at=pl.col(time).str.slice(0, 10).str.to_date())
    return [
        part.drop(time, "at")
        for _, part in frame.group_by(pl.col("at").dt.truncate("1w"), maintain_order=True)
        if len(part) > 100
    ]


@pytest.mark.parametrize(
    ("name", "time", "reference_rows", "window_rows"),
    [
        ("metro_traffic", "date_time", 2000, 500),
        ("metro_traffic", "date_time", 500, 100),
        ("bike_sharing_hourly", "dteday", 2000, 200),
    ],
)
def test_on_shuffled_weeks_with_their_weather_alarms_stay_within_the_budget(name, time, reference_rows, window_rows):
    rng, known, alarms, windows = np.random.default_rng(32), weeks(name, time), 0, 0
    for _ in range(3):
        rows = pl.concat([known[place] for place in rng.permutation(len(known))])
        reference = reference_of(rows[:reference_rows], window_rows)
        assert not reference.exchangeable
        parts = [rows[at : at + window_rows] for at in range(reference_rows, rows.height, window_rows)][:20]
        found = alarms_of(reference, parts)
        alarms, windows = alarms + sum(map(bool, found)), windows + len(found)
    budget = windows / FIVE_PER_HUNDRED
    assert alarms <= budget + 2 * np.sqrt(budget)


def test_each_sense_errs_as_often_as_it_says_down_to_one_in_a_thousand():
    rng, frame, found = np.random.default_rng(33), table("adult_iid_pool"), {}
    for _ in range(15):
        reference = reference_of(sample(rng, frame, 500), 300)
        for _ in range(12):
            profile = profile_of(reference, columns_of(sample(rng, frame, 300)), None)
            for stream in reference.streams:
                window, before = (np.asarray(counts, dtype=float) for counts in (profile.counts[stream.name], stream.counts))
                p = senses.sensed(stream, window, before).p
                for sense, value in zip(senses.NAMES[stream.kind], p, strict=True):
                    found.setdefault(sense, []).append(value)
    assert np.isnan(found.pop("missing")).all()  # nothing is missing in these rows
    for sense, values in found.items():
        p = np.asarray(values)[~np.isnan(values)]
        for level in (0.05, 0.01, 0.001):
            assert (p <= level).mean() <= 1.25 * level + 3.5 * np.sqrt(level / p.size), sense


def test_a_shift_in_a_week_of_weather_is_still_found_where_windows_vary_little():
    """Traffic varies with the hour and the season; that every tenth value is missing has nothing to do with either."""
    rng, known = np.random.default_rng(34), weeks("metro_traffic", "date_time")
    rows = pl.concat([known[place] for place in rng.permutation(len(known))])
    reference = reference_of(rows[:5000], 500)
    windows = [rows[at : at + 500] for at in range(5000, 7500, 500)]
    broken = windows[-1].with_columns(temp=pl.when(pl.Series(rng.random(500) < 0.1)).then(None).otherwise(pl.col("temp")))
    assert "temp" in alarms_of(reference, [*windows[:-1], broken])[-1]

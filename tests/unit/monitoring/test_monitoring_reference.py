from collections import Counter
from datetime import timedelta

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from monitored_world import DAY_US, POLICY, SIGNATURE, day, rows, watched

from flyball.errors import DataError
from flyball.monitoring import blocks, counting, drift, streams
from flyball.monitoring.reference import HoldoutScores, Reference, build
from flyball.monitoring.window_counts import profile_of
from flyball.records import codec
from flyball.records.signature import Column, ColumnType, Signature


@pytest.fixture(scope="module")
def reference():
    return watched(np.random.default_rng(2))


def test_a_reference_comes_back_equal_from_its_canonical_bytes_and_is_small(reference):
    stored = codec.encode(reference)
    assert codec.decode(stored, Reference) == reference
    assert len(stored) < 40_000


def test_all_rows_of_numbers_and_of_common_categories_are_counted(reference):
    by_name = {stream.name: stream for stream in reference.streams}
    assert sum(by_name["temp"].counts) == reference.rows
    assert sum(by_name["carrier"].counts) == reference.rows
    # 200 values: some rows rank them
    assert sum(by_name["tail"].counts) == pytest.approx(reference.rows * (1.0 - 1.0 / streams.RANKED_EVERY), rel=0.01)


def test_windows_that_differ_by_chance_are_taken_as_exchangeable_and_others_are_not():
    rng = np.random.default_rng(5)
    assert sum(watched(rng, days=30, n=200).exchangeable for _ in range(8)) >= 6
    weather = watched(rng, days=30, n=300, warmer=rng.normal(0, 0.3, 30))
    assert not weather.exchangeable
    assert any("differ by more than chance (most: temp)" in note for note in weather.notes)
    assert weather.streams[0].spreads[0].windows == 30


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_reference_of_a_few_spells_of_weather_is_not_taken_for_exchangeable(kind):
    """Three weeks of hours in which a value lasts for days: squares of hundreds among some of 0, and rows too few for a histogram. Taken for exchangeable, every
    second week after it was alarmed."""
    column = Column(name="x", type=ColumnType(kind))
    signature = Signature(task="binary", classes=("0", "1"), columns=(column,))

    def taken(values):
        return build(signature, {"x": values}, None, None, 168, None).exchangeable

    rng = np.random.default_rng(4)
    spells, days = [np.repeat(rng.choice(5, size=11, p=[0.6, 0.1, 0.1, 0.1, 0.1]), 48)[:500] for _ in range(12)], np.arange(500)
    as_kind = (lambda values: values.astype(float)) if kind == "number" else (lambda values: values.astype(str).astype(object))
    assert sum(taken(as_kind(values)) for values in spells) <= 1
    assert sum(taken(as_kind(values[rng.permutation(days)])) for values in spells) >= 10


def test_heavy_values_have_their_own_bins(reference):
    by_name = {stream.name: stream for stream in reference.streams}
    assert by_name["rain"].heavy == (0.0,)
    assert by_name["night"].heavy == (0.0, 1.0)
    assert by_name["fixed"].heavy == (1.0,)


def test_every_value_falls_into_exactly_one_bin():
    stream = streams.bins_for_numbers("x", "feature", np.concatenate([np.zeros(50), np.arange(1, 101)]))
    counts = streams.bin_of(stream, [None, np.nan, 0, -1, 0.5, 1, 100, 101, np.inf, -np.inf, 1e300])
    assert counts[0] == 2
    assert counts[1] == 2  # −1 and −inf
    assert counts[-1] == 3  # 101, inf and 1e300
    assert stream.heavy == (0.0,)
    assert counts[stream.heavy_bins[0]] == 1
    assert counts.sum() == 11


def test_a_number_is_binned_as_the_model_sees_it():
    stream = streams.bins_for_numbers("x", "feature", np.full(10, 0.1, dtype=np.float32))
    assert streams.bin_of(stream, [0.1])[stream.heavy_bins[0]] == 1


def test_rare_and_unseen_categories_are_told_apart():
    values = [f"c{i:03d}" for i in range(100) for _ in range(200 - i)]
    stream = streams.bins_for_categories("c", "feature", Counter(values))
    counts = streams.bin_of(stream, ["", None, "c099", "new", "c000"])
    assert counts[:4].tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize("times", [None, np.zeros(3000, dtype=np.int64)])
def test_a_reference_without_windows_is_cut_into_blocks_and_says_so(times):
    columns, scores, labels = rows(np.random.default_rng(0), 3000)
    losses = (scores[:, 0] - labels) ** 2
    built = build(SIGNATURE, columns, times, HoldoutScores(scores, losses, times), timedelta(days=1), None)
    assert f"{blocks.MOST_BLOCKS} consecutive blocks" in built.notes[0]
    assert len(built.notes) == 2
    assert not built.baseline.in_time


def test_the_loss_baseline_is_the_holdouts(reference):
    assert reference.baseline.mean == pytest.approx(0.15, abs=0.02)
    assert len(reference.baseline.window_means) == 8


def test_several_classes_are_watched_by_class_and_confidence():
    signature = Signature(
        task="multiclass", classes=("a", "b", "c"), columns=(Column(name="prediction", type=ColumnType.NUMBER),)
    )
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], 1000)
    times = np.arange(1000) * DAY_US // 100
    built = build(
        signature, {"prediction": np.arange(1000)}, times, HoldoutScores(scores, np.zeros(1000), times), timedelta(days=1), None
    )
    assert built.names == ("prediction", "prediction_", "prediction_.confidence")


def test_a_feature_named_as_the_confidence_keeps_its_name_and_its_counts():
    signature = Signature(
        task="multiclass",
        classes=("a", "b", "c"),
        columns=(
            Column(name="prediction.confidence", type=ColumnType.NUMBER),
            Column(name="prediction_", type=ColumnType.NUMBER),
        ),
    )
    rng = np.random.default_rng(0)
    columns = {"prediction.confidence": rng.integers(0, 5, 1000).astype(float), "prediction_": rng.random(1000)}
    scores = rng.dirichlet([1, 1, 1], 1000)
    built = build(signature, columns, None, HoldoutScores(scores, np.zeros(1000), None), 100, None)
    assert built.names == ("prediction.confidence", "prediction_", "prediction__", "prediction__.confidence")
    counted = profile_of(built, columns, scores)
    assert tuple(counted.counts) == built.names
    assert all(counted.counts[stream.name] == stream.counts for stream in built.streams)


def test_ten_rows_are_enough_for_a_reference_and_none_are_not():
    columns, scores, labels = rows(np.random.default_rng(0), 10)
    held = HoldoutScores(scores, (scores[:, 0] - labels) ** 2, None)
    assert build(SIGNATURE, columns, None, held, timedelta(days=1), None).rows == 10
    with pytest.raises(DataError, match="no rows"):
        build(SIGNATURE, {name: values[:0] for name, values in columns.items()}, None, held, timedelta(days=1), None)


def test_an_absent_column_is_named():
    columns, scores, _ = rows(np.random.default_rng(0), 10)
    del columns["rain"]
    with pytest.raises(DataError, match="rain"):
        build(SIGNATURE, columns, None, HoldoutScores(scores, scores[:, 0], None), timedelta(days=1), None)


def test_features_alone_and_windows_counted_in_rows_are_enough():
    columns, _, _ = rows(np.random.default_rng(0), 3000)
    built = build(SIGNATURE, columns, None, None, 100, None)
    assert built.names == tuple(columns)
    assert (built.window, built.window_rows, built.notes) == (None, 100, ())
    assert built.baseline.n == 0


def test_answers_alone_are_enough_and_nothing_is_not():
    columns, scores, _ = rows(np.random.default_rng(0), 3000)
    bare = msgspec.structs.replace(SIGNATURE, columns=())
    built = build(
        bare,
        columns,
        np.arange(3000) * DAY_US // 100,
        HoldoutScores(scores[2000:], scores[2000:, 0], None),
        timedelta(days=1),
        None,
    )
    assert (built.names, built.rows, built.baseline.n) == (("prediction",), 1000, 1000)
    assert not any("features" in note for note in built.notes)
    with pytest.raises(DataError, match="different length"):
        build(bare, columns, None, None, 100, None)


def test_a_reference_of_an_older_release_is_refused_with_the_way_out(reference):
    old = msgspec.to_builtins(reference) | {"format": 1}
    with pytest.raises(msgspec.ValidationError, match=r"format 1, expected 2.*train it again"):
        codec.decode(codec.encode(old), Reference)


def test_columns_of_polars_arrow_and_pandas_count_like_numpys(reference):
    columns, _, _ = rows(np.random.default_rng(6), 500)
    frame = pl.DataFrame({name: values.tolist() for name, values in columns.items()}, strict=False)
    for stream in reference.streams[:-1]:
        expected = streams.bin_of(stream, columns[stream.name]).tolist()
        column = frame[stream.name]
        for given in (column, column.to_list(), pd.Series(columns[stream.name]), SpeaksArrow(column)):
            assert streams.bin_of(stream, given).tolist() == expected


class SpeaksArrow:
    """What pyarrow's arrays are to us."""

    def __init__(self, column):
        self.column = column

    def __len__(self):
        return len(self.column)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.column.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "make", [pd.Series, lambda values: pd.Series(pd.Categorical(values)), pd.Categorical, pl.Series, np.array]
)
def test_categories_that_are_whole_numbers_are_the_same_with_a_missing_one_and_in_every_library(make):
    """pandas makes floats of a categorical's integers where one is missing: "1.0" was a category that nobody knew."""
    whole, gaps = [1, 2, 2, 3] * 25, [1, 2, None, 3] * 25
    for then, now in ((whole, gaps), (gaps, whole)):
        names, _ = counting.codes(as_objects(then))
        assert counting.codes(made(make, then))[0] == names
        stream = streams.bins_for_categories("c", "feature", counting.times_each(made(make, then)))
        assert set(stream.categories) == {"1", "2", "3"}
        assert streams.bin_of(stream, made(make, now))[streams.UNSEEN_BIN] == 0
        assert streams.bin_of(stream, made(make, now)).tolist() == streams.bin_of(stream, as_objects(now)).tolist()


def as_objects(values):
    return np.array(values, dtype=object)


def made(make, values):
    """Floats of a plain pandas series with a gap are what the user has: `Int64` is whole there."""
    if make is pd.Series:
        return pd.Series(values, dtype="Int64")
    return as_objects(values) if make is np.array else make(values)


def test_a_number_as_high_as_float32_goes_stops_no_packaging():
    highest = float(np.finfo(np.float32).max)
    for values in ([1.0, 2.0, highest] * 20, [highest] * 20, [1e39, -highest, 3.0] * 20):
        stream = streams.bins_for_numbers("x", "feature", values)
        codec.encode(stream)
        assert streams.bin_of(stream, [highest, np.inf, 1e300]).tolist()[-1] == 3


def test_a_few_busy_hours_do_not_stand_for_the_others():
    hour = np.concatenate([np.repeat(np.arange(10), 30), np.repeat(np.arange(10, 400), 5)])
    times = hour * 3_600_000_000
    busy, every = (blocks.cut(hour.size, times, timedelta(hours=1), thin=thin) for thin in (False, True))
    assert (len(busy.windows), busy.thin) == (10, False)
    assert (every.in_time, every.thin, every.windows_of_time) == (True, True, 400)
    assert min(part.size for part in every.windows) == 5
    lonely = blocks.cut(400, np.arange(400) * 3_600_000_000, timedelta(hours=1), thin=True)
    assert (lonely.in_time, lonely.windows_of_time) == (False, 400)


def test_a_holdout_of_few_rows_takes_nothing_from_its_features_and_hides_no_worse_loss():
    """200 rows an hour, of which five in the holdout: 20 days."""
    rng, hour_us = np.random.default_rng(0), 3_600_000_000
    column = Column(name="x", type=ColumnType.NUMBER)
    signature = Signature(task="binary", classes=("0", "1"), columns=(column,))
    times, held = (np.sort(rng.integers(0, 480 * hour_us, n)) for n in (96_000, 2_400))
    p = rng.beta(1.0, 3.0, held.size)
    labels = rng.random(held.size) < p
    built = build(
        signature, {"x": rng.normal(size=times.size)}, times, HoldoutScores(p[:, None], (p - labels) ** 2, held), timedelta(hours=1), None
    )  # fmt: skip
    assert {stream.name: bool(stream.spreads) for stream in built.streams} == {"x": False, "prediction": True}
    assert (built.exchangeable, built.unseen, len(built.notes)) == (False, True, 1)
    assert (
        min(built.baseline.n // len(built.baseline.window_means), 50) == 50
    )  # means of five rows would scatter three times as far
    policy, alarms = msgspec.structs.replace(POLICY, window=timedelta(hours=1), budget_windows=480), []
    for seed in range(6):
        draw, state, told = np.random.default_rng(seed), drift.DriftState(), 0
        for number in range(12):
            counted = profile_of(built, {"x": draw.normal(0.2, 1.0, 200)}, draw.beta(1.0, 3.0, 200)[:, None])
            reading = drift.judge(built, state, counted, day(number), policy)
            state, told = reading.state, told + bool(reading.findings)
            if told:
                break
        alarms.append(told)
    assert alarms == [1] * 6  # with the spread of the holdout's windows: none

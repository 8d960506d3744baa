from datetime import timedelta

import numpy as np
import pytest
from monitored_world import DAY_US, SIGNATURE, rows, watched

from flyball.errors import DataError
from flyball.monitoring import blocks, streams
from flyball.monitoring.reference import HoldoutScores, Reference, build
from flyball.records import codec
from flyball.records.signature import Column, ColumnType, Signature


@pytest.fixture(scope="module")
def reference():
    return watched(np.random.default_rng(2))


def test_a_reference_comes_back_equal_from_its_canonical_bytes_and_is_small(reference):
    stored = codec.encode(reference)
    assert codec.decode(stored, Reference) == reference
    assert len(stored) < 40_000


def test_counts_and_calibration_are_of_different_windows(reference):
    temp = reference.streams[0]
    assert len(temp.calibration) == 26  # two of every three of 40 days
    assert 0.25 * reference.rows < sum(temp.counts) < 0.42 * reference.rows
    assert np.mean(temp.calibration) == pytest.approx(1.0, abs=0.3)


def test_heavy_values_have_their_own_bins(reference):
    by_name = {stream.name: stream for stream in reference.streams}
    assert by_name["rain"].heavy == (0.0,)
    assert by_name["night"].heavy == (0.0, 1.0)
    assert by_name["fixed"].heavy == (1.0,)


def test_a_short_holdout_says_what_it_cannot_find(reference):
    (note,) = reference.notes
    assert "Only 5 windows calibrate the drift of predictions" in note


def test_every_value_falls_into_exactly_one_bin():
    stream = streams.bins_for_numbers("x", "feature", np.concatenate([np.zeros(50), np.arange(1, 101)]))
    counts = streams.bin_of(stream, [None, np.nan, 0, -1, 0.5, 1, 100, 101, np.inf, -np.inf, 1e300])
    assert counts[0] == 2
    assert counts[1] == 3  # −1, 0.5 and −inf are below the lowest value that has no bin of its own
    assert counts[-2] == 3
    assert counts[-1] == 1
    assert counts.sum() == 11


def test_a_number_is_binned_as_the_model_sees_it():
    stream = streams.bins_for_numbers("x", "feature", np.full(10, 0.1, dtype=np.float32))
    assert streams.bin_of(stream, [0.1])[-1] == 1


def test_rare_and_unseen_categories_are_told_apart():
    values = [f"c{i:03d}" for i in range(100) for _ in range(200 - i)]
    stream = streams.bins_for_categories("c", "feature", values)
    counts = streams.bin_of(stream, ["", None, "c099", "new", "c000"])
    assert counts[:4].tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize("times", [None, np.zeros(3000, dtype=np.int64)])
def test_a_reference_without_windows_is_cut_into_blocks_and_says_so(times):
    columns, scores, labels = rows(np.random.default_rng(0), 3000)
    losses = (scores[:, 0] - labels) ** 2
    built = build(SIGNATURE, columns, times, HoldoutScores(scores, losses, times), timedelta(days=1), None)
    assert len(built.streams[0].calibration) == blocks.MOST_BLOCKS * 2 // 3
    assert len(built.notes) == 2
    assert "blocks" in built.notes[0]
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

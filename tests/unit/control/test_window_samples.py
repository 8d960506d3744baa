"""The rows that are kept of a window: the same whatever order they come in, bounded, and never half a column."""

import numpy as np

from flyball.control.samples import WindowSample
from flyball.records.captured import PredictionBatch
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(
    task="binary", columns=(Column(name="x", type=ColumnType.NUMBER), Column(name="town", type=ColumnType.CATEGORY)), classes=("no", "yes")
)  # fmt: skip


def batch(first: int, n: int, **more: object) -> PredictionBatch:
    ids = [f"p{number}" for number in range(first, first + n)]
    columns = {
        "x": [float(number) for number in range(first, first + n)],
        "town": [None if number % 7 == 0 else "Oslo" for number in range(first, first + n)],
    }
    described = {"columns": columns, **more}
    return PredictionBatch(
        at_us=first, model="shop", unit="u", role="champion", revision=1, ids=ids, keys=ids, scores=[[number / 1000] for number in range(first, first + n)],
        latency_us=1, **described,
    )  # fmt: skip


def kept(batches: list[PredictionBatch], most: int = 50) -> WindowSample:
    sample = WindowSample(most)
    for each in batches:
        sample.add(each)
    return sample


def test_the_same_rows_are_kept_in_whatever_order_and_however_often_they_come() -> None:
    batches = [batch(first, 10) for first in range(0, 600, 10)]
    shuffled = [batches[place] for place in np.random.default_rng(1).permutation(60)]
    looked_at = kept(shuffled[:40])
    looked_at.rows(SIGNATURE)
    for each in (*shuffled[40:], *batches[:30]):
        looked_at.add(each)
    one, other = kept(batches).rows(SIGNATURE), looked_at.rows(SIGNATURE)
    assert one.ids == other.ids
    assert len(one.ids) == 50
    np.testing.assert_array_equal(one.columns["x"], other.columns["x"])
    np.testing.assert_array_equal(one.scores, other.scores)


def test_what_is_thinned_out_is_what_a_smaller_sample_would_have_kept() -> None:
    batches = [batch(first, 10) for first in range(0, 600, 10)]
    thinned = kept(batches[:40])
    thinned.rows(SIGNATURE)
    thinned.keep_at_most(12)
    thinned.keep_at_most(40)
    for each in (*batches[40:], *batches[:10]):
        thinned.add(each)
    assert thinned.rows(SIGNATURE).ids == kept(batches, most=12).rows(SIGNATURE).ids


def test_rows_stand_with_their_own_values_in_order_of_time() -> None:
    rows = kept([batch(first, 10) for first in range(0, 200, 10)]).rows(SIGNATURE)
    numbers = [int(name[1:]) for name in rows.ids]
    assert rows.columns["x"].tolist() == numbers
    assert rows.scores[:, 0].tolist() == [number / 1000 for number in numbers]
    assert [town == "" for town in rows.columns["town"]] == [number % 7 == 0 for number in numbers]
    assert (np.diff(rows.at_us) >= 0).all()


def test_the_sample_is_like_all_rows() -> None:
    rows = kept([batch(first, 100) for first in range(0, 20_000, 100)], most=1_000).rows(SIGNATURE)
    assert abs(rows.columns["x"].mean() - 10_000) < 4 * 5_774 / np.sqrt(1_000)


def test_a_column_that_is_not_captured_of_every_row_is_left_out() -> None:
    hidden = batch(100, 10, columns={"x": [1.0] * 10})
    assert set(kept([batch(0, 10), hidden]).rows(SIGNATURE).columns) == {"x"}


def test_of_no_rows_there_are_none() -> None:
    rows = WindowSample().rows(SIGNATURE)
    assert rows.ids == []
    assert rows.scores.shape == (0, 1)

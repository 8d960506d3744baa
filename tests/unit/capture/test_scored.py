"""Scores of a unit are those that were written, wherever its rows lie, and take as much room as it was asked."""

import numpy as np
import pytest

from flyball.capture.scored import LEAST, Scores


@pytest.mark.parametrize("start", [0, 10, 50_000])
def test_what_was_written_is_found_and_nothing_else(start: int) -> None:
    draw = np.random.default_rng(start)
    rows = start + draw.permutation(20_000)[:3_000]
    written = {int(row): draw.random(2) for row in (*rows[:1_500], *rows)}
    scores = Scores(2)
    for row, values in written.items():
        scores.write(row, values)
    asked = np.arange(max(start - 5_000, 0), start + 25_000)
    found = scores.of(asked)
    for row, values in zip(asked.tolist(), found, strict=True):
        np.testing.assert_array_equal(values, written.get(row, [np.nan, np.nan]))
    np.testing.assert_array_equal(
        scores.has(start + 7, start + 19_000), ~np.isnan(scores.of(np.arange(start + 7, start + 19_000))[:, 0])
    )


def test_a_unit_that_was_asked_late_and_little_takes_little_room() -> None:
    scores = Scores(1)
    scores.write(5_000_000, [0.5])
    assert scores._values.shape == (LEAST, 1)
    assert not scores.has(0, 5_000_000).any()
    assert np.isnan(scores.of(np.array([0, 4_999_999]))).all()
    assert scores.has(5_000_000, 5_000_001).tolist() == [True]

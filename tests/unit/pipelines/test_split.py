from datetime import timedelta

import numpy as np
import pytest

from flyball.errors import DataError
from flyball.pipelines import split

HOURS = np.arange(100, dtype=np.int64) * 3_600_000_000


def test_the_holdout_is_the_newest_share_or_duration() -> None:
    assert np.flatnonzero(split.newest(HOURS, 0.2)).tolist() == list(range(80, 100))
    assert np.flatnonzero(split.newest(HOURS, timedelta(hours=10))).tolist() == list(range(90, 100))


def test_order_of_rows_does_not_matter() -> None:
    shuffled = np.random.default_rng(0).permutation(100)
    assert np.array_equal(split.newest(HOURS[shuffled], 0.3), split.newest(HOURS, 0.3)[shuffled])


def test_rows_of_one_instant_are_never_divided() -> None:
    same = np.repeat(HOURS[:10], 10)
    held_out = split.newest(same, 0.25)
    assert {bool(part.all()) for part in held_out.reshape(10, 10) if part.any()} == {True}
    assert held_out.sum() == 30


@pytest.mark.parametrize(
    ("holdout", "labels", "words"),
    [
        (0.05, np.arange(100) % 2, "leaves 5 rows in the holdout \\(of 100\\)"),
        (0.95, np.arange(100) % 2, "leaves 5 rows to train on"),
        (timedelta(days=30), np.arange(100) % 2, "leaves 0 rows to train on"),
        (0.5, (np.arange(100) < 50).astype(int), "single class to train on"),
        (0.5, (np.arange(100) < 20).astype(int), "single class in the holdout"),
    ],
)
def test_a_division_that_shows_nothing_is_refused_in_words(holdout: object, labels: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        split.check(split.newest(HOURS, holdout), labels, classification=True)


def test_regression_needs_rows_only() -> None:
    split.check(split.newest(HOURS, 0.5), np.zeros(100), classification=False)

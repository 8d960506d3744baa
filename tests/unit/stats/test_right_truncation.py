import doctest

import numpy as np
import pytest

from flyball.stats import right_truncation as module
from flyball.stats.right_truncation import interval, right_truncated

ALPHA = 0.1
BINS = 8


def seen(rng, chance, days=30, rows=20):
    """(events, by then) of cohorts of which the youngest have lived through few bins; rows that come later than that nobody knows of."""
    ages = np.minimum(np.arange(days)[::-1] + 1, BINS)
    delays = rng.choice(BINS, (days, rows), p=chance)
    events = np.stack([np.bincount(day, minlength=BINS) for day in delays])
    lived = np.arange(BINS) < ages[:, None]
    return events * lived, np.cumsum(events, axis=1) * lived


CHANCE = np.array([0.1, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])


def test_the_share_is_right_though_only_what_has_come_is_counted():
    events, by_then = seen(np.random.default_rng(1), CHANCE, days=40, rows=4_000)
    assert right_truncated(events, by_then).share == pytest.approx(np.concatenate([[0.0], np.cumsum(CHANCE)]), abs=0.01)
    naive = np.cumsum(events.sum(axis=0)) / events.sum()
    assert naive[1] - 0.4 > 0.02  # of all that has come: too many early ones


def test_how_many_come_may_change_from_day_to_day():
    rng = np.random.default_rng(2)
    events, by_then = seen(rng, CHANCE, days=40, rows=4_000)
    fewer = rng.integers(1, 100, 40)[:, None]
    kept = right_truncated(events * fewer, by_then * fewer).share
    assert kept == pytest.approx(np.concatenate([[0.0], np.cumsum(CHANCE)]), abs=0.02)


def test_the_interval_covers_as_often_as_it_claims():
    rng = np.random.default_rng(3)
    missed = np.zeros(3)
    truth = np.concatenate([[0.0], np.cumsum(CHANCE)])
    for _ in range(500):
        lower, upper = interval(right_truncated(*seen(rng, CHANCE)), ALPHA)
        missed += [not lower[k] <= truth[k] <= upper[k] for k in (1, 4, 7)]
    assert max(missed) / 500 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 500) ** 0.5


def test_nothing_came_is_not_known_and_one_bin_is_all():
    assert np.isnan(right_truncated([[0, 0]], [[0, 0]]).share).all()
    assert np.isnan(interval(right_truncated([[0, 0]], [[0, 0]]), 0.05)[0]).all()
    assert right_truncated([[0, 7]], [[0, 7]]).share.tolist() == [0.0, 0.0, 1.0]


def test_the_end_is_where_everything_known_has_come():
    lower, upper = interval(right_truncated(*seen(np.random.default_rng(4), CHANCE)), 0.05)
    assert (lower[-1], upper[-1]) == (1.0, 1.0)
    assert np.all(lower <= upper)


def test_more_in_a_bin_than_up_to_its_end_is_refused():
    with pytest.raises(ValueError, match="up to its end"):
        right_truncated([[2, 1]], [[1, 2]])


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == 0

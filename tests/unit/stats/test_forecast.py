"""Forecasts of rows beside the rows that it then took, by simulation with fixed seeds."""

import doctest
import math

import numpy as np
import pytest

from flyball.stats import forecast
from flyball.stats.forecast import hours_needed, rows_needed
from flyball.stats.quantile_sequences import quantile_difference
from flyball.stats.sequences import mean_sequence
from flyball.stats.two_means import rate_difference_in_blocks
from flyball.stats.two_proportions import rate_difference

LOOKS = np.unique(np.geomspace(2, 600, 70).astype(int))


def steady(share):
    """Two arms of 1,000 rows a look, both with the same share of errors at every look."""
    return lambda k: rate_difference(round(1000 * share * k), 1000 * int(k), round(1000 * share * k), 1000 * int(k), 0.05)


def steady_pairs(k):
    """Differences of −0.1 and 0.1 in turn."""
    return mean_sequence(np.tile([-0.1, 0.1], 40 * int(k)), 0.05, -1.0, 1.0)


def steady_medians(k):
    x = np.linspace(0.0, 1.0, 100 * int(k))
    return quantile_difference(x, x, 0.5, 0.05)


@pytest.mark.parametrize(
    ("at", "margin", "reach", "within"),
    [
        (steady(0.05), 0.007, 1.0, 0.2),
        (steady(0.0), 0.0004, 1.0, 0.2),
        (steady(0.3), 0.015, 1.0, 0.2),
        (steady_pairs, 0.008, 1.0, 0.3),
        (steady_medians, 0.04, None, 0.3),
    ],
)
def test_were_the_difference_to_stay_the_forecast_is_right(at, margin, reach, within):
    intervals = [at(k) for k in LOOKS[:40]]
    taken = next(interval[3] for interval in intervals if interval[2] <= margin)
    seen = [interval for interval in intervals if 0.1 * taken < interval[3] < 0.8 * taken]
    forecasts = [found.likely + interval[3] for interval in seen if (found := rows_needed(interval, margin, 0.05, reach))]
    assert len(forecasts) > 5
    assert all(abs(total / taken - 1) < within for total in forecasts)


def test_no_failure_yet_is_not_taken_for_many():
    """With 1/√n it would be five times too many: no failure in 1,000 rows of each arm, and a margin of a thousandth."""
    interval = rate_difference(0, 1000, 0, 1000, 0.05)
    assert interval.upper / 0.001 > 5
    found = rows_needed(interval, 0.001, 0.05)
    assert found.likely < 1.3 * 1000 * interval.upper / 0.001


def test_most_ranges_hold_what_it_took():
    """Rates of 5 % in both arms and a margin of 2 %, blocks of 100 rows an arm; forecasts from a tenth to half of the way."""
    rng, held, middles = np.random.default_rng(1), [], []
    for _ in range(30):
        table = np.stack(
            [np.full(600, 100), rng.binomial(100, 0.05, 600), np.full(600, 100), rng.binomial(100, 0.05, 600)], axis=1
        )
        intervals = []
        for k in LOOKS:
            intervals.append(rate_difference_in_blocks(table[:k], 0.05))
            if intervals[-1].upper <= 0.02:
                break
        taken = intervals[-1].n
        for interval in intervals[::4]:
            if 0.1 * taken < interval.n < 0.5 * taken:
                found = rows_needed(interval, 0.02, 0.05)
                held.append(found.least + interval.n <= taken <= (math.inf if found.most is None else found.most + interval.n))
                middles.append(math.inf if found.likely is None else (found.likely + interval.n) / taken)
    assert np.mean(held) > 0.6
    assert 0.5 < np.median(middles) < 2.0


def test_what_is_settled_needs_nothing():
    assert rows_needed((0.05, 0.02, 0.08, 100), 0.01, 0.05) == (0, 0, 0)
    assert rows_needed((0.0, -0.1, 0.01, 100), 0.01, 0.05) == (0, 0, 0)


def test_harm_is_forecast_like_its_absence():
    assert rows_needed((0.03, 0.01, 0.05, 500), 0.02, 0.05) == rows_needed((0.01, -0.01, 0.03, 500), 0.02, 0.05)


@pytest.mark.parametrize(
    ("interval", "reach"),
    [((0.0, -1.0, 1.0, 0), 1.0), ((0.0, -0.9, 1.0, 12), 1.0), ((3.0, -math.inf, math.inf, 40), None), ((math.nan, -math.inf, math.inf, 0), None)],
)  # fmt: skip
def test_nothing_is_forecast_from_next_to_nothing(interval, reach):
    assert rows_needed(interval, 0.01, 0.05, reach) is None


def test_an_estimate_on_the_margin_may_take_for_ever():
    found = rows_needed((0.01, -0.01, 0.03, 1000), 0.01, 0.05)
    assert found.likely is None
    assert found.most is None
    assert found.least > 1000


def test_rows_become_hours_at_their_rate():
    assert hours_needed(300, 120.0) == 2.5
    assert hours_needed(300, 0.0) is None
    assert hours_needed(None, 120.0) is None
    assert hours_needed(0, 0.0) == 0.0


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(forecast)[0] == 0

"""Coverage of 95 % intervals by simulation with fixed seeds."""

import numpy as np
import pytest
from stationary_series import ar1

from flyball.stats.change_point import change_point


@pytest.mark.parametrize(("n", "true", "shift", "heavy"), [(30, 24, 1.5, False), (40, 20, 1.0, False), (40, 30, 2.0, True)])
def test_the_interval_covers_the_change_of_independent_values(n, true, shift, heavy):
    rng, covered = np.random.default_rng(61), 0
    for seed in range(120):
        values = rng.standard_t(1.5, n) if heavy else rng.normal(size=n)
        values[true:] += shift
        found = change_point(values, 0.05, seed, block=1)
        covered += found.lower <= true <= found.upper
    assert covered >= 107  # the 0.3 % point of a binomial(120, 0.95); measured 114, 115 and 116


def test_the_interval_covers_the_change_of_dependent_values():
    rng, covered = np.random.default_rng(62), 0
    for seed in range(60):
        values = ar1(rng, 800, 0.8)
        values[500:] += 1.5
        found = change_point(values, 0.05, seed)
        covered += found.lower <= 500 <= found.upper
        assert found.block > 10
    assert covered >= 52  # the 1.5 % point of a binomial(60, 0.95)


def test_a_clear_change_is_narrowed_down_and_its_interval_is_the_same_at_every_replay():
    rng = np.random.default_rng(63)
    values = np.concatenate([rng.normal(size=50), rng.normal(4.0, 1.0, 20)])
    found = change_point(values, 0.05, 1, block=1)
    assert found.at == 50
    assert found.upper - found.lower <= 6
    assert found == change_point(values, 0.05, 1, block=1)


@pytest.mark.parametrize("after", [1, 3])
def test_a_few_values_that_lie_far_above_are_the_change_and_not_those_before_them(after):
    """By ranks alone it was put too early in a third of the series of three, in two thirds of those of one."""
    rng, early = np.random.default_rng(66), 0
    for seed in range(60):
        values = np.concatenate([rng.normal(size=39), rng.normal(8.0, 1.0, after)])
        found = change_point(values, 0.05, seed, block=1)
        assert found.lower <= found.at <= found.upper
        early += found.at < 39
    assert early <= 12


def test_values_that_are_nearly_all_the_same_have_their_change_by_ranks():
    assert change_point([0.0] * 30 + [1.0] * 4, 0.05, 1, block=1).at == 30


@pytest.mark.parametrize(
    ("usual", "n", "after"), [(0.1, 40, [0.5, 0.6, 0.7]), (0.3, 40, [0.5, 0.6, 0.7]), (0.123457, 60, [0.4, 0.5])]
)
def test_what_is_left_of_values_that_are_one_is_rounding_and_no_change(usual, n, after):
    assert change_point([usual] * n + after, 0.05, 1, block=1).at == n


def test_without_a_change_nothing_is_pinned_down():
    rng = np.random.default_rng(64)
    widths = [np.ptp(change_point(rng.normal(size=40), 0.05, seed, block=1)[1:3]) for seed in range(20)]
    assert np.median(widths) > 25


def test_a_long_series_is_averaged_and_still_found():
    rng = np.random.default_rng(65)
    values = (rng.random(20_000) < 0.1).astype(float)
    values[15_000:] = rng.random(5_000) < 0.2
    found = change_point(values, 0.05, 1)
    assert found.block >= 134
    assert found.lower <= 15_000 <= found.upper
    assert found.upper - found.lower < 1_500


@pytest.mark.parametrize(("values", "alpha"), [([1.0, 2.0, 3.0], 0.05), ([1.0, 2.0, np.nan, 3.0], 0.05), ([1.0] * 5, 0.0)])
def test_what_cannot_be_answered_is_refused(values, alpha):
    with pytest.raises(ValueError, match=r"expected at least four finite|an error rate"):
        change_point(values, alpha, 1)

"""Simulations with fixed seeds."""

import numpy as np
import pytest

from flyball.stats.common_mean import Measured
from flyball.stats.next_value import upper_tail, upper_tail_of_unequal


@pytest.mark.parametrize("earlier", [2, 5, 30])
def test_p_values_of_normal_values_are_uniform_down_to_one_in_a_thousand(earlier):
    rng = np.random.default_rng(61)
    values = rng.normal(3.0, 2.0, (20_000, earlier + 1)).tolist()
    found = np.asarray([upper_tail(row[-1], row[:-1]) for row in values])
    for level in (0.5, 0.05, 0.001):
        assert (found <= level).mean() == pytest.approx(level, abs=4.0 * np.sqrt(level * (1.0 - level) / found.size))


def test_p_values_of_a_series_are_independent_of_one_another():
    rng = np.random.default_rng(62)
    pairs = np.asarray(
        [[upper_tail(row[6], row[:6]), upper_tail(row[7], row[:7])] for row in rng.normal(size=(8_000, 8)).tolist()]
    )
    both = (pairs <= 0.1).all(axis=1).mean()
    assert both == pytest.approx(0.01, abs=4.0 * np.sqrt(0.01 / 8_000))


def test_values_without_a_spread_contradict_nothing():
    assert upper_tail(9.0, []) == upper_tail(9.0, [1.0]) == upper_tail(9.0, [1.0] * 5) == 1.0
    assert upper_tail_of_unequal(Measured(3.0, 1.0), [Measured(1.0, 1.0)] * 50, 1.0) == pytest.approx(0.026, abs=0.002)
    assert upper_tail_of_unequal(Measured(3.0, 1.0), [Measured(1.0, 1.0)], 1.0) == 1.0


def test_of_equal_spreads_unequal_ones_are_no_other_test():
    earlier = [0.1, -0.9, 0.4, 1.2, -0.6, -0.2]
    found = upper_tail_of_unequal(Measured(3.0, 0.02), [Measured(value, 0.02) for value in earlier], 0.0)
    assert found == pytest.approx(upper_tail(3.0, earlier))


def test_p_values_of_a_value_far_more_precise_than_all_before_are_uniform_too():
    rng = np.random.default_rng(63)
    spreads = np.asarray([1.0, 0.5, 2.0, 1.0, 1.5, 1.0, 0.05])
    rows = (0.3 + 7.0 * spreads * rng.normal(size=(20_000, 7))).tolist()
    told = [[Measured(value, spread) for value, spread in zip(row, spreads.tolist(), strict=True)] for row in rows]
    found = np.asarray([upper_tail_of_unequal(row[-1], row[:-1], 0.0) for row in told])
    for level in (0.5, 0.05, 0.001):
        assert (found <= level).mean() == pytest.approx(level, abs=4.0 * np.sqrt(level * (1.0 - level) / found.size))

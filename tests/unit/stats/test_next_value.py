"""Simulations with fixed seeds."""

import numpy as np
import pytest

from flyball.stats.next_value import upper_tail


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
    assert upper_tail(3.0, [1.0] * 50, least_spread=1.0) == pytest.approx(0.026, abs=0.002)

import doctest

import numpy as np
import pytest

from flyball.stats import additive


def test_correlated_columns_are_told_apart_by_what_the_mean_depends_on():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 4, 20_000)
    second = np.where(rng.random(20_000) < 0.7, first, rng.integers(0, 4, 20_000))
    codes = np.column_stack([first, second])
    used, ignored = additive.fit(additive.one_hot(codes, [4, 4]), [4, 4], first * 0.1 + rng.normal(0, 0.2, 20_000))
    assert np.diff(used) == pytest.approx([0.1] * 3, abs=0.02)
    assert ignored == pytest.approx(np.zeros(4), abs=0.02)


def test_each_component_has_a_mean_of_zero_and_the_sum_has_the_mean_of_the_rows():
    rng = np.random.default_rng(2)
    weights = additive.one_hot(rng.integers(0, 3, (500, 2)), [3, 3])
    y = rng.random(500)
    parts = additive.contributions(additive.fit(weights, [3, 3], y), weights)
    assert parts.mean(axis=0) == pytest.approx(np.zeros(2), abs=1e-12)


def test_an_unknown_value_brings_nothing():
    codes = np.array([[0], [1]] * 50)
    components = additive.fit(additive.one_hot(codes, [2]), [2], codes[:, 0] * 1.0)
    unknown = additive.one_hot(np.array([[additive.UNKNOWN]]), [2])
    assert additive.contributions(components, unknown).tolist() == [[0.0]]


def test_a_number_between_levels_is_followed_within_them():
    rng = np.random.default_rng(3)
    before, knots = rng.normal(size=20_000), np.linspace(-2.0, 2.0, 9)
    components = additive.fit(additive.hats(before, knots), [9], before * 0.1)
    moved = additive.contributions(components, additive.hats(before + 0.25, knots))
    assert moved.mean() == pytest.approx(0.025, abs=0.002)  # half a level: steps have 0.019


def test_one_knot_has_all_of_every_number():
    assert additive.hats([-1.0, 3.0, np.nan], [2.0]).tolist() == [[1.0], [1.0], [0.0]]


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="weights of shape"):
        additive.fit(np.zeros((3, 1)), [1], [0.0, 1.0])


def test_the_example_runs():
    assert doctest.testmod(additive)[0] == 0

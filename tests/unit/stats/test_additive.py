import doctest

import numpy as np
import pytest

from flyball.stats import additive


def test_correlated_columns_are_told_apart_by_what_the_mean_depends_on():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 4, 20_000)
    second = np.where(rng.random(20_000) < 0.7, first, rng.integers(0, 4, 20_000))
    codes = np.column_stack([first, second])
    used, ignored = additive.fit(codes, [4, 4], first * 0.1 + rng.normal(0, 0.2, 20_000))
    assert np.diff(used) == pytest.approx([0.1] * 3, abs=0.02)
    assert ignored == pytest.approx(np.zeros(4), abs=0.02)


def test_each_component_has_a_mean_of_zero_and_the_sum_has_the_mean_of_the_rows():
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 3, (500, 2))
    y = rng.random(500)
    parts = additive.contributions(additive.fit(codes, [3, 3], y), codes)
    assert parts.mean(axis=0) == pytest.approx(np.zeros(2), abs=1e-12)


def test_an_unknown_value_brings_nothing():
    codes = np.array([[0], [1]] * 50)
    components = additive.fit(codes, [2], codes[:, 0] * 1.0)
    assert additive.contributions(components, np.array([[additive.UNKNOWN]])).tolist() == [[0.0]]


def test_codes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="codes of shape"):
        additive.fit(np.zeros((3, 1), dtype=np.int64), [1], [0.0, 1.0])


def test_the_example_runs():
    assert doctest.testmod(additive)[0] == 0

"""Simulations with fixed seeds."""

import doctest

import numpy as np
import pytest

from flyball.stats import common_mean
from flyball.stats.common_mean import Measured, standardised


def test_values_of_any_precision_are_of_one_law_whatever_their_mean():
    rng = np.random.default_rng(41)
    spreads = np.asarray([1.0, 1.0, 1.0, 0.3, 0.05])
    rows = rng.normal(5.0, 3.0, (10_000, 1)) + spreads * rng.normal(size=(10_000, 5))
    found = np.asarray([standardised([Measured(*each) for each in zip(row, spreads, strict=True)]) for row in rows])
    assert found.std(axis=0) == pytest.approx(np.ones(5), abs=0.03)
    assert found.mean(axis=0) == pytest.approx(np.zeros(5), abs=0.04)


def test_equal_values_tie_and_one_alone_is_at_the_mean():
    assert standardised([Measured(0.0133, 0.021)] * 7) == (0.0,) * 7
    assert standardised([Measured(0.7, 0.1)]) == (0.0,)
    assert standardised([]) == ()


def test_the_example_runs():
    assert doctest.testmod(common_mean)[0] == 0

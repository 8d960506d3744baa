import doctest

import numpy as np
import pytest

from flyball.stats import cauchy
from flyball.stats.cauchy import combined


def test_the_docstrings_example_runs():
    assert doctest.testmod(cauchy)[0] == 0


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8, 0.98])
def test_five_correlated_tests_err_as_often_as_the_level_says_or_a_fifth_more(correlation):
    """As rank, mean and scale of one column are. Liu & Xie's theorem is of the tail: at these levels the excess is largest near 0.6."""
    from scipy.special import ndtr

    rng = np.random.default_rng(5)
    z = np.sqrt(correlation) * rng.normal(size=(40_000, 1)) + np.sqrt(1 - correlation) * rng.normal(size=(40_000, 5))
    p = np.array([combined(row, (0.25, 0.2, 0.2, 0.2, 0.15)) for row in (2 * ndtr(-np.abs(z))).tolist()])
    for level in (0.01, 0.001):
        assert 0.75 * level - 3 * np.sqrt(level / p.size) <= (p <= level).mean() <= 1.2 * level + 3 * np.sqrt(level / p.size)


def test_a_p_value_of_one_does_not_hide_a_small_one():
    assert combined([1e-6, 1.0], [0.5, 0.5]) < 3e-6
    assert combined([0.0, 1.0], [0.5, 0.5]) < 1e-200
    assert combined([1.0, 1.0], [0.5, 0.5]) == pytest.approx(cauchy.HIGHEST)

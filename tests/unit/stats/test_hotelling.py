import doctest

import numpy as np
import pytest

from flyball.stats import hotelling
from flyball.stats.hotelling import zero_mean_p


def test_the_docstrings_example_runs():
    assert doctest.testmod(hotelling)[0] == 0


def test_one_column_is_a_t_test():
    from scipy.stats import ttest_1samp

    values = np.random.default_rng(1).normal(0.5, 1.0, 15)
    assert zero_mean_p(values[:, None]) == pytest.approx(ttest_1samp(values, 0.0).pvalue, rel=1e-6)


def test_it_does_not_hang_on_how_columns_are_mixed():
    rng = np.random.default_rng(2)
    values = rng.normal(0.4, 1.0, (20, 3))
    assert zero_mean_p(values @ rng.normal(size=(3, 3))) == pytest.approx(zero_mean_p(values), rel=1e-4)


@pytest.mark.parametrize(("level", "rows", "columns"), [(0.05, 12, 3), (0.01, 10, 6), (0.001, 56, 3)])
def test_it_errs_as_often_as_it_says_however_columns_hang_together(level, rows, columns):
    rng, runs = np.random.default_rng(3), 6_000
    mixed = rng.normal(size=(columns, columns))
    wrong = sum(zero_mean_p(rng.normal(size=(rows, columns)) @ mixed) <= level for _ in range(runs))
    assert wrong / runs == pytest.approx(level, abs=3 * np.sqrt(level / runs))


def test_a_mean_without_any_scatter_is_not_zero():
    assert zero_mean_p(np.tile([1.0, 2.0], (8, 1))) < 1e-12

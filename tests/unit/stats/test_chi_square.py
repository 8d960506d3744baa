import doctest

import numpy as np
import pytest

from flyball.stats import chi_square
from flyball.stats.chi_square import FEWEST_EXPECTED, merged_if_rare, merged_in_order, statistic_and_p


def test_the_docstrings_example_runs():
    assert doctest.testmod(chi_square)[0] == 0


def test_the_statistic_is_that_of_a_two_by_k_table():
    from scipy.stats import chi2_contingency

    window, before = np.array([30, 50, 20]), np.array([400, 350, 250])
    assert statistic_and_p(window, window + before)[0] == pytest.approx(chi2_contingency([window, before])[0])


@pytest.mark.parametrize(
    ("everything", "n"), [((75,) * 8, 100), ((200, 200, 200, 200, 60), 300), ((500,) * 16, 1000), ((90, 8000), 110)]
)
def test_a_small_reference_does_not_make_it_err_more_often(everything, n):
    """Where the reference's counts are taken as exact it errs in 17 of 100 at two levels and in 64 at sixteen."""
    drawn = np.random.default_rng(3).multivariate_hypergeometric(everything, n, size=40_000, method="marginals")
    assert n * min(everything) / sum(everything) >= 0.12 * FEWEST_EXPECTED
    p = np.array([statistic_and_p(row, everything)[1] for row in drawn[:8000]])
    for level in (0.05, 0.01, 0.001):
        assert (p <= level).mean() <= 1.3 * level + 3 * np.sqrt(level / p.size)


def test_mean_and_variance_are_exact():
    everything, n = (20,) * 30, 100
    drawn = np.random.default_rng(4).multivariate_hypergeometric(everything, n, size=20_000, method="marginals")
    found = np.array([statistic_and_p(row, everything)[0] for row in drawn[:6000]])
    mean, variance = chi_square._moments(100.0, 500.0, np.full(30, 20.0))
    assert found.mean() == pytest.approx(mean, rel=0.02)
    assert found.var() == pytest.approx(variance, rel=0.08)


def test_neighbours_are_merged_until_enough_is_expected():
    groups = merged_in_order([1, 1, 1, 50, 50, 1], smaller=30, most_bins=16)
    assert groups.tolist() == [0, 0, 0, 0, 1, 1]
    assert merged_in_order([1, 0, 1], smaller=1, most_bins=16).tolist() == [0, 0, 0]


def test_rare_categories_share_a_group():
    assert merged_if_rare([0, 3, 40, 500, 2], smaller=100, rest=2).tolist() == [0, 0, 0, 1, 0]
    assert merged_if_rare([0, 3, 0, 500, 200], smaller=50, rest=2).tolist() == [2, 2, 2, 1, 2]


def test_one_bin_says_nothing():
    assert statistic_and_p([5, 0], [50, 0]) == (0.0, 1.0, 0.0)

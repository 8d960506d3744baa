import doctest

import numpy as np
import pytest

from flyball.stats import chi_square
from flyball.stats.chi_square import FEWEST_EXPECTED, merged_if_rare, merged_in_order, statistic_and_p


def test_the_docstrings_example_runs():
    assert doctest.testmod(chi_square)[0] == 0


def test_the_statistic_is_the_likelihood_ratio_by_williams_correction():
    from scipy.stats import chi2_contingency

    window, before = np.array([30, 50, 20]), np.array([400, 350, 250])
    ratio = chi2_contingency([window, before], lambda_="log-likelihood")[0]
    total, t = 1_100.0, window + before
    factor = 1.0 + (total * (1 / 100 + 1 / 1_000) - 1.0) * (total * np.sum(1.0 / t) - 1.0) / (6.0 * total * 2.0)
    assert statistic_and_p(window, t)[0] == pytest.approx(ratio / factor)


def test_of_two_bins_the_p_value_is_fishers():
    from flyball.stats import hypergeometric

    assert statistic_and_p([18, 82], [440, 4_660])[1] == hypergeometric.exact_p(18, 100, 440, 5_100)


@pytest.mark.parametrize(
    ("everything", "n"), [((9_000, 1_000, 300, 200), 10_000), ((2_600, 1_500, 600, 400), 100), ((4_660, 440), 100)]
)
def test_far_in_the_tail_it_errs_no_more_often_than_it_says(everything, n):
    """Pearson's X² is beyond its p of 10⁻⁴ 1.9 to 3.2 times as often as it says: where 128 categories share a budget, that is where they are judged."""
    total, level = sum(everything), 1e-4
    drawn = np.random.default_rng(3).multivariate_hypergeometric(everything, n, size=500_000, method="marginals")
    pearson = ((drawn - n * np.asarray(everything) / total) ** 2 / everything).sum(axis=1)
    far = drawn[pearson > np.quantile(pearson, 0.995)]
    beyond = sum(statistic_and_p(row, everything)[1] <= level for row in far)
    assert beyond <= 1.2 * level * len(drawn) + 3 * np.sqrt(level * len(drawn))


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


def test_neighbours_are_merged_until_enough_is_expected():
    groups = merged_in_order([1, 1, 1, 50, 50, 1], smaller=30, most_bins=16)
    assert groups.tolist() == [0, 0, 0, 0, 1, 1]
    assert merged_in_order([1, 0, 1], smaller=1, most_bins=16).tolist() == [0, 0, 0]


def test_rare_categories_share_a_group():
    assert merged_if_rare([0, 3, 40, 500, 2], smaller=100, rest=2).tolist() == [0, 0, 0, 1, 0]
    assert merged_if_rare([0, 3, 0, 500, 200], smaller=50, rest=2).tolist() == [2, 2, 2, 1, 2]


def test_one_bin_says_nothing():
    assert statistic_and_p([5, 0], [50, 0]) == (0.0, 1.0, 0.0)

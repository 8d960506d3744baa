import doctest

import numpy as np
import pytest

from flyball.stats import permutation
from flyball.stats.permutation import standardised_sum, two_sided_p

SKEWED = np.exp(np.arange(30) / 5.0)
"""As incomes are: the highest of thirty bins counts three hundred times the lowest."""


def sums(everything, scores, n, draws, seed):
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(everything, n, size=draws, method="marginals")
    return drawn, drawn @ np.asarray(scores)


def test_the_docstrings_example_runs():
    assert doctest.testmod(permutation)[0] == 0


@pytest.mark.parametrize(
    ("scores", "n", "each"), [(np.arange(32.0), 100, 20), (SKEWED, 100, 20), (SKEWED, 1000, 20), (SKEWED, 100, 400)]
)
def test_the_tail_is_right_down_to_one_in_ten_thousand(scores, n, each):
    everything = np.full(scores.size, each)
    n = min(n, everything.sum() // 2)
    drawn, total = sums(everything, scores, n, 300_000, 1)
    ranked = np.argsort(-total)
    for level in (1e-2, 1e-3, 1e-4):
        at = ranked[int(level * total.size)]
        assert two_sided_p(drawn[at], everything, scores) / 2 == pytest.approx((total >= total[at]).mean(), rel=0.3)


def test_its_error_rate_is_what_it_claims():
    drawn, _ = sums(np.full(30, 20), SKEWED, 100, 20_000, 2)
    p = np.array([two_sided_p(row, np.full(30, 20), SKEWED) for row in drawn])
    for level in (0.05, 0.01, 0.001):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / p.size)
        assert (p <= level).mean() >= 0.7 * level - 3 * np.sqrt(level / p.size)


def test_a_sample_at_the_edge_of_what_is_possible_has_a_small_p_and_no_error():
    assert 0 < two_sided_p([0, 0, 20], [500, 60, 20], [1.0, 2.0, 300.0]) < 1e-9
    assert 0 < two_sided_p([100, 0, 0], [100, 500, 500], [0.0, 1.0, 1.0]) < 1e-60


def test_nothing_varies_nothing_is_said():
    assert standardised_sum([5, 5], [10, 10], [3.0, 3.0]) == 0.0
    assert two_sided_p([5, 5], [10, 10], [3.0, 3.0]) == 1.0
    assert two_sided_p([10, 10], [10, 10], [1.0, 3.0]) == 1.0

import doctest

import numpy as np
import pytest

from flyball.stats import homogeneity as module
from flyball.stats.homogeneity import homogeneity_p


@pytest.mark.parametrize(("rows", "share"), [((40,) * 10, 0.5), ((200, 20, 5, 5, 300), 0.1), ((30, 3000), 0.9)])
def test_equal_shares_are_called_different_as_rarely_as_claimed(rows, share):
    rng = np.random.default_rng(1)
    p = np.array([homogeneity_p(rng.binomial(rows, share), rows) for _ in range(3_000)])
    for alpha in (0.05, 0.01):
        assert (p < alpha).mean() <= alpha + 3 * (alpha * (1 - alpha) / 3_000) ** 0.5


def test_layers_may_differ_and_groups_within_them_not():
    rng = np.random.default_rng(2)
    rows = np.full((3, 4), 100)
    p = np.array([homogeneity_p(rng.binomial(rows, [[0.1], [0.5], [0.9]]), rows) for _ in range(2_000)])
    assert (p < 0.05).mean() <= 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5
    assert homogeneity_p(rng.binomial(rows, [0.2, 0.5, 0.5, 0.8]), rows) < 1e-9


@pytest.mark.parametrize(("having", "rows"), [([], []), ([0, 0], [5, 5]), ([5, 5], [5, 5]), ([3, 0], [9, 0])])
def test_where_there_is_nothing_to_compare_nothing_is_said(having, rows):
    assert homogeneity_p(having, rows) == 1.0


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == 0


@pytest.mark.parametrize(("rows", "share"), [((20, 1000), 0.01), ((12, 400), 0.97), ((20, 300, 400), 0.03)])
def test_a_small_stratum_beside_large_ones_makes_no_wonder_of_one_row(rows, share):
    """At 0.1 %: it was 1.3 % for 20 rows beside 1,000. 20,000 draws, each table once, fail at 0.2 % with chance 0.99."""
    tables, times = np.unique(np.random.default_rng(3).binomial(rows, share, (20_000, len(rows))), axis=0, return_counts=True)
    p = np.array([homogeneity_p(table, rows) for table in tables])
    assert times[p < 0.001].sum() <= 20 + 3 * 20**0.5


def test_a_group_that_is_small_in_every_layer_is_compared_over_all_of_them():
    """At 1 %, where nothing differs within layers; and seen where it never has the thing: each layer alone is too small to say so."""
    rng, rows = np.random.default_rng(4), np.tile([8, 400], (10, 1))
    shares = np.linspace(0.1, 0.9, 10)[:, None]
    p = np.array([homogeneity_p(rng.binomial(rows, shares), rows) for _ in range(3_000)])
    assert (p < 0.01).mean() <= 0.01 + 3 * (0.01 * 0.99 / 3_000) ** 0.5
    having = rng.binomial(rows, shares)
    having[:, 0] = 0
    assert homogeneity_p(having, rows) < 1e-6

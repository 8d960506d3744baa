import doctest

import numpy as np
import pytest

from flyball.stats import association


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_of_normal_numbers_it_is_close_to_their_correlation(rho):
    rng = np.random.default_rng(1)
    x = rng.normal(size=20_000)
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=20_000)
    codes = np.column_stack([np.searchsorted(np.quantile(v, np.arange(1, 10) / 10), v) for v in (x, -y)])
    assert association.maximal_correlation(codes, [10, 10])[0, 1] == pytest.approx(rho, abs=0.06)


def test_a_dependence_that_is_not_monotone_is_seen():
    x = np.tile(np.arange(4), 100)
    assert association.maximal_correlation(np.column_stack([x, x % 2]), [4, 2])[0, 1] == pytest.approx(1.0)


def test_a_constant_column_correlates_with_nothing():
    codes = np.column_stack([np.zeros(40, dtype=np.int64), np.arange(40) % 2])
    assert association.maximal_correlation(codes, [1, 2])[0, 1] == 0.0


def test_blocks_are_joined_by_the_average_of_their_pairs():
    chain = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.75], [0.1, 0.75, 1.0]])
    assert association.blocks(chain, 0.7) == ((0, 1), (2,))
    assert association.blocks([[1.0]], 0.7) == ((0,),)


def pair(rng, rho, moved=0.0):
    """Levels of two normal numbers, the second moved."""
    a, b = rng.normal(size=(2, 4000))
    return np.column_stack([np.digitize(x, np.linspace(-1.5, 1.5, 7)) for x in (a, rho * a + np.sqrt(1 - rho**2) * b + moved)])


@pytest.mark.parametrize(("rho", "moved"), [(0.0, 0.0), (0.6, 0.0), (0.9, 0.0), (0.0, 1.0), (0.6, 1.0), (0.9, 0.5)])
def test_columns_that_go_together_as_before_do_not_go_otherwise_though_one_moved(rho, moved):
    rng = np.random.default_rng(3)
    found = [association.goes_otherwise(pair(rng, rho), pair(rng, rho, moved), [8, 8]) for _ in range(40)]
    assert np.count_nonzero(np.asarray(found) > 5.0) <= 1


@pytest.mark.parametrize(("before", "now"), [(0.0, 0.4), (0.5, 0.0), (0.6, -0.6)])
def test_columns_that_go_together_otherwise_do(before, now):
    rng = np.random.default_rng(4)
    assert all(association.goes_otherwise(pair(rng, before), pair(rng, now, 0.5), [8, 8]) > 5.0 for _ in range(20))


def test_of_no_rows_and_of_too_few_nothing_is_said():
    rng = np.random.default_rng(5)
    few = pair(rng, 0.9)[:50]
    assert association.goes_otherwise(few[:0], few, [8, 8]) == 0.0
    assert association.goes_otherwise(few[:20], few, [8, 8]) == 0.0


def test_the_examples_run():
    assert doctest.testmod(association)[0] == 0

"""Means of small groups, drawn to the mean of all."""

import doctest

import numpy as np
import pytest

from flyball.stats import shrinkage


def drawn(rng, between, sizes):
    effects = rng.normal(0.0, between, len(sizes))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return effects, groups, effects[groups] + rng.normal(0.0, 1.0, groups.size)


@pytest.mark.parametrize("between", [0.05, 0.3, 1.0])
def test_errors_cover_the_groups_own_means(between):
    rng, hits, worse, better = np.random.default_rng(1), [], [], []
    for _ in range(200):
        sizes = rng.integers(3, 60, 20)
        effects, groups, values = drawn(rng, between, sizes)
        found = shrinkage.group_means(groups, values, 20)
        truth = effects - np.average(effects, weights=sizes)
        hits.append(np.abs(found.excess - truth) <= 1.96 * found.errors)
        better.append(np.mean((found.excess - truth) ** 2))
        worse.append(np.mean((np.bincount(groups, values) / sizes - values.mean() - truth) ** 2))
    assert np.mean(hits) >= 0.93
    assert np.mean(better) < np.mean(worse)


def test_a_group_without_rows_has_no_excess_and_the_widest_error():
    rng = np.random.default_rng(3)
    _, groups, values = drawn(rng, 0.5, [30, 0, 30, 30])
    found = shrinkage.group_means(groups, values, 4)
    assert found.excess[1] == 0.0
    assert found.errors[1] == found.errors.max()


@pytest.mark.parametrize(("groups", "values"), [([], []), ([0, 0], [1.0, 2.0]), ([0, 1], [1.0, 1.0])])
def test_without_two_groups_or_any_spread_nothing_differs(groups, values):
    assert shrinkage.group_means(groups, values, 3).between == 0.0


def test_the_examples_run():
    assert doctest.testmod(shrinkage).failed == 0

import doctest

import numpy as np
import pytest

from flyball.stats import shapley
from flyball.stats.shapley import paired_shapley


def test_contributions_sum_to_the_change_in_every_pair():
    rng = np.random.default_rng(1)
    base, changed = rng.normal(size=(50, 4)), rng.normal(size=(50, 4))

    def f(x):
        return np.exp(x[:, 0]) * x[:, 1] + np.abs(x[:, 2] - x[:, 3])

    found = paired_shapley(f, base, changed, [[0], [1, 2], [3]], rng)
    assert found.sum(axis=1) == pytest.approx(f(changed) - f(base))


def test_a_product_is_shared_equally_and_a_column_that_is_not_used_gets_nothing():
    rng = np.random.default_rng(2)
    base, changed = np.zeros((20, 3)), np.ones((20, 3))
    found = paired_shapley(lambda x: 2.0 * x[:, 0] * x[:, 1], base, changed, [[0], [1], [2]], rng)
    assert found == pytest.approx(np.tile([1.0, 1.0, 0.0], (20, 1)))


def test_sampled_orders_agree_with_all_orders():
    rng = np.random.default_rng(3)
    base, changed = np.zeros((6000, 3)), np.ones((6000, 3))
    found = paired_shapley(lambda x: x[:, 0] * x[:, 1] * x[:, 2] + x[:, 0], base, changed, [[0], [1], [2]], rng)
    assert found.mean(axis=0) == pytest.approx([4 / 3, 1 / 3, 1 / 3], abs=0.02)


def test_groups_hold_each_column_once():
    with pytest.raises(ValueError, match="each of 2 columns once"):
        paired_shapley(lambda x: x[:, 0], np.zeros((1, 2)), np.ones((1, 2)), [[0], [0]], np.random.default_rng(4))


def test_the_example_runs():
    assert doctest.testmod(shapley)[0] == 0


def test_a_model_is_asked_once_for_each_order_and_rows_keep_their_own_order():
    asked = []

    def f(x):
        asked.append(len(x))
        return x @ np.array([1.0, 10.0, 100.0])

    found = paired_shapley(f, np.zeros((7, 3)), np.arange(21.0).reshape(7, 3), [[2], [0], [1]], np.random.default_rng(5))
    assert asked == [7 * 4, 7 * 4]
    assert found == pytest.approx(np.arange(21.0).reshape(7, 3)[:, [2, 0, 1]] * [100.0, 1.0, 10.0])


def test_of_many_columns_no_more_rows_than_fit_are_asked_for_at_a_time_and_the_answer_is_the_same(monkeypatch):
    asked, groups = [], [[column] for column in range(12)]
    base, changed = np.random.default_rng(6).normal(size=(2, 50, 12))

    def f(x):
        asked.append(x.size)
        return np.sin(x).prod(axis=1) + x[:, 0]

    whole = paired_shapley(f, base, changed, groups, np.random.default_rng(7))
    asked.clear()
    monkeypatch.setattr(shapley, "MOST_CELLS", 2_000)
    assert np.array_equal(paired_shapley(f, base, changed, groups, np.random.default_rng(7)), whole)
    assert max(asked) <= 2_000
    assert len(asked) > 8

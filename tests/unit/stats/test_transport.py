import doctest

import numpy as np
import pytest

from flyball.stats import transport


def folds(n):
    return np.arange(n) % 5


def test_the_transported_mean_is_right_though_nothing_was_fitted_and_its_influences_give_the_error():
    """E[y] over rows moved by half a standard deviation, from rows that were not; m̂ is a constant, so all is left to the weights."""
    reach, scores, runs = [], [], 12
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        x, moved = rng.normal(size=(2000, 1)), rng.normal(0.5, 1.0, size=(2000, 1))
        y = 0.3 + 0.1 * np.tanh(x[:, 0]) + rng.normal(0, 0.1, 2000)
        ratio = transport.density_ratio(x, moved, folds(2000), folds(2000))
        found = transport.transported_mean(y - y.mean(), ratio, np.full(2000, y.mean()))
        truth = 0.3 + 0.1 * np.tanh(np.random.default_rng(99).normal(0.5, 1.0, 200_000)).mean()
        error = np.hypot(found.at_base.std(), found.at_changed.std()) / np.sqrt(2000)
        reach.append(found.mean - truth)
        scores.append((found.mean - truth) / error)
    assert np.mean(np.abs(scores) > 1.96) <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert 0.6 <= np.sqrt(np.mean(np.square(scores))) <= 1.5  # 1, known to a fifth: errors that are far too large cover, too
    assert abs(np.mean(reach)) < 0.003  # of a change of 0.038: three standard errors of 12 draws


def test_rows_of_one_population_have_weights_close_to_one():
    rng = np.random.default_rng(1)
    ratio = transport.density_ratio(rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3)), folds(2000), folds(2000))
    assert ratio.mean() == pytest.approx(1.0)
    assert transport.effective_rows(ratio) > 1500


def test_a_population_apart_leaves_few_effective_rows():
    rng = np.random.default_rng(2)
    ratio = transport.density_ratio(rng.normal(size=(2000, 1)), rng.normal(3.0, 1.0, size=(2000, 1)), folds(2000), folds(2000))
    assert transport.effective_rows(ratio) < 400


def test_a_column_without_a_value_weighs_nothing():
    rng = np.random.default_rng(3)
    base, moved = rng.normal(size=(300, 1)), rng.normal(0.5, 1.0, size=(300, 1))
    beside = [np.column_stack((rows, np.full(300, np.nan))) for rows in (base, moved)]
    expected = transport.density_ratio(base, moved, folds(300), folds(300))
    assert transport.density_ratio(*beside, folds(300), folds(300)) == pytest.approx(expected)


def test_the_example_runs():
    assert doctest.testmod(transport)[0] == 0

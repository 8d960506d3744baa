import doctest

import numpy as np
import pytest

from flyball.stats import density_ratio as module
from flyball.stats import empty_columns
from flyball.stats.density_ratio import density_ratio


def samples(rng, shift, n=2000, m=1000):
    return rng.normal(size=(n, 5)), rng.normal(size=(m, 5)) + np.array([shift, 0, 0, 0, 0])


def test_without_a_shift_weights_cost_next_to_no_precision():
    rng = np.random.default_rng(1)
    kept = [density_ratio(*samples(rng, 0.0), np.zeros(5, bool)).effective / 2000 for _ in range(8)]
    assert min(kept) > 0.9  # measured: 0.98 to 1


def test_weights_move_the_mean_of_the_reference_to_that_of_the_window():
    rng = np.random.default_rng(2)
    reference, window = samples(rng, 0.7)
    ratio = density_ratio(reference, window, np.zeros(5, bool))
    assert np.average(reference[:, 0], weights=ratio.reference) == pytest.approx(0.7, abs=0.15)
    assert np.average(reference[:, 1], weights=ratio.reference) == pytest.approx(0.0, abs=0.15)
    truth = np.exp(0.7 * reference[:, 0] - 0.245)
    assert np.corrcoef(np.log(ratio.reference), np.log(truth))[0, 1] > 0.9
    assert ratio.reference.mean() == pytest.approx(1.0)


def test_a_window_that_the_reference_does_not_know_lies_outside():
    rng = np.random.default_rng(3)
    assert density_ratio(*samples(rng, 8.0), np.zeros(5, bool)).outside > 0.95


def test_categories_are_codes_and_missing_values_are_values():
    rng = np.random.default_rng(4)
    reference = np.column_stack((rng.integers(0, 4, 2000).astype(float), rng.normal(size=2000)))
    window = np.column_stack((rng.integers(0, 2, 1000).astype(float), rng.normal(size=1000)))
    window[:, 1] = np.nan
    reference[:200, 1] = np.nan
    ratio = density_ratio(reference, window, np.array([True, False]))
    likely = np.isnan(reference[:, 1]) & (reference[:, 0] < 2)
    assert ratio.reference[likely].mean() > 5 * ratio.reference[~likely].mean()


def test_a_column_without_a_value_where_trees_are_fitted_is_no_trouble():
    """A feature that nobody fills in, and one of which a single fold has values."""
    rng = np.random.default_rng(7)
    (reference, window), nothing = samples(rng, 0.7, 600, 300), np.full((900, 2), np.nan)
    nothing[5, 1] = 1.0
    beside = (np.column_stack((reference, nothing[:600])), np.column_stack((window, nothing[600:])))
    without = density_ratio(reference, window, np.zeros(5, bool))
    assert density_ratio(*beside, np.zeros(7, bool)).window == pytest.approx(without.window)


def test_rows_that_share_their_hour_are_not_taken_for_a_shift():
    """Each hour has a value of its own, drawn from one law: trees that see an hour's rows on both sides of a fold would know the window by heart."""
    rng = np.random.default_rng(5)
    reference, window = (np.repeat(rng.normal(size=(hours, 3)), 40, axis=0) for hours in (60, 24))
    assert density_ratio(reference, window, np.zeros(3, bool)).outside < 0.05


def test_the_same_rows_give_the_same_bytes():
    rng = np.random.default_rng(6)
    pair = samples(rng, 0.5)
    first, second = (density_ratio(*pair, np.zeros(5, bool)) for _ in range(2))
    assert first.reference.tobytes() == second.reference.tobytes()


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == doctest.testmod(empty_columns)[0] == 0

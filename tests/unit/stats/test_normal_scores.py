"""Normal scores."""

import doctest

import numpy as np
import pytest

from flyball.stats import normal_scores


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy"])
def test_scores_of_any_continuous_law_are_about_standard_normal(draw):
    rng = np.random.default_rng(1)
    knots = normal_scores.fit(getattr(rng, draw)(size=5000), 15)
    scores = normal_scores.of(knots, getattr(rng, draw)(size=5000))
    assert scores.mean() == pytest.approx(0.0, abs=0.05)
    assert scores.std() == pytest.approx(1.0, abs=0.05)
    assert np.mean(scores > 1.0) == pytest.approx(0.1587, abs=0.03)


def test_ties_share_a_score_and_order_is_kept():
    knots = normal_scores.fit([0.0] * 90 + list(range(1, 11)), 15)
    scores = normal_scores.of(knots, [0.0, 0.0, 1.0, 5.0, 10.0])
    assert scores[0] == scores[1]
    assert np.all(np.diff(scores[1:]) > 0)


def test_missing_is_the_middle_and_the_outer_scores_hold_beyond_the_reference():
    knots = normal_scores.fit(np.arange(100.0), 15)
    scores = normal_scores.of(knots, [np.nan, 1e9, np.inf, 99.0, -1e9, 0.0])
    assert scores[0] == 0.0
    assert scores[1] == scores[2] == scores[3]
    assert scores[4] == scores[5]


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]])
def test_a_column_without_two_values_scores_nothing(values):
    assert normal_scores.of(normal_scores.fit(values, 15), [1.0, np.nan]).tolist() == [0.0, 0.0]


def test_the_examples_run():
    assert doctest.testmod(normal_scores).failed == 0

import doctest

import numpy as np
import pytest

from flyball.stats import logistic


def test_coefficients_are_found_and_weights_count_as_rows():
    rng = np.random.default_rng(1)
    columns = np.column_stack((np.ones(5000), rng.normal(size=5000)))
    labels = (rng.random(5000) < logistic.expit(columns @ [-1.0, 0.7])).astype(float)
    found = logistic.fit(columns, labels, np.ones(5000), [0.0, 0.0])
    assert found == pytest.approx([-1.0, 0.7], abs=0.12)
    twice = logistic.fit(np.vstack((columns, columns[:100])), np.append(labels, labels[:100]), np.ones(5100), [0.0, 0.0])
    assert logistic.fit(columns, labels, np.where(np.arange(5000) < 100, 2.0, 1.0), [0.0, 0.0]) == pytest.approx(twice, abs=1e-6)


def test_separable_labels_and_huge_weights_end_at_a_finite_place():
    columns = np.column_stack((np.ones(100), np.linspace(-30, 30, 100)))
    found = logistic.fit(columns, (columns[:, 1] > 0).astype(float), np.full(100, 1e6), [0.0, 5.0])
    assert np.all(np.isfinite(found))


def test_without_weight_the_prior_stays():
    columns = np.ones((10, 2))
    assert logistic.fit(columns, np.ones(10), np.zeros(10), [0.3, -2.0]) == pytest.approx([0.3, -2.0])


def test_the_odds_of_certain_scores_are_finite():
    assert logistic.expit(logistic.logit([0.0, 0.25, 1.0])) == pytest.approx([1e-6, 0.25, 1 - 1e-6])


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(logistic)[0] == 0

import doctest

import numpy as np
import pytest

from flyball.errors import DataError
from flyball.spec.project import CLASSIFICATION, REGRESSION
from flyball.stats import metrics
from flyball.stats.metrics import HIGHER_IS_BETTER, METRICS, measure, undefined

RNG = np.random.default_rng(0)
BINARY = (RNG.random((200, 1)), RNG.integers(0, 2, 200))
RAW = RNG.random((200, 3)).astype(np.float32)
MULTI = (RAW / RAW.sum(axis=1, keepdims=True), RNG.integers(0, 3, 200))


def test_every_metric_that_a_user_may_name_is_here():
    assert set(METRICS) == CLASSIFICATION | REGRESSION
    assert set(METRICS) >= HIGHER_IS_BETTER


@pytest.mark.parametrize("name", sorted(CLASSIFICATION))
def test_classification_metrics_are_finite_on_both_tasks(name):
    assert np.isfinite(METRICS[name]("binary", *BINARY))
    assert np.isfinite(METRICS[name]("multiclass", *MULTI))


@pytest.mark.parametrize("name", sorted(CLASSIFICATION))
def test_knowing_the_truth_is_better_than_a_guess(name):
    truth = BINARY[1]
    perfect, guess = METRICS[name]("binary", truth[:, None] * 0.98 + 0.01, truth), METRICS[name]("binary", *BINARY)
    assert perfect > guess if name in HIGHER_IS_BETTER else perfect < guess


def test_regression_metrics_are_those_of_the_textbook():
    scores, labels = [[1.0], [4.0]], [2.0, 2.0]
    assert METRICS["mae"]("regression", scores, labels) == 1.5
    assert METRICS["rmse"]("regression", scores, labels) == pytest.approx(2.5**0.5)
    assert METRICS["mape"]("regression", scores, labels) == 0.75


def test_a_certain_and_wrong_probability_has_a_finite_log_loss():
    assert np.isfinite(METRICS["log_loss"]("binary", [[1.0], [0.0]], [0, 1]))
    assert np.isfinite(METRICS["log_loss"]("multiclass", [[0.0, 0.0], [1.0, 0.0]], [0, 1]))


def test_log_loss_knows_a_class_that_the_rows_lack():
    assert METRICS["log_loss"]("binary", [[0.1], [0.2]], [0, 0]) == pytest.approx(-np.log([0.9, 0.8]).mean())


@pytest.mark.parametrize(
    ("name", "task", "scores", "labels", "words"),
    [
        ("roc_auc", "binary", [[0.1], [0.2]], [1, 1], "every class"),
        ("pr_auc", "multiclass", [[0.1, 0.2, 0.7]], [1], "1 of 3"),
        ("mae", "regression", [], [], "rows"),
        ("mae", "regression", [[np.nan]], [1.0], "finite"),
        ("mae", "binary", [[0.5]], [1], "not a metric"),
        ("brier", "regression", [[0.5]], [1], "not a metric"),
    ],
)
def test_where_a_metric_is_not_defined_it_says_why(name, task, scores, labels, words):
    table = np.asarray(scores, dtype=float).reshape(len(labels), -1) if labels else np.empty((0, 1))
    assert words in undefined(name, task, table, labels)
    assert measure(name, task, table, labels) is None
    with pytest.raises(DataError, match=words):
        METRICS[name](task, table, labels)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(metrics)[0] == 0

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


NO_QUESTIONS = [
    ("roc_auc", "binery", [0.9, 0.1], [1, 0], r"no task is called 'binery'\. Expected: one of binary, multiclass, regression"),
    ("auc", "binary", [0.9, 0.1], [1, 0], r"no metric is called 'auc'\. Expected: one of roc_auc, pr_auc, "),
    ("brier", "binary", [0.9, 0.1], [1, 0, 1], r"2 rows of scores, labels of shape \(3,\)\. Expected: one label for each row"),
    ("mae", "regression", [0.9, 0.1], [[1], [0]], r"labels of shape \(2, 1\)\. Expected: one label for each row"),
    ("accuracy", "binary", [0.9, 0.1], [5, 0], r"a label 5 in a task of 2 classes\. Expected: class indices from 0 to 1"),
    ("accuracy", "multiclass", np.eye(3), [0, 1, -1], r"a label -1 in a task of 3 classes\. Expected: class indices from 0 to 2"),
    ("f1", "binary", [0.9, 0.1], [0.5, 0], r"a label 0.5 in a task of 2 classes"),
    ("log_loss", "binary", [0.9, 0.1], ["yes", "no"], r"labels that are no numbers\. Expected: class indices from 0 on"),
    ("rmse", "regression", ["much", "more"], [1, 2], r"scores that are no numbers\. Expected: numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "task", "scores", "labels", "words"), NO_QUESTIONS)
def test_what_nobody_can_have_meant_is_refused_with_what_was_expected(name, task, scores, labels, words):
    for asked in (measure, undefined, lambda name, *rows: METRICS.get(name, METRICS["brier"])(*rows)):
        if name == "auc" and asked not in (measure, undefined):
            continue
        with pytest.raises(DataError, match=words):
            asked(name, task, scores, labels)


def test_a_metric_of_another_task_is_not_defined_and_no_fault():
    assert measure("mae", "binary", [0.9, 0.1], [1, 0]) is None
    assert undefined("roc_auc", "regression", [0.9, 0.1], [1, 0]) == "roc_auc is not a metric of the task regression"

import doctest

import numpy as np
import pytest

from flyball.stats import expected_metrics
from flyball.stats.expected_metrics import expected
from flyball.stats.metrics import METRICS, measure

DRAWS = 150
NAMES = ("roc_auc", "pr_auc", "f1", "log_loss", "brier", "accuracy")


def world(rng, task, n=300):
    """Scores with ties, and calibrated probabilities of each class."""
    p = np.round(rng.dirichlet(np.ones(2 if task == "binary" else 3), n), 2)
    p /= p.sum(axis=1, keepdims=True)
    return (p[:, 1:] if task == "binary" else p), p


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", NAMES)
def test_with_certain_labels_the_expected_metric_is_the_metric(task, name):
    rng = np.random.default_rng(1)
    scores, p = world(rng, task)
    labels = np.array([rng.choice(p.shape[1], p=row) for row in p])
    found = expected(name, task, scores, np.eye(p.shape[1])[labels])
    assert found.value == pytest.approx(METRICS[name](task, scores, labels), abs=1e-12)
    assert (found.influence(scores)[np.arange(labels.size), labels]).mean() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", NAMES)
def test_mean_and_deviation_over_drawn_labels_are_as_told(task, name):
    rng = np.random.default_rng(2)
    scores, p = world(rng, task)
    found = expected(name, task, scores, p)
    drawn = (rng.random((DRAWS, len(p), 1)) > np.cumsum(p, axis=1)).sum(axis=2)
    seen = np.array([METRICS[name](task, scores, labels) for labels in drawn])
    by_label = found.influence(scores)
    variance = np.sum(p * by_label**2, axis=1) - np.sum(p * by_label, axis=1) ** 2
    assert seen.std() == pytest.approx(np.sqrt(variance.sum()) / len(p), rel=0.2)
    # one row in n is the order of what the ratio of expectations leaves out
    assert seen.mean() == pytest.approx(found.value, abs=4 * seen.std() / np.sqrt(DRAWS) + 1 / len(p))


@pytest.mark.parametrize("name", ["accuracy", "f1"])
def test_what_is_expected_of_answers_is_so_at_their_threshold(name):
    rng = np.random.default_rng(4)
    scores, p = world(rng, "binary")
    labels = np.array([rng.choice(2, p=row) for row in p])
    found = expected(name, "binary", scores, np.eye(2)[labels], 0.2)
    assert found.value == pytest.approx(measure(name, "binary", scores, labels, 0.2), abs=1e-12)
    assert found.value != expected(name, "binary", scores, np.eye(2)[labels]).value
    assert found.influence(scores)[np.arange(labels.size), labels].mean() == pytest.approx(0.0, abs=1e-9)


def test_a_class_that_is_not_expected_leaves_areas_and_f1_undefined():
    p = np.column_stack((np.full(50, 0.999), np.full(50, 0.001)))
    assert all(expected(name, "binary", np.linspace(0, 1, 50)[:, None], p) is None for name in ("roc_auc", "pr_auc", "f1"))
    assert expected("brier", "binary", np.zeros((50, 1)), p).value == pytest.approx(0.001)
    assert expected("brier", "binary", np.zeros((0, 1)), np.zeros((0, 2))) is None


def test_probabilities_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"probabilities of shape \(3, 2\)"):
        expected("brier", "binary", np.zeros((3, 1)), np.zeros((3, 1)))


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(expected_metrics)[0] == 0

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.stats import losses
from flyball.stats.losses import bounded_loss, score_table


def test_binary_is_the_brier_score():
    assert bounded_loss("binary", [[0.0], [1.0], [0.3]], [0, 0, 1]).tolist() == pytest.approx([0.0, 1.0, 0.49])


def test_two_classes_lose_the_same_as_binary():
    p = np.random.default_rng(0).random(50)
    y = np.random.default_rng(1).integers(0, 2, 50)
    both = bounded_loss("multiclass", np.stack((1 - p, p), axis=1), y)
    np.testing.assert_allclose(both, bounded_loss("binary", p, y))


def test_regression_is_cut_at_its_scale():
    assert bounded_loss("regression", [1.0, -30.0], [0.0, 0.0], scale=2.0).tolist() == [0.5, 1.0]


def test_a_missing_label_or_score_stays_missing():
    assert np.isnan(bounded_loss("binary", [0.5, np.nan], [np.nan, 1.0])).all()
    assert np.isnan(bounded_loss("multiclass", [[0.5, 0.5]], [np.nan])).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 2)), min_size=1, max_size=30))
def test_every_loss_lies_between_0_and_1(rows):
    raw = np.array([[a, b, 1.0] for a, b, _ in rows])
    loss = bounded_loss("multiclass", raw / raw.sum(axis=1, keepdims=True), [y for _, _, y in rows])
    assert np.all((loss >= 0) & (loss <= 1))


@pytest.mark.parametrize(
    ("task", "scores", "labels", "scale", "words"),
    [
        ("binary", [[0.1, 0.9]], [1], None, "shape"),
        ("multiclass", [0.1], [1], None, "shape"),
        ("binary", [0.5], [1, 0], None, "one label a row"),
        ("binary", [0.5], [2], None, "class indices"),
        ("multiclass", [[0.5, 0.5]], [0.5], None, "class indices"),
        ("regression", [0.5], [1.0], None, "scale"),
        ("regression", [0.5], [1.0], 0.0, "scale"),
    ],
)
def test_what_does_not_fit_is_refused(task, scores, labels, scale, words):
    with pytest.raises(ValueError, match=words):
        bounded_loss(task, scores, labels, scale)


def test_scores_of_one_column_may_come_flat():
    assert score_table("binary", [0.1, 0.2]).shape == (2, 1)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(losses)[0] == 0


def test_a_task_that_is_none_is_refused():
    with pytest.raises(ValueError, match="one of the tasks binary, multiclass, regression, found 'binery'"):
        bounded_loss("binery", [0.5], [1])

"""Labels that only some get, on simulated rows with fixed seeds."""

import numpy as np
import pytest
from monitored_world import day, watched

from flyball.monitoring.live import WindowRows
from flyball.monitoring.realised import realised, refused
from flyball.monitoring.selective import ALPHA, arms, selection
from flyball.stats import metrics


def window(rng, n=4_000, shift=0.0):
    scores = rng.beta(1.0, 2.0, n)
    labels = (rng.random(n) < np.clip(scores + shift, 0.0, 1.0)).astype(float)
    return scores, labels


def seen(scores, labels, has):
    at = np.zeros(scores.size, dtype=np.int64)
    return WindowRows(at, np.where(has, 1, -1), scores[:, None], np.where(has, labels, np.nan))


def test_labels_at_random_are_called_selective_as_rarely_as_claimed():
    rng = np.random.default_rng(1)
    called = 0
    for _ in range(1_500):
        scores, labels = window(rng, 400)
        called += selection("binary", seen(scores, labels, rng.random(400) < 0.6))[0].kind != "none"
    assert called / 1_500 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 1_500) ** 0.5


def test_a_difference_that_moves_no_metric_is_not_worth_a_word():
    rng = np.random.default_rng(2)
    scores, labels = window(rng, 200_000)
    assert selection("binary", seen(scores, labels, rng.random(200_000) < 0.6 + 0.03 * scores))[0].kind == "none"


def test_labels_that_hang_on_the_score_are_named_and_corrected():
    rng = np.random.default_rng(3)
    biased, corrected = [], []
    for _ in range(20):
        scores, labels = window(rng)
        has = rng.random(scores.size) < np.where(scores > 0.4, 0.9, 0.15)
        told, weighting = selection("binary", seen(scores, labels, has))
        assert (told.kind, told.subject) == ("corrected", "the score")
        assert "inverse share of labels among like rows" in told.words
        whole = metrics.brier("binary", scores[:, None], labels)
        biased.append(metrics.brier("binary", scores[has, None], labels[has]) - whole)
        corrected.append(np.average((scores[has] - labels[has]) ** 2, weights=weighting.weights) - whole)
    assert np.mean(biased) > 0.03
    assert abs(np.mean(corrected)) < 0.003


def test_corrected_metrics_cover_the_truth():
    rng = np.random.default_rng(4)
    reference = watched(rng, days=10, n=100)
    scores, labels = window(rng, 400_000)
    truth = {name: metrics.METRICS[name]("binary", scores[:, None], labels) for name in ("brier", "roc_auc", "pr_auc", "f1")}
    missed = dict.fromkeys(truth, 0)
    for _ in range(150):
        scores, labels = window(rng, 2_000)
        has = rng.random(2_000) < np.where(scores > 0.4, 0.9, 0.2)
        _, weighting = selection("binary", seen(scores, labels, has))
        found = realised(reference, scores[has, None], labels[has], day(0), weighting)
        for name, value in truth.items():
            missed[name] += not found[name].lower <= value <= found[name].upper
    # 5 % and three standard errors of 150 draws
    assert max(missed.values()) / 150 <= 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5, missed


def test_scores_that_get_no_label_are_refused_with_the_worst_case():
    rng = np.random.default_rng(5)
    scores, labels = window(rng)
    told, weighting = selection("binary", seen(scores, labels, scores > 0.3))
    assert (told.kind, weighting) == ("refused", None)
    assert "cannot be weighed up" in told.words
    assert "move a mean loss in [0, 1] by up to" in told.words


def test_labels_for_positives_only_are_refused():
    rng = np.random.default_rng(6)
    scores, labels = window(rng)
    told, weighting = selection("binary", seen(scores, labels, labels == 1), classes=("healthy", "sick"))
    assert (told.kind, told.subject, weighting) == ("refused", "class", None)
    assert told.words.startswith(f"all {int(labels.sum())} labels are of class sick, where")
    assert "only one outcome is told" in told.words


def test_the_one_class_of_many_that_is_told_has_its_name():
    rng = np.random.default_rng(14)
    scores = rng.dirichlet((1.0, 1.0, 1.0), 600)
    labels = np.array([rng.choice(3, p=row) for row in scores], dtype=float)
    has = labels == 2
    rows = WindowRows(np.zeros(600, dtype=np.int64), np.where(has, 1, -1), scores, np.where(has, labels, np.nan))
    assert "of class blue, where" in selection("multiclass", rows, classes=("red", "green", "blue"))[0].words


def test_one_class_that_the_scores_promise_is_no_fault():
    rng = np.random.default_rng(7)
    scores = rng.uniform(0.0, 0.001, 500)
    assert selection("binary", seen(scores, np.zeros(500), rng.random(500) < 0.5))[0].kind == "none"


@pytest.mark.parametrize("chance", ["mostly positives", "confirmed when right"])
def test_labels_chosen_by_their_outcome_are_refused_where_the_scores_contradict_them(chance):
    rng = np.random.default_rng(8)
    scores, labels = window(rng)
    right = (scores >= 0.5) == (labels == 1)
    share = np.where(labels == 1, 0.9, 0.2) if chance == "mostly positives" else np.where(right, 0.9, 0.1)
    told, weighting = selection("binary", seen(scores, labels, rng.random(scores.size) < share))
    assert (told.kind, told.subject, weighting) == ("refused", "outcome", None)


def test_scores_that_are_no_chances_cannot_contradict():
    rng = np.random.default_rng(9)
    scores, labels = window(rng)
    has = rng.random(scores.size) < np.where(scores > 0.4, 0.9, 0.3)
    rows = seen(np.clip(2.5 * scores, 0.0, 1.0), labels, has)
    assert selection("binary", rows)[0].kind == "refused"
    assert selection("binary", rows, probabilities=False)[0].kind == "corrected"


@pytest.mark.parametrize("texts", [False, True])
def test_a_feature_that_decides_who_is_labelled_is_named_and_corrected(texts):
    rng = np.random.default_rng(10)
    scores, labels = window(rng)
    branch = rng.integers(0, 4, scores.size)
    hard = branch == 3
    labels = np.where(hard, rng.random(scores.size) < 0.4, labels).astype(float)
    has = rng.random(scores.size) < np.where(hard, 0.2, 0.9)
    values = np.array(["north", "south", "east", "west"], dtype=object)[branch] if texts else branch.astype(float)
    told, weighting = selection("binary", seen(scores, labels, has), {"noise": rng.random(scores.size), "branch": values})
    assert (told.kind, told.subject) == ("corrected", "feature branch")
    whole = metrics.brier("binary", scores[:, None], labels)
    bare = metrics.brier("binary", scores[has, None], labels[has])
    ours = np.average((scores[has] - labels[has]) ** 2, weights=weighting.weights)
    assert abs(ours - whole) < 0.3 * abs(bare - whole)


def test_a_complete_window_and_one_without_labels_are_not_selective():
    rng = np.random.default_rng(11)
    scores, labels = window(rng, 500)
    for has in (np.ones(500, dtype=bool), np.zeros(500, dtype=bool)):
        assert selection("binary", seen(scores, labels, has))[0].kind == "none"
    few = selection("binary", seen(scores, labels, np.arange(500) < 8))[0]
    assert "too few to tell" in few.words


def test_several_classes_and_numbers():
    rng = np.random.default_rng(12)
    raw = rng.gamma(1.0, size=(3_000, 3))
    table = raw / raw.sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in table]).astype(float)
    chance = np.where(np.argmax(table, axis=1) == 0, 0.2, 0.9)
    rows = WindowRows(
        np.zeros(3_000, np.int64), np.zeros(3_000, np.int64), table, np.where(rng.random(3_000) < chance, labels, np.nan)
    )
    assert selection("multiclass", rows)[0].kind == "corrected"
    values = rng.normal(size=(3_000, 1))
    known = np.where(rng.random(3_000) < np.where(values[:, 0] > 0, 0.9, 0.3), values[:, 0], np.nan)
    assert selection("regression", rows._replace(scores=values, labels=known))[0].kind == "corrected"


def test_labels_for_one_arm_only_are_no_comparison():
    told = arms({"u1": (500, 300), "u2": (500, 0)})
    assert (told.kind, told.subject) == ("refused", "arm")
    assert "u1 300 of 500, u2 0 of 500" in told.words
    assert arms({"u1": (500, 300), "u2": (450, 275)}).kind == "none"
    assert arms({}).kind == "none"


def test_a_refused_window_has_every_metric_and_no_value():
    reference = watched(np.random.default_rng(13), days=10, n=100)
    found = refused(reference, day(0), 90, "labels of one class only", {"profit": lambda *_: 1.0})
    assert set(found) == {"roc_auc", "pr_auc", "log_loss", "brier", "f1", "accuracy", "profit"}
    assert all(evidence.value is None and evidence.note == "labels of one class only" for evidence in found.values())

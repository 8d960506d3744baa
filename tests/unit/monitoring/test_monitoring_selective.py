"""Labels that only some get, on simulated rows with fixed seeds."""

import numpy as np
import pytest
from monitored_world import day, watched

from flyball.control.judging_labels import Read, features_of
from flyball.control.samples import SampledRows
from flyball.monitoring.live import WindowRows
from flyball.monitoring.realised import realised, refused
from flyball.monitoring.selective import ALPHA, Features, arms, selection
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


def asked_as_the_platform_does(rng, rows, n_sampled, known=(), more=None):
    """Twelve features that say nothing of who has a label, known of a sample of the rows, and what a window keeps of them. `more`: of all rows, others."""
    ids = [f"p{place}" for place in range(len(rows.labels))]
    chosen = np.sort(rng.choice(len(ids), n_sampled, replace=False))
    kinds = np.array([f"k{kind}" for kind in range(30)], dtype=object)
    columns = {f"n{place}": rng.normal(size=n_sampled) for place in range(6)}
    columns |= {f"c{place}": kinds[rng.geometric(0.2, n_sampled).clip(1, 30) - 1] for place in range(6)}
    columns |= {name: values[chosen] for name, values in (more or {}).items()}
    sample = SampledRows([ids[place] for place in chosen], rows.at_us[chosen], columns, rows.scores[chosen])
    features = features_of(Read(rows, ids, None), sample)
    return selection("binary", rows, features, known)


@pytest.mark.parametrize(("rows", "sampled"), [(400, 400), (1_000, 300)])
@pytest.mark.parametrize("windows", [150, pytest.param(2_000, marks=pytest.mark.nightly)])
def test_labels_at_random_are_called_selective_no_more_often_where_features_are_looked_at(rows, sampled, windows):
    rng = np.random.default_rng(21)
    called = 0
    for _ in range(windows):
        scores, labels = window(rng, rows)
        called += asked_as_the_platform_does(rng, seen(scores, labels, rng.random(rows) < 0.6), sampled)[0].kind != "none"
    assert called / windows <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / windows) ** 0.5


def test_features_are_not_named_where_labels_hang_on_the_score_alone():
    rng = np.random.default_rng(22)
    told = []
    for _ in range(60):
        scores, labels = window(rng, 2_000)
        has = rng.random(2_000) < np.where(scores > 0.3, 0.9, 0.4)
        told.append(asked_as_the_platform_does(rng, seen(scores, labels, has), 800)[0])
    assert {each.kind for each in told} == {"corrected"}
    assert sum(each.subject != "the score" for each in told) <= 1


def test_a_feature_that_decides_is_found_in_a_sample_and_the_rows_of_the_sample_are_weighted():
    rng = np.random.default_rng(23)
    off = []
    for _ in range(10):
        scores, labels = window(rng, 10_000)
        hard = rng.random(scores.size) < 0.3
        labels = np.where(hard, 1.0 - labels, labels)
        has = rng.random(scores.size) < np.where(hard, 0.3, 0.9)
        rows = seen(scores, labels, has)
        told, weighting = asked_as_the_platform_does(rng, rows, 2_000, more={"hard": hard.astype(float)})
        if told.subject == "outcome":  # labels so far from the scores may have been chosen by what they are
            continue
        assert (told.kind, told.subject, told.sampled) == ("corrected", "feature hard", True)
        assert weighting.weights.size < 2_000
        off.append(weighting.weights.sum() / 2_000)
    assert np.allclose(off, 1.0)


def test_a_kind_of_rows_that_a_feature_tells_and_that_gets_hardly_any_label_is_refused():
    rng = np.random.default_rng(24)
    scores, labels = window(rng, 240)
    x = rng.uniform(-2.0, 2.0, 240)
    has = rng.random(240) < np.where(x <= 0.0, 0.5, np.where(x < 1.0, 0.95, 0.05))
    told, weighting = selection("binary", seen(scores, labels, has), Features({"x": x}))
    assert (told.kind, told.subject, weighting) == ("refused", "feature x", None)
    assert "rows are of kinds that get hardly any" in told.words


def test_what_windows_before_hung_on_weighs_one_that_is_too_small_to_show_it():
    rng = np.random.default_rng(25)
    scores, labels = window(rng, 120)
    has = rng.random(120) < np.where(scores > 0.3, 0.7, 0.6)
    assert selection("binary", seen(scores, labels, has))[0].kind == "none"
    told, weighting = selection("binary", seen(scores, labels, has), known=("the score",))
    assert (told.kind, told.subject, told.hang_on) == ("corrected", "the score", ())
    assert "hung on the score in windows before" in told.words
    assert weighting.weights.sum() == pytest.approx(120)


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


def test_rare_positives_of_thin_strata_contradict_nothing():
    """Two of ten where a tenth is expected are rare by the normal's tail, and no wonder by their own."""
    rng, refused_ones = np.random.default_rng(20261128), 0
    for _ in range(200):
        scores = rng.beta(0.5, 50.0, 2_000)
        labels = (rng.random(scores.size) < scores).astype(float)
        amount, region = rng.lognormal(3.0, 1.0, scores.size), rng.choice(list("abcdefgh"), scores.size).astype(object)
        share = 0.95 * np.where(amount > 20.0, 1.0, 0.6) * np.where(np.isin(region, list("abc")), 1.0, 0.7)
        features = Features({"amount": amount, "region": region}, np.arange(scores.size))
        told, _ = selection("binary", seen(scores, labels, rng.random(scores.size) < share), features)
        refused_ones += told.subject == "outcome"
    assert refused_ones <= 1


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
    told, weighting = selection(
        "binary", seen(scores, labels, has), Features({"noise": rng.random(scores.size), "branch": values})
    )
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
    assert arms({"u1": (0, 0), "u2": (0, 0)}).kind == "none"


def test_a_refused_window_has_every_metric_and_no_value():
    reference = watched(np.random.default_rng(13), days=10, n=100)
    found = refused(reference, day(0), 90, "labels of one class only", {"profit": lambda *_: 1.0})
    assert set(found) == {"roc_auc", "pr_auc", "log_loss", "brier", "f1", "accuracy", "profit"}
    assert all(evidence.value is None and evidence.note == "labels of one class only" for evidence in found.values())

import msgspec
import numpy as np
import pytest
from monitored_world import DAY_US, day, watched
from sklearn.metrics import f1_score

from flyball.monitoring import reference as references
from flyball.monitoring.realised import Weighting, realised
from flyball.records import codec
from flyball.records.signature import Column, ColumnType, Signature
from flyball.stats import metrics


def of_task(task, scores):
    """A reference of which only the task counts here."""
    signature = Signature(
        task=task, classes=("a", "b", "c") if task == "multiclass" else (), columns=(Column(name="x", type=ColumnType.NUMBER),)
    )
    n = len(scores)
    held = references.HoldoutScores(scores, np.zeros(n), np.arange(n) * DAY_US // 10)
    scale = 1.0 if task == "regression" else None
    return references.build(signature, {"x": scores[:, 0]}, np.arange(n) * DAY_US // 10, held, day(0).end - day(0).start, scale)


@pytest.fixture(scope="module")
def binary():
    rng = np.random.default_rng(1)
    scores = rng.beta(1, 2, 500)
    return watched(rng, days=10, n=100), scores[:, None], (rng.random(500) < scores).astype(float)


def test_a_window_has_all_metrics_of_its_task_each_with_an_interval(binary):
    found = realised(*binary, day(0))
    assert set(found) == {"roc_auc", "pr_auc", "log_loss", "brier", "f1", "accuracy"}
    for name, told in found.items():
        assert told.value == pytest.approx(metrics.METRICS[name]("binary", *binary[1:])), name
        assert told.lower < told.value < told.upper
        assert (told.alpha, told.n, told.since) == (0.05, 500, day(0).start)


def test_several_classes_and_numbers_have_theirs():
    rng = np.random.default_rng(2)
    raw = rng.gamma(1.0, size=(400, 3))
    table = raw / raw.sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in table]).astype(float)
    for task, scores, truth in (("multiclass", table, labels), ("regression", raw[:, :1], raw[:, 0] + rng.normal(0, 0.1, 400))):
        found = realised(of_task(task, scores), scores, truth, day(0))
        for name, told in found.items():
            assert told.value == pytest.approx(metrics.METRICS[name](task, scores, truth)), name
            assert told.lower < told.value < told.upper
    assert set(found) == {"mae", "rmse", "mape"}


def test_weights_are_told_of_and_change_what_was_measured(binary):
    reference, scores, labels = binary
    weights = np.where(labels == 1, 4.0, 1.0)
    groups = labels.astype(np.int64)
    plain, sure, unsure = (
        realised(reference, scores, labels, day(0), weighting)
        for weighting in (
            None,
            Weighting(weights, groups, np.zeros(2), "why"),
            Weighting(weights, groups, np.full(2, 0.3), "why"),
        )
    )
    for name in plain:
        assert sure[name].note == "why"
        assert "Hájek" in sure[name].method
        assert sure[name].inputs != plain[name].inputs
        assert unsure[name].value == sure[name].value
    assert sure["accuracy"].value != plain["accuracy"].value
    assert unsure["brier"].upper - unsure["brier"].lower > sure["brier"].upper - sure["brier"].lower


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_smallest_windows_have_values_or_reasons_and_no_warnings(binary, n):
    reference, scores, labels = binary
    found = realised(reference, scores[:n], labels[:n], day(0))
    codec.encode(found)
    assert found["roc_auc"].value is None
    assert "two rows of each class" in found["roc_auc"].note
    assert (found["brier"].lower is None) is (n == 1)


def test_no_rows_are_no_metrics(binary):
    assert realised(binary[0], np.empty((0, 1)), np.empty(0), day(0)) == {}


def test_a_share_of_nothing_is_not_defined():
    scores = np.arange(5.0)[:, None]
    found = realised(of_task("regression", scores), scores, np.array([0.0, 1, 2, 3, 4]), day(0))
    assert "1 of 5 labels are 0" in found["mape"].note
    assert found["mae"].value == 0.0


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_what_a_class_is_needed_for_is_of_the_answers_at_the_units_threshold(binary, threshold):
    reference, scores, labels = binary
    found = realised(msgspec.structs.replace(reference, threshold=threshold), scores, labels, day(0))
    answers = scores[:, 0] >= threshold
    assert found["f1"].value == pytest.approx(f1_score(labels, answers))
    assert found["accuracy"].value == pytest.approx(np.mean(answers == labels))
    plain = realised(reference, scores, labels, day(0))
    for name in ("f1", "accuracy"):
        assert found[name].lower < found[name].value < found[name].upper
        assert found[name].method.endswith(f", positive from {threshold:g} on")
    assert all(found[name] == plain[name] for name in ("roc_auc", "pr_auc", "log_loss", "brier"))

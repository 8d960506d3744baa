import numpy as np
import pytest

from flyball.pipelines.evaluation import (
    UNASKED,
    UNSEEN,
    Answers,
    Holdout,
    compare_all,
    label_scale,
    measure_all,
    not_comparable,
    too_few,
    unasked,
    unseen_rows,
)
from flyball.stats.metrics import METRICS, measure

DAY = 86_400_000_000


def binary(n: int = 1500, days: int = 30, seed: int = 0) -> tuple[Holdout, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    truth = draw.random(n)
    labels = (draw.random(n) < truth).astype(float)
    noise = np.clip(truth + draw.normal(0, 0.25, n), 0.01, 0.99)
    return Holdout("binary", labels, np.sort(draw.integers(0, days * DAY, n))), truth[:, None], noise[:, None]


def three(n: int = 900) -> tuple[Holdout, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    truth = draw.dirichlet(np.ones(3), n)
    labels = np.array([draw.choice(3, p=row) for row in truth], dtype=float)
    return Holdout("multiclass", labels, np.sort(draw.integers(0, 30 * DAY, n))), truth, np.full((n, 3), 1 / 3)


def number(n: int = 900) -> tuple[Holdout, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    truth = draw.normal(100, 10, n)
    return (
        Holdout("regression", truth + draw.normal(0, 2, n), np.sort(draw.integers(0, 30 * DAY, n))),
        truth[:, None],
        np.full((n, 1), 100.0),
    )


CASES = [
    (binary, ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1")),
    (three, ("log_loss", "brier", "accuracy", "f1", "roc_auc")),
    (number, ("mae", "rmse", "mape")),
]


@pytest.mark.parametrize(("make", "metrics"), CASES)
def test_every_metric_lies_in_its_interval_and_is_the_one_of_the_metrics_room(make, metrics: tuple[str, ...]) -> None:
    holdout, good, _ = make()
    for item in measure_all(metrics, holdout, Answers(good), 0.05, 1):
        assert item.value == pytest.approx(METRICS[item.name](holdout.task, good, holdout.labels), abs=1e-9)
        assert item.lower is not None
        assert item.upper is not None
        assert item.lower < item.value < item.upper
        assert (item.alpha, item.n, item.note) == (0.05, holdout.labels.size, "")


@pytest.mark.parametrize(("make", "metrics"), CASES)
def test_the_difference_is_challenger_minus_champion_on_the_same_rows(make, metrics: tuple[str, ...]) -> None:
    holdout, good, bad = make()
    found = {item.name: item for item in compare_all(metrics, holdout, Answers(good), Answers(bad), 0.05, 1)}
    for name in metrics:
        expected = METRICS[name](holdout.task, good, holdout.labels) - METRICS[name](holdout.task, bad, holdout.labels)
        difference = found[f"{name}_difference"]
        assert difference.value == pytest.approx(expected, abs=1e-9)
        assert difference.lower <= difference.value <= difference.upper
        assert found[f"champion_{name}"].value == pytest.approx(METRICS[name](holdout.task, bad, holdout.labels), abs=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "f1"])
def test_answers_are_measured_where_each_model_divides_its_scores(name: str) -> None:
    holdout, good, bad = binary()
    ours, theirs = Answers(good, 0.2), Answers(bad, 0.7)
    (alone,) = measure_all((name,), holdout, ours, 0.05, 1)
    champion, difference = compare_all((name,), holdout, ours, theirs, 0.05, 1)
    assert alone.value == pytest.approx(measure(name, "binary", good, holdout.labels, 0.2), abs=1e-9)
    assert champion.value == pytest.approx(measure(name, "binary", bad, holdout.labels, 0.7), abs=1e-9)
    assert difference.value == pytest.approx(alone.value - champion.value, abs=1e-9)
    assert alone.lower < alone.value < alone.upper
    assert difference.lower < difference.value < difference.upper
    assert alone.method.endswith("draws, positive from 0.2 on")
    assert champion.method == "positive from 0.7 on"
    assert difference.method.endswith("draws, positive from 0.2 on, of the champion from 0.7 on")


def test_f1_is_of_the_same_classes_in_value_interval_and_difference() -> None:
    """Of four classes one never comes; the champion names it all the same, now and then."""
    holdout, good, _ = three()
    named = np.hstack([good, np.zeros((good.shape[0], 1))])
    wrong = named.copy()
    wrong[::9, 3] = 2.0
    (alone,) = measure_all(("f1",), holdout, Answers(named), 0.05, 1)
    assert alone.value == pytest.approx(METRICS["f1"]("multiclass", named, holdout.labels))
    assert alone.lower < alone.value < alone.upper
    assert alone.lower > 0.8 * alone.value
    champion, difference = compare_all(("f1",), holdout, Answers(named), Answers(wrong), 0.05, 1)
    assert difference.value == pytest.approx(alone.value - champion.value)
    assert difference.lower < difference.value < difference.upper


def test_two_areas_are_not_compared_on_a_handful_of_positives() -> None:
    holdout, good, bad = binary(400)
    few = Holdout("binary", (np.arange(400) < 9).astype(float), holdout.event_us)
    (_, item, told) = compare_all(("roc_auc",), few, Answers(good), Answers(bad), 0.05, 1)
    assert item.value is None
    assert "at least 10 rows of each class to compare two areas, found 9 of one" in item.note
    assert (told.name, told.value, told.note) == (too_few("roc_auc"), None, item.note)
    # Average precision is resampled: a class that is drawn away leaves it undefined.
    two = Holdout("binary", (np.arange(400) < 2).astype(float), holdout.event_us)
    told = [
        each
        for each in compare_all(("pr_auc", "log_loss"), two, Answers(good), Answers(bad), 0.05, 1)
        if each.name.endswith("_too_few")
    ]
    assert [each.name for each in told] == ["pr_auc_too_few"]
    assert "undefined on" in told[0].note


def test_a_model_is_as_good_as_itself() -> None:
    holdout, good, _ = binary()
    for item in compare_all(("log_loss", "roc_auc", "f1"), holdout, Answers(good), Answers(good), 0.05, 1):
        if item.name.endswith("_difference"):
            assert (item.value, item.lower, item.upper) == (0.0, 0.0, 0.0)


def test_few_days_are_cut_into_runs_of_neighbours() -> None:
    holdout, good, _ = binary(days=2)
    item = measure_all(("brier",), holdout, Answers(good), 0.05, 1)[0]
    assert "neighbouring rows" in item.method
    assert item.lower < item.value < item.upper


def test_what_cannot_be_measured_says_why() -> None:
    holdout, good, _ = binary()
    one_class = Holdout("binary", np.ones_like(holdout.labels), holdout.event_us)
    item = measure_all(("roc_auc",), one_class, Answers(good), 0.05, 1)[0]
    assert item.value is None
    assert "every class" in item.note
    assert not_comparable(("mae",), "another task")[0].note == "another task"
    assert [each.name for each in unasked(("mae",), "it is gone")] == [UNASKED, "mae_difference"]


@pytest.mark.parametrize(
    ("make", "fitted", "note"),
    [
        (binary, 0.5, ""),
        (number, 0.5, ""),
        (binary, 0.99, "15 are too few to compare on"),
        (number, 1.0, "0 are too few to compare on"),
    ],
)
def test_rows_that_a_champion_was_fitted_on_are_told_apart(make, fitted: float, note: str) -> None:
    holdout = make()[0]
    until = int(np.sort(holdout.event_us)[int(fitted * (holdout.labels.size - 1))])
    new, told = unseen_rows(holdout, until)
    assert told is not None
    assert (told.name, told.value, told.n) == (UNSEEN, new.sum(), holdout.labels.size)
    assert holdout.where(new).event_us.min(initial=until + 1) > until
    assert note in told.note
    assert bool(told.note) is bool(note)
    assert unseen_rows(holdout, int(holdout.event_us.min()) - 1)[1] is None


def test_a_rare_class_leaves_no_comparison_out_and_a_metric_that_needs_it_says_so() -> None:
    event_us = np.arange(400, dtype=np.int64)
    labels = (event_us % 40 == 0).astype(float)  # 10 of the rare class, 9 of them among the newest 399
    holdout = Holdout("binary", labels, event_us)
    new, told = unseen_rows(holdout, 0)
    assert told is not None
    assert (told.value, told.note, labels[new].sum()) == (399.0, "", 9)
    of_one = Holdout("binary", np.zeros(200), event_us[:200])
    found = {
        item.name: item
        for item in compare_all(
            ("brier", "roc_auc"), of_one, Answers(np.full((200, 1), 0.3)), Answers(np.full((200, 1), 0.2)), 0.05, 1
        )
    }
    assert found["brier_difference"].lower is not None
    assert "needs rows of every class" in found["roc_auc_difference"].note


def test_the_interval_of_a_difference_misses_as_often_as_it_says() -> None:
    """100 repetitions at 10 %: 10 expected, more than 20 have a chance below 1 in 1,000 for an exact interval; thirty blocks make it slightly short."""
    missed = 0
    for seed in range(100):
        holdout, good, bad = binary(600, seed=seed)
        other = bad
        item = compare_all(("brier",), holdout, Answers(good), Answers(other), 0.1, 1)[1]
        truth = -float(((other - good) ** 2).mean())  # scores are the true probabilities: E(p−y)² − E(t−y)² = E(p−t)²
        missed += not item.lower <= truth <= item.upper
    assert missed <= 20


def test_the_scale_of_a_loss_is_the_far_end_of_the_labels() -> None:
    labels = np.concatenate([np.zeros(50), np.linspace(-10, 10, 1001)])
    assert label_scale("regression", labels) == pytest.approx(9.9, abs=0.2)
    assert label_scale("regression", np.zeros(100)) == 1.0
    assert label_scale("binary", np.zeros(3)) == 1.0

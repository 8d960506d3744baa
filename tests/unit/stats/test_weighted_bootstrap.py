import doctest

import numpy as np
import pytest

from flyball.stats import weighted_bootstrap as module
from flyball.stats.weighted_bootstrap import bootstrap_interval
from flyball.stats.weighted_metrics import rows_of

ALPHA = 0.1


def median_error(scores, labels):
    return float(np.median(np.abs(scores[:, 0] - labels)))


def bias(scores, labels):
    return float((scores[:, 0] - labels).mean())


def test_the_interval_covers_as_often_as_it_claims_though_rows_were_seen_unequally():
    rng = np.random.default_rng(1)
    missed = 0
    for seed in range(150):
        labels = rng.normal(size=400)
        scores = labels + 0.5 * (labels > 0) + rng.normal(0, 0.3, 400)
        chance = np.where(labels > 0, 0.3, 0.9)
        seen = rng.random(400) < chance
        rows = rows_of("regression", scores[seen], labels[seen], 1.0 / chance[seen])
        told = bootstrap_interval(bias, rows, alpha=ALPHA, seed=seed, n_resamples=150)
        missed += not told.lower <= 0.25 <= told.upper
    # three standard errors of 150 draws above the claim
    assert missed / 150 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 150) ** 0.5


def test_a_weight_is_so_many_rows():
    scores, labels = np.array([0.0, 1.0, 2.0]), np.zeros(3)
    rows = rows_of("regression", scores, labels, [8.0, 1.0, 1.0])
    assert bootstrap_interval(median_error, rows, alpha=0.05, seed=0).value == 0.0


def test_the_same_seed_gives_the_same_answer_and_another_another():
    rng = np.random.default_rng(2)
    rows = rows_of("regression", rng.random(50), rng.random(50))
    one, again, other = (bootstrap_interval(median_error, rows, alpha=0.05, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.value == other.value
    assert one != other


def undefined(scores, labels):
    return float("nan")


def of_both_classes(scores, labels):
    return 0.5 if np.unique(labels).size == 2 else float("nan")


def dividing(scores, labels):
    return 1 / 0


def test_a_metric_that_is_no_number_is_refused_and_what_it_raises_passes():
    rows = rows_of("regression", [0.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="finite number"):
        bootstrap_interval(undefined, rows, alpha=0.05, seed=0)
    with pytest.raises(ZeroDivisionError):
        bootstrap_interval(dividing, rows, alpha=0.05, seed=0)


def test_a_metric_that_resamples_do_not_define_is_refused():
    with pytest.raises(ValueError, match="of 200 resamples"):
        bootstrap_interval(of_both_classes, rows_of("binary", [0.1, 0.9], [0, 1]), alpha=0.05, seed=0)


def test_a_sum_keeps_its_scale_in_resamples_of_rows_that_count_as_fewer():
    rng = np.random.default_rng(4)
    labels = rng.normal(3.0, 1.0, 400)
    rows = rows_of("regression", labels, labels, np.where(np.arange(400) % 10 == 0, 20.0, 1.0))
    told = bootstrap_interval(lambda _, labels: float(labels.sum()), rows, alpha=0.05, seed=0)
    mean = bootstrap_interval(lambda _, labels: float(labels.mean()), rows, alpha=0.05, seed=0)
    assert told == pytest.approx([400 * end for end in mean])
    assert told.lower < told.value < told.upper
    assert told.upper - told.lower < 0.2 * told.value


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == 0

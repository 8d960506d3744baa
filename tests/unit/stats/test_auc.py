import doctest

import numpy as np
import pytest

from flyball.stats import auc
from flyball.stats.auc import roc_auc_difference, roc_auc_interval
from flyball.stats.metrics import METRICS

ALPHA = 0.1


def drawn(rng, n, shift):
    labels = (rng.random(n) < 0.3).astype(int)
    return labels, rng.normal(labels * shift)


def true_area(shift):
    from statistics import NormalDist

    return NormalDist().cdf(shift / 2**0.5)


def test_the_area_is_scikit_learns_also_with_ties():
    rng = np.random.default_rng(0)
    labels, scores = drawn(rng, 500, 1.0)
    ties = np.round(scores, 1)
    assert roc_auc_interval(labels, ties, 0.05).value == pytest.approx(METRICS["roc_auc"]("binary", ties[:, None], labels))


@pytest.mark.parametrize("shift", [0.0, 0.7, 2.5])
def test_the_interval_covers_as_often_as_it_claims(shift):
    rng = np.random.default_rng(1)
    missed = sum(
        not (i := roc_auc_interval(*drawn(rng, 300, shift), ALPHA)).lower <= true_area(shift) <= i.upper for _ in range(600)
    )
    # three standard errors of 600 draws above the claim
    assert missed / 600 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 600) ** 0.5


@pytest.mark.parametrize("shift", [0.7, 1.5, 2.5])
@pytest.mark.parametrize(("positives", "rows"), [(2, 100), (5, 300), (10, 1_000), (20, 3_000)])
def test_the_interval_misses_as_rarely_as_it_claims_on_few_positives(positives, rows, shift):
    rng, alpha, draws = np.random.default_rng(7), 0.05, 600
    labels = (np.arange(rows) < positives).astype(int)
    missed = 0
    for _ in range(draws):
        i = roc_auc_interval(labels, rng.normal(labels * shift), alpha)
        missed += not i.lower <= true_area(shift) <= i.upper
    assert missed / draws <= alpha + 3 * (alpha * (1 - alpha) / draws) ** 0.5


def test_the_difference_of_equally_good_models_is_found_as_rarely_as_claimed():
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(600):
        labels, common = drawn(rng, 300, 1.0)
        a, b = common + rng.normal(0, 0.5, 300), common + rng.normal(0, 0.5, 300)
        i = roc_auc_difference(labels, a, b, ALPHA)
        missed += not i.lower <= 0.0 <= i.upper
    assert missed / 600 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 600) ** 0.5


@pytest.mark.parametrize(("positives", "rows"), [(10, 200), (15, 100), (30, 3000)])
def test_the_difference_misses_as_rarely_as_claimed_on_few_positives(positives, rows):
    rng = np.random.default_rng(6)
    labels = (np.arange(rows) < positives).astype(int)
    missed = 0
    for _ in range(600):
        common = rng.normal(labels * 1.0)
        i = roc_auc_difference(labels, common + rng.normal(0, 0.5, rows), common + rng.normal(0, 0.5, rows), ALPHA)
        missed += not i.lower <= 0.0 <= i.upper
    assert missed / 600 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 600) ** 0.5


def test_rows_that_all_agree_still_admit_doubt():
    """Ten positives that all gain alike show no variance: of so many, a quarter of their kind may gain nothing."""
    labels = [1] * 10 + [0] * 40
    a, b = [0.0] * 10 + [1.0] * 40, [2.0] * 10 + [1.0] * 40
    i = roc_auc_difference(labels, a, b, 0.05)
    assert (i.value, i.upper) == (1.0, 1.0)
    assert i.lower == pytest.approx(0.025 ** (1 / 10))
    alike = roc_auc_difference(labels, b, [3.0] * 10 + [1.0] * 40, 0.05)
    assert alike.upper == -alike.lower == pytest.approx(1 - 0.025 ** (1 / 10))
    constant = roc_auc_interval(labels, [0.5] * 50, 0.05)
    assert constant.upper - constant.lower > 0.4
    assert roc_auc_difference(labels, b, b, 0.05) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="at least 10 rows of each class"):
        roc_auc_difference(labels[1:], a[1:], b[1:], 0.05)


def test_pairing_makes_the_difference_narrower_than_two_intervals():
    rng = np.random.default_rng(3)
    labels, a = drawn(rng, 2000, 1.0)
    b = a + rng.normal(0, 0.1, 2000)
    paired, alone = roc_auc_difference(labels, a, b, 0.05), roc_auc_interval(labels, a, 0.05)
    assert paired.upper - paired.lower < 0.3 * (alone.upper - alone.lower)


def test_the_better_model_has_the_positive_difference():
    rng = np.random.default_rng(4)
    labels, good = drawn(rng, 2000, 2.0)
    assert roc_auc_difference(labels, rng.normal(size=2000), good, 0.05).lower > 0.2


def test_perfect_order_still_admits_doubt():
    i = roc_auc_interval([0] * 50 + [1] * 5, np.arange(55), 0.05)
    assert i.value == 1.0
    assert 0.4 < i.lower < 0.6
    assert roc_auc_interval([1] * 50 + [0] * 5, np.arange(55), 0.05).upper == pytest.approx(1 - i.lower)


def test_two_hundred_thousand_rows_take_moments_and_not_minutes():
    rng = np.random.default_rng(5)
    labels, scores = drawn(rng, 200_000, 1.0)
    i = roc_auc_interval(labels, scores, 0.05)
    assert i.upper - i.lower < 0.01


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [([1, 1, 0], [1, 2, 3], "two rows"), ([0, 0, 2, 1], [1, 2, 3, 4], "0 and 1"), ([0, 0, 1, 1], [1, 2, 3], "finite score")],
)
def test_what_cannot_be_judged_is_refused(labels, scores, words):
    with pytest.raises(ValueError, match=words):
        roc_auc_interval(labels, scores, 0.05)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(auc)[0] == 0

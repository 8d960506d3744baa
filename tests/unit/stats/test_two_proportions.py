"""Coverage of the difference of two rates at all looks together, and how many rows a decision takes, by simulation with fixed seeds."""

import doctest
import math
from statistics import NormalDist

import numpy as np
import pytest

from flyball.stats import two_proportions
from flyball.stats.sequences import rate_sequence
from flyball.stats.two_proportions import rate_difference

PATHS = 80
ALPHA = 0.1


def missed(rng, counts_a, counts_b, truth, ratio):
    """Whether any look misses: counts after each row of each arm, the second `ratio` times as fast as the first."""
    for n in np.unique(np.geomspace(5, counts_a.size, 9).astype(int)):
        m = max(int(n * ratio), 1)
        interval = rate_difference(int(counts_a[n - 1]), int(n), int(counts_b[m - 1]), m, ALPHA)
        if not interval.lower <= truth <= interval.upper:
            return True
    return False


@pytest.mark.parametrize(
    ("rate", "other", "ratio"), [(0.01, 0.03, 0.5), (0.05, 0.05, 0.05), (0.5, 0.4, 1.0), (0.0, 0.0, 0.1), (0.97, 0.99, 0.3)]
)
def test_the_difference_is_covered_at_all_looks_together(rate, other, ratio):
    rng = np.random.default_rng(7)
    misses = sum(
        missed(rng, np.cumsum(rng.random(2000) < rate), np.cumsum(rng.random(2000) < other), other - rate, ratio)
        for _ in range(PATHS)
    )
    assert misses / PATHS <= ALPHA


def test_outages_do_not_break_the_coverage():
    """Failures come in outages of 50 rows, of each arm its own. The truth is the difference of the averages of conditional rates."""
    rng, misses = np.random.default_rng(8), 0
    for _ in range(PATHS):
        out = np.repeat(rng.random((2, 40)) < 0.05, 50, axis=1)
        conditional = np.where(np.arange(2000) % 50 == 0, 0.05, out)
        count, truth = np.cumsum(out, axis=1), np.cumsum(conditional[1] - conditional[0])
        intervals = [(n, rate_difference(int(count[0, n - 1]), n, int(count[1, n - 1]), n, ALPHA)) for n in range(25, 2001, 225)]
        misses += any(not i.lower <= truth[n - 1] / n <= i.upper for n, i in intervals)
    assert misses / PATHS <= ALPHA


@pytest.mark.parametrize(
    ("count", "n", "other_count", "other_n"),
    [
        (50, 1000, 70, 1000),
        (500, 10000, 700, 10000),
        (20, 10000, 40, 10000),
        (500, 1000, 520, 1000),
        (0, 500, 500, 500),
    ],
)
def test_it_is_narrower_than_two_intervals_with_half_the_error_rate_each(count, n, other_count, other_n):
    first, second = rate_sequence(count, n, 0.025), rate_sequence(other_count, other_n, 0.025)
    joint = rate_difference(count, n, other_count, other_n, 0.05)
    assert joint.lower > second.lower - first.upper
    assert joint.upper < min(second.upper - first.lower, 1.0) + 1e-12


def test_with_a_canary_of_five_percent_it_is_no_wider_than_two_intervals():
    first, second = rate_sequence(50_000, 1_000_000, 0.025), rate_sequence(3500, 50_000, 0.025)
    joint = rate_difference(50_000, 1_000_000, 3500, 50_000, 0.05)
    assert joint.upper - joint.lower < second.upper - first.lower - (second.lower - first.upper)


def test_two_percent_more_errors_take_at_most_a_fixed_sample_and_six_tenths():
    """5 % → 7 % against a margin of 0: the median of rows to the decision, beside a test for one look with the same one-sided error rate and power 95 %."""
    rng, step = np.random.default_rng(9), 360
    variance, quantile = 0.05 * 0.95 + 0.07 * 0.93, NormalDist().inv_cdf
    fixed = (quantile(0.975) + quantile(0.95)) ** 2 * variance / 0.02**2
    taken = []
    for _ in range(25):
        a, b = np.cumsum(rng.binomial(step, 0.05, 50)), np.cumsum(rng.binomial(step, 0.07, 50))
        looks = (k for k in range(1, 51) if rate_difference(int(a[k - 1]), k * step, int(b[k - 1]), k * step, 0.05).lower > 0)
        taken.append(next(looks, math.inf) * step)
    assert np.median(taken) < 1.6 * fixed
    assert np.isfinite(taken).all()


def test_a_unit_that_always_fails_is_known_within_a_few_dozen_rows():
    assert rate_difference(0, 40, 40, 40, 0.01).lower > 0.01


def test_a_canary_of_a_few_rows_says_next_to_nothing():
    interval = rate_difference(0, 20, 0, 1, 0.05)
    assert interval.lower < -0.2
    assert interval.upper == 1.0


@pytest.mark.parametrize(
    ("ratio", "rate", "other"), [(1e3, 0.01, 0.03), (1e3, 0.3, 0.2), (1e6, 0.01, 0.03), (1e6, 0.0001, 0.0001)]
)
def test_an_arm_with_a_thousand_or_a_million_times_the_rows_of_the_other_is_judged_as_well(ratio, rate, other):
    """A shadow that scores a small share of the keys. Harm is found, the truth is covered at all looks together, and every end is a number."""
    rng, misses, found = np.random.default_rng(11), 0, []
    looks = np.unique(np.geomspace(5, 3000, 9).astype(int))
    for _ in range(PATHS // 2):
        steps = np.diff(looks, prepend=0)
        few = np.cumsum(rng.binomial(steps, other))
        many = np.cumsum(rng.binomial((steps * ratio).astype(np.int64), rate))
        intervals = [
            rate_difference(int(a), int(n * ratio), int(b), int(n), ALPHA) for a, b, n in zip(many, few, looks, strict=True)
        ]
        assert np.isfinite([(each.mean, each.lower, each.upper) for each in intervals]).all()
        misses += any(not each.lower <= other - rate <= each.upper for each in intervals)
        found.append(intervals[-1])
    assert misses / (PATHS // 2) <= ALPHA
    width = np.median([each.upper - each.lower for each in found])
    assert width < 12.0 * math.sqrt(other * (1.0 - other) / 3000) + 0.01, "it is as narrow as the smaller arm lets it be"


def test_one_row_beside_a_million_failures_says_next_to_nothing():
    interval = rate_difference(2_000_000, 4_000_000, 1, 1, 0.05)
    assert (interval.lower, interval.upper) == pytest.approx((-0.5, 0.5), abs=0.05)
    assert interval.lower < 0.0 <= interval.upper


def test_turning_the_arms_turns_the_interval():
    there, back = rate_difference(5, 300, 20, 200, 0.05), rate_difference(20, 200, 5, 300, 0.05)
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower), abs=1e-12)


def test_without_rows_in_both_arms_the_whole_range_is_possible():
    assert rate_difference(0, 0, 0, 10, 0.05) == (0.0, -1.0, 1.0, 0)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="between 0 and 3"):
        rate_difference(1, 3, 4, 3, 0.05)


def test_the_examples_in_the_docstring_run():
    assert doctest.testmod(two_proportions)[0] == 0

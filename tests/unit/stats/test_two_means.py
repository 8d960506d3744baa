"""Coverage within blocks at all looks together, by simulation with fixed seeds: whatever the shares, the tide and the dependence."""

import doctest
import math
from statistics import NormalDist

import numpy as np
import pytest

from flyball.stats import two_means
from flyball.stats.sequences import mean_sequence
from flyball.stats.two_means import difference_of_averages, mean_difference, rate_difference_in_blocks
from flyball.stats.two_proportions import rate_difference

PATHS = 100
ALPHA = 0.1


def rows_of(rng, block_sizes, draw, gap=0.0):
    """Values, arms and blocks: `draw(rng, rows, block)` gives the rows of either arm, the second lies `gap` higher, and both are shuffled together."""
    values, arms, blocks = [], [], []
    for i, (a, b) in enumerate(block_sizes):
        x, arm = np.concatenate([draw(rng, a, i), draw(rng, b, i) + gap]), np.repeat([False, True], [a, b])
        order = rng.permutation(a + b)
        values.append(x[order])
        arms.append(arm[order])
        blocks.append(np.full(a + b, i))
    return np.concatenate(values), np.concatenate(arms), np.concatenate(blocks)


def test_a_growing_canary_in_a_worsening_hour_is_not_blamed_for_the_hour():
    """Simpson: the rate of errors rises from 2 % to 30 % for both arms while the canary grows from 5 % to 50 %."""
    rng, blamed, missed = np.random.default_rng(1), 0, 0
    rates, shares = np.linspace(0.02, 0.3, 40), np.repeat([0.05, 0.2, 0.35, 0.5], 10)
    for _ in range(PATHS):
        b = (200 * shares).astype(int)
        table = np.stack([200 - b, rng.binomial(200 - b, rates), b, rng.binomial(b, rates)], axis=1)
        intervals = [rate_difference_in_blocks(table[:k], ALPHA) for k in range(2, 41, 2)]
        missed += any(not i.lower <= 0.0 <= i.upper for i in intervals)
        pooled = table.sum(axis=0)
        blamed += rate_difference(int(pooled[1]), int(pooled[0]), int(pooled[3]), int(pooled[2]), ALPHA).lower > 0.0
    assert missed / PATHS <= ALPHA
    assert blamed / PATHS > 0.5  # what the blocks are for


@pytest.mark.parametrize("rate", [0.002, 0.1, 0.6])
def test_counts_in_blocks_of_unequal_sizes_are_covered_at_all_looks_together(rate):
    rng, missed = np.random.default_rng(2), 0
    for _ in range(PATHS):
        a, b = rng.integers(0, 400, 40), rng.integers(0, 40, 40)
        table = np.stack([a, rng.binomial(a, rate), b, rng.binomial(b, rate)], axis=1)
        intervals = [rate_difference_in_blocks(table[:k], ALPHA) for k in range(1, 41, 3)]
        missed += any(not i.lower <= 0.0 <= i.upper for i in intervals)
    assert missed / PATHS <= ALPHA


def brier(rng, rows, _):
    return rng.beta(1, 5, rows)


def zero_inflated(rng, rows, _):
    return np.where(rng.random(rows) < 0.02, rng.random(rows), 0.0)


def outages(_, rows, block):
    return np.full(rows, float(block % 7 == 3))


def close(rng, rows, _):
    return np.clip(rng.normal(0.3, 0.05, rows), 0, 1)


LAWS = {
    "brier": (brier, 0.0),
    "shifted": (lambda rng, rows, _: rng.beta(2, 8, rows) * 0.9, 0.1),
    "zero-inflated": (zero_inflated, 0.0),
    "outages": (outages, 0.0),
}


@pytest.mark.parametrize("law", LAWS)
def test_rows_are_covered_at_all_looks_together(law):
    draw, gap = LAWS[law]
    rng, missed = np.random.default_rng(3), 0
    sizes = [(38, 2), (30, 10), (20, 20), (5, 0), (40, 5), (0, 3), (12, 9), (50, 10)] * 3
    for _ in range(PATHS):
        x, arm, block = rows_of(rng, sizes, draw, gap)
        intervals = [mean_difference(x[block < k], arm[block < k], block[block < k], ALPHA, 0.0, 1.0) for k in range(1, 25, 3)]
        missed += any(not i.lower <= gap <= i.upper for i in intervals)
    assert missed / PATHS <= ALPHA


def test_an_adversary_who_answers_to_what_was_seen_is_covered():
    """Both arms' next rate runs away from the difference seen so far; the truth is the weighted average of what was drawn from."""
    rng, missed = np.random.default_rng(4), 0
    for _ in range(PATHS):
        table, truths, miss = [], [], False
        for k in range(20):
            ahead = rate_difference_in_blocks(table, ALPHA).mean if table else 0.0
            p, d = 0.3 + 0.2 * (k % 2), -0.1 * np.sign(ahead)
            table.append([60, rng.binomial(60, p), 20, rng.binomial(20, p + d)])
            truths.append(d)
            interval = rate_difference_in_blocks(table, ALPHA)
            miss = miss or not interval.lower <= np.mean(truths) <= interval.upper
        missed += miss
    assert missed / PATHS <= ALPHA


@pytest.mark.parametrize(("share", "seed"), [(0.5, 5), (0.05, 6)])
def test_two_percent_more_errors_take_about_a_fixed_sample(share, seed):
    """5 % → 7 % against a margin of 1 %: median rows to the decision, beside a test for one look at the same one-sided error rate and power 95 %."""
    rng, quantile = np.random.default_rng(seed), NormalDist().inv_cdf
    variance = 0.05 * 0.95 / (1 - share) + 0.07 * 0.93 / share
    fixed = (quantile(0.975) + quantile(0.95)) ** 2 * variance / 0.01**2
    a, b = round(fixed / 20 * (1 - share)), round(fixed / 20 * share)
    taken = []
    for _ in range(60):
        table = np.stack([np.full(80, a), rng.binomial(a, 0.05, 80), np.full(80, b), rng.binomial(b, 0.07, 80)], axis=1)
        decided = next((k for k in range(1, 81) if rate_difference_in_blocks(table[:k], 0.05).lower > 0.01), math.inf)
        taken.append(decided * (a + b) / fixed)
    assert np.median(taken) < 1.2
    assert np.isfinite(taken).mean() >= 0.95


@pytest.mark.parametrize("law", ["brier", "zero-inflated"])
def test_averages_of_each_arm_are_covered_at_all_looks_together(law):
    draw, _ = LAWS[law]
    rng, missed = np.random.default_rng(10), 0
    for _ in range(PATHS):
        a, b = draw(rng, 800, 0), draw(rng, 160, 0)
        intervals = [difference_of_averages(a[: 5 * n], b[:n], ALPHA, 0.0, 1.0) for n in (2, 5, 12, 30, 70, 160)]
        missed += any(not i.lower <= 0.0 <= i.upper for i in intervals)
    assert missed / PATHS <= ALPHA


def test_blocks_know_more_than_averages_and_those_more_than_two_intervals():
    rng = np.random.default_rng(11)
    x, arm, block = rows_of(rng, [(90, 30)] * 20, brier)
    blocks = mean_difference(x, arm, block, 0.05, 0.0, 1.0)
    joint = difference_of_averages(x[~arm], x[arm], 0.05, 0.0, 1.0)
    first, second = mean_sequence(x[~arm], 0.025, 0.0, 1.0), mean_sequence(x[arm], 0.025, 0.0, 1.0)
    apart = second.upper - second.lower + first.upper - first.lower
    assert blocks.upper - blocks.lower < joint.upper - joint.lower < 0.9 * apart


def test_rows_that_vary_little_within_their_range_are_known_better_than_their_counts_would_be():
    rng = np.random.default_rng(7)
    x, arm, block = rows_of(rng, [(100, 100)] * 20, close)
    interval = mean_difference(x, arm, block, 0.05, 0.0, 1.0)
    assert (interval.upper - interval.lower) / 2 < 2.2 * 1.96 * 0.05 * math.sqrt(2 / 2000)


def test_counts_and_their_rows_agree():
    rng = np.random.default_rng(8)
    x, arm, block = rows_of(rng, [(90, 10)] * 30, lambda rng, rows, _: (rng.random(rows) < 0.1).astype(float))
    table = [
        [sum((block == k) & ~arm), x[(block == k) & ~arm].sum(), sum((block == k) & arm), x[(block == k) & arm].sum()]
        for k in range(30)
    ]
    rows, counts = mean_difference(x, arm, block, 0.05, 0.0, 1.0), rate_difference_in_blocks(table, 0.05)
    assert counts.mean == pytest.approx(rows.mean)
    assert (counts.lower, counts.upper) == pytest.approx((rows.lower, rows.upper), abs=0.01)


def test_the_scale_of_the_range_does_not_matter_and_turning_the_arms_turns_the_interval():
    rng = np.random.default_rng(9)
    x, arm, block = rows_of(rng, [(40, 10)] * 10, brier)
    unit, wide = mean_difference(x, arm, block, 0.05, 0, 1), mean_difference(100 * x - 50, arm, block, 0.05, -50, 50)
    assert (wide.lower / 100, wide.upper / 100) == pytest.approx((unit.lower, unit.upper), abs=1e-9)
    back = mean_difference(x, ~arm, block, 0.05, 0, 1)
    assert (-back.upper, -back.lower) == pytest.approx((unit.lower, unit.upper), abs=1e-9)


def test_a_block_without_both_arms_waits_for_the_next():
    joined = rate_difference_in_blocks([[50, 2, 0, 0], [50, 3, 10, 1], [0, 0, 5, 5]], 0.05)
    assert joined == rate_difference_in_blocks([[100, 5, 10, 1]], 0.05)
    assert joined.n == 110


def test_nothing_seen_says_the_whole_range():
    assert rate_difference_in_blocks([], 0.05) == (0.0, -1.0, 1.0, 0)
    assert rate_difference_in_blocks([[50, 2, 0, 0]], 0.05) == (0.0, -1.0, 1.0, 0)
    assert difference_of_averages([], [1.0], 0.05, 0.0, 2.0) == (0.0, -2.0, 2.0, 0)
    assert mean_difference([], [], [], 0.05, 0.0, 2.0) == (0.0, -2.0, 2.0, 0)


@pytest.mark.parametrize("blocks", [[[5, 6, 5, 1]], [[5, 1, 5, -1]]])
def test_impossible_counts_are_refused(blocks):
    with pytest.raises(ValueError, match="between 0 and its rows"):
        rate_difference_in_blocks(blocks, 0.05)


def test_rows_out_of_order_or_range_are_refused():
    with pytest.raises(ValueError, match="ascending"):
        mean_difference([0.1, 0.2], [False, True], [1, 0], 0.05, 0.0, 1.0)
    with pytest.raises(ValueError, match="an arm and a block"):
        mean_difference([0.1, 0.2], [False], [0, 0], 0.05, 0.0, 1.0)
    with pytest.raises(ValueError, match="found"):
        mean_difference([0.1, 2.0], [False, True], [0, 0], 0.05, 0.0, 1.0)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(two_means)[0] == 0

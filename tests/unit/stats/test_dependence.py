import doctest

import numpy as np
import pytest
from stationary_series import ar1

from flyball.stats import dependence
from flyball.stats.dependence import autocorrelation_time, block_differences, block_length, block_means, key_means
from flyball.stats.quantile_sequences import quantile_difference
from flyball.stats.sequences import mean_path, mean_sequence
from flyball.stats.two_means import difference_of_averages, mean_difference

SERIES, ALPHA = 60, 0.1
LOOKS = (50, 200, 600, 1500)


def uniform_ar1(rng, n):
    """In [0, 1], uniform in the long run, an AR(1) of 0.8 underneath."""
    from scipy.special import ndtr

    return ndtr(ar1(rng, n, 0.8))


def leaves(intervals, truth=0.0):
    return any(not interval.lower <= truth <= interval.upper for interval in intervals)


@pytest.mark.parametrize(("phi", "expected"), [(0.0, 1.0), (0.3, 1.86), (0.8, 9.0)])
def test_the_autocorrelation_time_of_an_ar1_is_found(phi, expected):
    rng = np.random.default_rng(51)
    found = [dependence.autocorrelation_time(ar1(rng, 2000, phi)) for _ in range(40)]
    assert np.median(found) == pytest.approx(expected, rel=0.15)


def test_independent_values_are_their_own_blocks():
    rng = np.random.default_rng(52)
    found = [dependence.block_length(rng.random(1000) < 0.1) for _ in range(40)]
    assert np.median(found) <= 2


def test_neighbouring_blocks_hardly_correlate():
    rng = np.random.default_rng(53)
    series = ar1(rng, 60_000, 0.8)
    size = dependence.block_length(series[:1000])
    means = series[: series.size // size * size].reshape(-1, size).mean(axis=1)
    assert abs(np.corrcoef(means[1:], means[:-1])[0, 1]) < 0.1


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0], [5.0] * 50])
def test_a_short_or_constant_series_is_taken_as_independent(values):
    assert dependence.autocorrelation_time(values) == 1.0


def test_the_long_run_mean_of_a_dependent_series_is_lost_by_rows_and_kept_by_blocks():
    rng, rows, blocks = np.random.default_rng(54), 0, 0
    for _ in range(SERIES):
        series = uniform_ar1(rng, 2000)
        length = block_length(series[:500])
        for kept in (False, True):
            path = mean_path(block_means(series[500:], length) if kept else series[500:], ALPHA, 0.0, 1.0)
            missed = bool(np.any((path.lower > 0.5) | (path.upper < 0.5)))
            rows, blocks = rows + (missed and not kept), blocks + (missed and kept)
    assert rows / SERIES > 0.5
    assert blocks / SERIES <= ALPHA


def test_arms_drawn_row_by_row_from_one_dependent_series_need_nothing():
    rng, means, averages, medians = np.random.default_rng(55), 0, 0, 0
    for _ in range(SERIES):
        x, arm, block = uniform_ar1(rng, 1500), rng.random(1500) < 0.3, np.arange(1500) // 50
        means += leaves(mean_difference(x[:n], arm[:n], block[:n], ALPHA, 0.0, 1.0) for n in LOOKS)
        averages += leaves(difference_of_averages(x[:n][~arm[:n]], x[:n][arm[:n]], ALPHA, 0.0, 1.0) for n in LOOKS)
        medians += leaves(quantile_difference(x[:n][~arm[:n]], x[:n][arm[:n]], 0.5, ALPHA) for n in LOOKS)
    assert max(means, averages, medians) / SERIES <= ALPHA


def test_arms_with_a_dependent_series_each_lose_the_guarantee_and_blocks_of_time_restore_it():
    rng, rows, blocks = np.random.default_rng(56), 0, 0
    for _ in range(SERIES):
        x = np.stack([uniform_ar1(rng, 3000), uniform_ar1(rng, 3000)], axis=1).reshape(-1)
        arm, block = np.tile([False, True], 3000), np.arange(6000) // 120
        rows += leaves(mean_difference(x[: 2 * n], arm[: 2 * n], block[: 2 * n], ALPHA, 0.0, 1.0) for n in LOOKS)
        differences = block_differences(x, arm, block)
        blocks += leaves(mean_sequence(differences[:n], ALPHA, -1.0, 1.0) for n in (5, 12, 25, 50))
    assert rows / SERIES > 0.3
    assert blocks / SERIES <= ALPHA


def test_short_blocks_show_that_they_are_too_short():
    x = uniform_ar1(np.random.default_rng(57), 20_000)
    assert autocorrelation_time(block_means(x, 2)) > 3.0
    assert autocorrelation_time(block_means(x, 65)) < 1.5


def test_busy_keys_lose_the_guarantee_and_one_mean_a_key_keeps_it():
    """Forty rows of each of 60 keys, which differ; an arm for each key."""
    rng, rows, keys = np.random.default_rng(58), 0, 0
    for _ in range(SERIES):
        key = rng.permutation(np.repeat(np.arange(60), 40))
        second, level = rng.permutation(np.repeat([False, True], 30)), rng.random(60)
        x = np.clip(level[key] + rng.normal(0, 0.05, key.size), 0.0, 1.0)
        arm, block = second[key], np.arange(key.size) // 100
        rows += leaves([mean_difference(x, arm, block, ALPHA, 0.0, 1.0)])
        means, at = key_means(x, key, 10)
        keys += leaves(
            difference_of_averages(means[:n][~arm[at[:n]]], means[:n][arm[at[:n]]], ALPHA, 0.0, 1.0) for n in (20, 40, 60)
        )
    assert rows / SERIES > 0.3
    assert keys / SERIES <= ALPHA


def test_a_block_without_both_arms_says_nothing():
    assert block_differences([1.0, 2.0], [True, True], [0, 1]).size == 0
    assert block_differences([], [], []).size == 0
    assert key_means([1.0, 2.0], ["a", "b"], 2)[0].size == 0


def test_impossible_blocks_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        block_means([1.0], 0)
    with pytest.raises(ValueError, match="at least 1"):
        key_means([1.0], ["a"], 0)
    with pytest.raises(ValueError, match="an arm and a block"):
        block_differences([1.0], [], [0])


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(dependence)[0] == 0

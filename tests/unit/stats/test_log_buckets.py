"""Numbers in buckets of equal relative width."""

import doctest

import numpy as np
import pytest

from flyball.stats import log_buckets


def test_a_value_is_known_to_two_and_a_half_percent_and_order_is_kept():
    rng = np.random.default_rng(1)
    values = np.sort(np.concatenate([rng.normal(size=500) * 10.0 ** rng.uniform(-30, 30, 500), [0.0, 1e-45, np.inf, -np.inf]]))
    buckets = log_buckets.bucket_of(values)
    assert np.all(np.diff(buckets) >= 0)
    positive = values[(values > 1e-30) & np.isfinite(values)]
    edges = 2.0 ** ((log_buckets.bucket_of(positive) - log_buckets.ZERO_AT) / log_buckets.PER_DOUBLING)
    assert np.all((positive / edges > 1 - 1e-6) & (positive / edges < 1.022))


def test_a_sum_of_counts_is_the_count_of_all():
    values = np.random.default_rng(2).lognormal(size=300)
    parts = [log_buckets.counted(part) for part in np.array_split(values, 4)]
    together = {bucket: sum(part.get(bucket, 0) for part in parts) for bucket in {b for part in parts for b in part}}
    assert dict(sorted(together.items())) == log_buckets.counted(values)


@pytest.mark.parametrize("n", [50, 500])
def test_distance_of_a_sample_stays_below_smirnovs_bound(n):
    rng, far = np.random.default_rng(3), []
    for _ in range(300):
        seen = log_buckets.counted(rng.lognormal(size=n))
        far.append(log_buckets.distance(list(seen), list(seen.values()), rng.lognormal(size=2000)))
    bound = np.sqrt(-np.log(0.05 / 2) / 2) * np.sqrt(1 / n + 1 / 2000)
    assert np.mean(np.asarray(far) > bound) <= 0.05


def test_of_joined_buckets_the_distance_is_the_least_that_they_may_mean():
    rng = np.random.default_rng(4)
    for _ in range(20):
        values, expected = rng.normal(2.0, 3.0, 200), rng.normal(2.5, 3.0, 50)
        places, wanted = log_buckets.bucket_of(values), log_buckets.bucket_of(expected)
        at = np.unique(np.concatenate([places, wanted]))[:, None] + np.arange(-1, 2)
        seen, later, earlier = ((of <= at[..., None]).mean(axis=-1) for of in (places, wanted + 1, wanted - 1))
        now = log_buckets.counted(values)
        apart = log_buckets.distance(list(now), list(now.values()), expected)
        assert apart == pytest.approx(max((seen - earlier).max(), (later - seen).max()))
        for most in (100, 50, 20):
            joined, level = log_buckets.merged([(now, 0)], most)
            assert 0.0 <= log_buckets.distance(list(joined), list(joined.values()), expected, level) <= apart


def test_nothing_is_at_no_distance():
    assert log_buckets.distance([], [], [1.0]) == 0.0
    assert log_buckets.distance([5000], [3], []) == 0.0


def test_the_examples_run():
    assert doctest.testmod(log_buckets).failed == 0

import doctest
import math

import numpy as np
import pytest

from flyball.stats import seasonal
from flyball.stats.seasonal import Seasonal, advance, count_value, fit, residual

FLAT = Seasonal(level=math.log(1000.0), day=(0.0,), week=(0.0,), scale=0.1)


def weeks(rng, n, spoiled=0.0):
    """Hours whose counts have a day, a quieter weekend and 10 % noise; a share of them is an outage."""
    slot = np.arange(n * 168) % 168
    truth = np.log(1000) + 0.8 * np.sin(2 * np.pi * (slot % 24) / 24) - 0.5 * (slot >= 120)
    counts = rng.poisson(np.exp(truth + rng.normal(0, 0.1, slot.size)))
    return slot, truth, np.where(rng.random(slot.size) < spoiled, 0, counts)


@pytest.mark.parametrize("spoiled", [0.0, 0.1])
def test_a_fit_finds_day_and_week_though_every_tenth_window_is_an_outage(spoiled):
    slot, truth, counts = weeks(np.random.default_rng(1), 3, spoiled)
    found = fit(np.log(counts + 0.5), slot, np.arange(504) // 168, (24, 168), 0.001)
    off = np.array([seasonal.log_usual(found, int(s)) - t for s, t in zip(slot[:168], truth[:168], strict=True)])
    assert np.median(np.abs(off)) < 0.06
    assert 0.05 < found.scale < 0.14  # three visits a slot fit a part of the noise; it is tracked from there on


def test_residuals_of_counts_have_a_deviation_of_one_for_few_and_for_many():
    rng = np.random.default_rng(2)
    for mean in (5, 100, 10_000):
        at = Seasonal(level=math.log(mean), day=(0.0,), week=(0.0,), scale=0.1)
        counts = rng.poisson(mean * rng.gamma(100.0, 0.01, 4000))
        assert np.std([residual(at, count_value(0, int(k)), given_previous=False) for k in counts]) == pytest.approx(
            1.0, abs=0.06
        )


def test_residuals_of_few_are_normal_also_in_the_tail_that_counts():
    rng = np.random.default_rng(7)
    for mean in (0.2, 2.0, 20.0):
        at = Seasonal(level=math.log(mean), day=(0.0,), week=(0.0,), scale=0.1)
        counts = rng.poisson(mean * rng.gamma(100.0, 0.01, 20_000))
        u = np.array(
            [
                residual(at, count_value(0, int(k)), given_previous=False, uniform=v)
                for k, v in zip(counts, rng.random(20_000), strict=True)
            ]
        )
        for z, chance in ((1.645, 0.05), (2.576, 0.005)):
            assert np.mean(u > z) == pytest.approx(chance, abs=4 * np.sqrt(chance / 20_000))


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 8.0])
@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.5, 29.0])
def test_the_place_of_a_count_is_that_of_the_sum_of_all_smaller_ones(scale, mean):
    extra = scale**2 * mean
    for count in (0, 1, 7, 300):
        probability, below = math.exp(-math.log1p(extra) / scale**2), 0.0
        for k in range(count):
            below += probability
            probability *= (1.0 / scale**2 + k) / (k + 1) * extra / (1.0 + extra)
        for uniform in (0.0, 0.4, 1.0):
            assert seasonal._place(count, mean, scale, uniform) == pytest.approx(below + uniform * probability, abs=1e-9)


def test_a_count_of_a_thousand_million_is_placed_at_once():
    """One by one, a million of them took half a second of a tick, and these would take minutes."""
    lumpy = Seasonal(level=math.log(20.0), day=(0.0,), week=(0.0,), scale=8.0)
    assert residual(lumpy, count_value(0, 10**9), given_previous=False) == pytest.approx(7.03, abs=0.01)


def test_the_scale_follows_the_middle_and_not_the_tail():
    rng, at = np.random.default_rng(3), FLAT
    for _ in range(1500):
        at = advance(at, seasonal.size_value(0, 1000 * math.exp(0.2 * rng.normal() * (30 if rng.random() < 0.05 else 1)), 0.0))
    assert at.scale == pytest.approx(0.2, rel=0.25)


def test_growth_is_followed_and_an_outlier_is_not():
    rng, at = np.random.default_rng(6), FLAT
    for day in range(200):
        at = advance(at, seasonal.size_value(0, 1000 * math.exp(0.005 * day + 0.05 * rng.normal()), 0.0))
    assert seasonal.log_usual(at, 0) == pytest.approx(math.log(1000) + 1.0, abs=0.08)
    after = advance(at, count_value(0, 0))
    assert abs(seasonal.log_usual(after, 0) - seasonal.log_usual(at, 0)) < 0.01


def test_neighbours_that_resemble_one_another_are_learned_and_an_anomaly_does_not_pull_the_next():
    rng, at, z = np.random.default_rng(4), FLAT, 0.0
    for _ in range(1500):
        z = 0.8 * z + 0.6 * rng.normal()
        at = advance(at, seasonal.size_value(0, 1000 * math.exp(0.1 * z), 0.0))
    assert at.rho == pytest.approx(0.7, abs=0.2)
    assert abs(advance(at, count_value(0, 0)).previous) <= abs(at.previous)


def test_the_usual_range_holds_nine_in_ten():
    rng = np.random.default_rng(5)
    lower, upper = seasonal.usual_range(FLAT, count_value(0, 0), 1.645)
    counts = rng.poisson(1000 * rng.gamma(100.0, 0.01, 4000))
    assert np.mean((counts >= lower) & (counts <= upper)) == pytest.approx(0.9, abs=0.02)


def test_the_example_runs():
    assert doctest.testmod(seasonal)[0] == 0

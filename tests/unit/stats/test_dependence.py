import numpy as np
import pytest
from stationary_series import ar1

from flyball.stats import dependence


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

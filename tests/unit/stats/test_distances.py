import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.stats.distances import js_distance, js_divergence, js_sampling_noise, psi

histograms = st.integers(1, 12).flatmap(lambda k: st.tuples(*[st.lists(st.integers(0, 1000), min_size=k, max_size=k)] * 2))


@given(histograms)
def test_js_distance_is_symmetric_and_within_zero_and_one(pair):
    a, b = pair
    assert 0.0 <= js_distance(a, b) <= 1.0
    assert js_distance(a, b) == pytest.approx(js_distance(b, a), abs=1e-9)


def test_js_distance_agrees_with_scipy():
    from scipy.spatial.distance import jensenshannon

    a, b = [5, 0, 20, 75], [10, 30, 0, 60]
    assert js_distance(a, b) == pytest.approx(jensenshannon(a, b, base=2))


def test_an_empty_histogram_is_at_no_distance():
    assert js_distance([0, 0], [1, 2]) == 0.0


@pytest.mark.parametrize("n", [200, 1000, 10_000])
def test_sampling_noise_is_what_samples_without_drift_show(n):
    rng = np.random.default_rng(3)
    shares = np.full(16, 1 / 16)
    seen = [js_divergence(rng.multinomial(5000, shares), rng.multinomial(n, shares)) for _ in range(400)]
    assert np.mean(seen) == pytest.approx(js_sampling_noise([312] * 16, n), rel=0.08)


def test_psi_of_disjoint_histograms_is_finite():
    assert np.isfinite(psi([10, 0], [0, 10]))
    assert psi([10, 10], [10, 10]) == 0.0

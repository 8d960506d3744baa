import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.stats.distances import js_distance, psi, total_variation, wasserstein_of_bins

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


def test_psi_of_disjoint_histograms_is_finite():
    assert np.isfinite(psi([10, 0], [0, 10]))
    assert psi([10, 10], [10, 10]) == 0.0


def test_wasserstein_from_bins_is_that_of_the_values():
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(6)
    before, window = rng.gamma(2.0, 10.0, 20_000), rng.gamma(2.4, 10.0, 20_000)
    edges = np.quantile(before, [*np.arange(32) / 32, *(1 - 2.0 ** -np.arange(6, 12)), 1.0])
    counts = [np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1) for values in (before, window)]
    assert wasserstein_of_bins(*counts, edges) == pytest.approx(wasserstein_distance(before, window), rel=0.03)


def test_histograms_that_cross_are_as_far_apart_as_both_sides_together():
    assert wasserstein_of_bins([0, 10, 0, 10, 0], [0, 0, 20, 0, 0], [0.0, 1.0, 2.0, 3.0]) == pytest.approx(0.75)


def test_total_variation_is_the_share_of_rows_that_would_have_to_change():
    assert total_variation([50, 50, 0], [50, 25, 25]) == 0.25
    assert total_variation([0, 0], [1, 1]) == 0.0


@pytest.mark.parametrize(
    ("reference", "current", "words"),
    [
        ([5, -5, 1], [5, 5, 1], "counts of 0 or more, found -5"),
        ([5, 5, 1], [5, float("nan"), 1], "counts of 0 or more, found nan"),
        ([5, 5, 1], [5, float("inf"), 1], "counts of 0 or more, found inf"),
        ([5], [5, 5, 1], r"found shapes \(1,\) and \(3,\)"),
        ([[5, 5, 1]], [[5, 5, 1]], r"found shapes \(1, 3\) and \(1, 3\)"),
    ],
)
def test_what_are_no_counts_of_the_same_bins_is_refused(reference, current, words):
    for distance in (js_distance, psi, total_variation, lambda p, q: wasserstein_of_bins(p, q, [0.0, 1.0])):
        with pytest.raises(ValueError, match=words):
            distance(reference, current)

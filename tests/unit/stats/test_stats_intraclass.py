"""How alike rows of one cluster are, against clusters that were drawn so, and what is said of rows that came in any order."""

import numpy as np
import pytest

from flyball.stats.intraclass import Intraclass, intraclass


@pytest.mark.parametrize("correlation", [0.02, 0.05, 0.3])
def test_a_correlation_is_told_as_it_was_drawn(correlation: float) -> None:
    """Shares of a beta distribution have an intraclass correlation of 1 / (a + b + 1)."""
    draw, spread = np.random.default_rng(11), 1.0 / correlation - 1.0
    seen = []
    for _ in range(200):
        sizes = draw.integers(20, 200, 120)
        clusters = np.repeat(np.arange(120), sizes)
        share = draw.beta(0.2 * spread, 0.8 * spread, 120)[clusters]
        seen.append(intraclass(draw.random(clusters.size) < share, clusters).correlation)
    assert np.mean(seen) == pytest.approx(correlation, abs=0.012)


@pytest.mark.parametrize(("clusters", "rows"), [(7, 20), (7, 300), (40, 15)])
def test_rows_in_any_order_seem_alike_as_seldom_as_said(clusters: int, rows: int) -> None:
    draw, place = np.random.default_rng(12), np.repeat(np.arange(clusters), rows)
    told = [intraclass(draw.random(place.size) < 0.2, draw.permutation(place)) for _ in range(2000)]
    assert np.mean([each.correlation for each in told]) == pytest.approx(0.0, abs=0.004)
    assert 0.035 <= np.mean([each.p < 0.05 for each in told]) <= 0.066
    assert np.mean([each.p < 0.01 for each in told]) <= 0.018


def test_clusters_that_lie_in_it_or_do_not_are_wholly_alike() -> None:
    days = np.repeat(np.arange(5), 10)
    assert intraclass(days < 2, days) == Intraclass(1.0, 0.0)
    assert intraclass(days < 2, np.zeros(50, dtype=np.int64)) == Intraclass(0.0, 1.0)
    assert intraclass(np.ones(50, dtype=bool), days) == Intraclass(0.0, 1.0)
    assert intraclass(days < 2, np.arange(50)) == Intraclass(0.0, 1.0)

"""Coverage by simulation with fixed seeds; the textbook's own numbers are the docstring's example."""

import doctest

import numpy as np
import pytest

from flyball.stats import kaplan_meier as module
from flyball.stats.kaplan_meier import counts_of, interval, kaplan_meier

ALPHA = 0.1
AT = (2, 5, 8)
"""Edges at which coverage is looked at."""
BINS = 10


def by_bins(delays, ages):
    """(events, at risk) of rows that have lived through `ages` bins, when it happens in bin `delays`."""
    bins = np.arange(BINS)
    lived = bins < ages[:, None]
    events = (delays[:, None] == bins) & lived
    return events.astype(int), ((delays[:, None] >= bins) & lived).astype(int)


def summed(parts, clusters, n_clusters):
    out = np.zeros((n_clusters, BINS), dtype=int)
    np.add.at(out, clusters, parts)
    return out


@pytest.mark.parametrize("plateau", [1.0, 0.6])
def test_the_interval_covers_as_often_as_it_claims_with_a_plateau_too(plateau):
    rng = np.random.default_rng(1)
    truth = 1.0 - plateau * (1.0 - 0.75 ** np.arange(BINS + 1))
    missed = np.zeros(len(AT))
    for _ in range(600):
        delays = np.where(rng.random(150) < plateau, rng.geometric(0.25, 150) - 1, BINS + 1)
        events, at_risk = by_bins(delays, rng.integers(3, BINS + 1, 150))
        lower, upper = interval(kaplan_meier(events, at_risk), ALPHA)
        missed += [not lower[k] <= truth[k] <= upper[k] for k in AT]
    # three standard errors of 600 draws above the claim
    assert max(missed) / 600 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 600) ** 0.5


def test_rows_that_share_their_clusters_luck_are_covered_and_greenwood_alone_would_not():
    rng = np.random.default_rng(2)
    missed = naive = 0
    day_luck = rng.beta(2, 6, 200_000)
    truth = float(((1.0 - day_luck) ** 5).mean())
    for _ in range(300):
        luck = rng.beta(2, 6, 40)
        clusters = np.repeat(np.arange(40), 30)
        delays = rng.geometric(luck[clusters]) - 1
        curve = kaplan_meier(*(summed(part, clusters, 40) for part in by_bins(delays, np.full(delays.size, 8))))
        for told, count in ((curve, "missed"), (curve._replace(clustered=np.zeros(BINS + 1)), "naive")):
            lower, upper = interval(told, ALPHA)
            off = not lower[5] <= truth <= upper[5]
            missed, naive = missed + off * (count == "missed"), naive + off * (count == "naive")
    assert missed / 300 <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 300) ** 0.5
    assert naive / 300 > 3 * ALPHA


def test_ignoring_the_young_is_biased_and_the_curve_is_not():
    rng = np.random.default_rng(3)
    delays, ages = rng.geometric(0.2, 20_000) - 1, rng.integers(0, BINS + 1, 20_000)
    curve = kaplan_meier(*by_bins(delays, ages))
    assert 1.0 - curve.share[BINS] == pytest.approx(1.0 - 0.8**BINS, abs=0.02)
    assert (delays < ages).mean() < 0.65  # the share of all rows that is there: 0.89 in the end


def test_clusters_add_up_to_the_curve_of_all_rows():
    rng = np.random.default_rng(4)
    events, at_risk = by_bins(rng.geometric(0.3, 90) - 1, rng.integers(1, BINS + 1, 90))
    whole, parts = (
        kaplan_meier(events, at_risk),
        kaplan_meier(*(summed(part, np.arange(90) % 7, 7) for part in (events, at_risk))),
    )
    assert np.array_equal(whole.share, parts.share, equal_nan=True)
    assert np.array_equal(whole.greenwood, parts.greenwood)


def test_all_censored_is_a_curve_that_has_not_moved_and_says_how_little_it_knows():
    curve = kaplan_meier([0, 0], [20, 5])
    lower, upper = interval(curve, 0.05)
    assert curve.share.tolist() == [1.0, 1.0, 1.0]
    assert upper.tolist() == [1.0, 1.0, 1.0]
    assert lower[2] == pytest.approx(0.025 ** (1 / 5))
    assert counts_of([3.0, 4.0], [False, False])[0].size == 0


def test_from_where_nobody_is_old_enough_nothing_is_known():
    curve = kaplan_meier([1, 0, 0], [4, 2, 0])
    assert curve.share[:3].tolist() == [1.0, 0.75, 0.75]
    assert np.isnan(curve.share[3])
    assert all(np.isnan(end[3]) for end in interval(curve, 0.05))


def test_when_it_has_happened_to_all_the_rest_is_known():
    curve = kaplan_meier([4, 0], [4, 0])
    assert curve.share.tolist() == [1.0, 0.0, 0.0]
    lower, upper = interval(curve, 0.05)
    assert lower[1] == 0.0
    assert 0.5 < upper[1] < 1.0


def test_ties_of_an_event_and_a_censoring_count_the_censored_as_at_risk():
    times, events, at_risk = counts_of([1.0, 1.0, 2.0], [True, False, True])
    assert (times.tolist(), events.tolist(), at_risk.tolist()) == ([1.0, 2.0], [1, 1], [3, 1])


@pytest.mark.parametrize(("events", "at_risk"), [([3], [2]), ([-1], [2]), ([1, 2], [3])])
def test_counts_that_cannot_be_are_refused(events, at_risk):
    with pytest.raises(ValueError, match="at most as many events"):
        kaplan_meier(events, at_risk)


def test_a_duration_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite duration"):
        counts_of([1.0, np.nan], [True, True])


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(module)[0] == 0

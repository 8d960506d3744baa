"""Unbounded and zero-inflated metrics: error rates by simulation with fixed seeds, beside the test that one would run over and over."""

import doctest
import math

import numpy as np
import pytest

from flyball.stats import heavy_tails
from flyball.stats.heavy_tails import bound_of, cut, two_parts
from flyball.stats.two_means import difference_of_averages, rate_difference_in_blocks

RELEASES = 80
LOOKS = range(50, 1001, 50)


def latency(rng, n):
    """Milliseconds with infinite variance."""
    return 20.0 * (1.0 + rng.pareto(1.5, n))


def orders(rng, n):
    return np.where(rng.random(n) < 0.1, rng.lognormal(3.0, 1.0, n), 0.0)


@pytest.mark.parametrize("law", [latency, orders])
def test_equal_arms_are_told_apart_no_more_often_than_stated_where_a_repeated_t_test_is(law):
    rng, false, naive = np.random.default_rng(1), 0, 0
    bound = bound_of(law(rng, 4000))
    for _ in range(RELEASES):
        a, b = cut(law(rng, 1000), 0.0, bound).values, cut(law(rng, 1000), 0.0, bound).values
        found = [difference_of_averages(a[:n], b[:n], 0.05, 0.0, bound) for n in LOOKS[::4]]
        false += any(i.lower > 0.0 or i.upper < 0.0 for i in found)
        errors = [(b[:n].mean() - a[:n].mean()) / math.sqrt((a[:n].var() + b[:n].var()) / n) for n in LOOKS]
        naive += any(abs(z) > 1.96 for z in errors)
    assert false / RELEASES <= 0.05
    assert naive / RELEASES > 0.12


def test_a_slower_canary_is_found_though_the_variance_is_infinite():
    rng = np.random.default_rng(2)
    bound = bound_of(latency(rng, 4000))
    a, b = cut(latency(rng, 6000), 0.0, bound), cut(1.2 * latency(rng, 6000), 0.0, bound)
    assert difference_of_averages(a.values, b.values, 0.05, 0.0, bound).lower > 0.0


def test_what_the_cut_hides_is_told_and_its_share_is_judged():
    """One row in fifty takes ten times the bound: the cut takes off nearly all of it, and says so; the share beyond tells the arms apart."""
    rng = np.random.default_rng(3)
    normal, broken = rng.uniform(0, 100, 5000), np.where(rng.random(5000) < 0.02, 1000.0, rng.uniform(0, 100, 5000))
    first, second = cut(normal, 0.0, 100.0), cut(broken, 0.0, 100.0)
    assert first.hidden == first.beyond == 0.0
    assert second.hidden == pytest.approx(900.0 * second.beyond)
    assert second.values.mean() + second.hidden == pytest.approx(broken.mean())
    table = [[500, 0, 500, int((broken[i : i + 500] > 100.0).sum())] for i in range(0, 5000, 500)]
    assert rate_difference_in_blocks(table, 0.05).lower > 0.01


def test_fewer_but_larger_orders_are_told_from_equal_ones():
    rng = np.random.default_rng(4)
    usual = np.where(rng.random(8000) < 0.2, rng.uniform(10, 30, 8000), 0.0)
    fewer = np.where(rng.random(8000) < 0.1, rng.uniform(30, 50, 8000), 0.0)
    parts = two_parts(usual, fewer, 0.05, 100.0)
    together = difference_of_averages(usual, fewer, 0.05, 0.0, 100.0)
    assert parts.presence.upper < 0.0
    assert parts.size.lower > 0.0
    assert together.lower < 0.0 < together.upper


def test_both_parts_of_equal_arms_are_covered():
    rng, missed = np.random.default_rng(5), 0
    for _ in range(RELEASES):
        a, b = (np.where(rng.random(1000) < 0.1, rng.random(1000), 0.0) for _ in range(2))
        found = [two_parts(a[:n], b[:n], 0.1, 1.0) for n in (20, 60, 200, 500, 1000)]
        missed += any(not part.lower <= 0.0 <= part.upper for parts in found for part in parts)
    assert missed / RELEASES <= 0.1


def test_an_arm_without_anything_has_no_size():
    parts = two_parts([0.0] * 100, [0.0, 1.0] * 50, 0.05, 5.0)
    assert parts.presence.lower > 0.0
    assert parts.size == (0.0, -5.0, 5.0, 0)


def test_infinite_values_are_cut_and_counted():
    kept = cut([1.0, math.inf], 0.0, 10.0)
    assert kept.values.tolist() == [1.0, 10.0]
    assert kept.beyond == 0.5
    assert kept.hidden == math.inf


def test_too_few_rows_state_no_bound():
    with pytest.raises(ValueError, match="2000 finite rows"):
        bound_of(range(1999))
    assert bound_of(range(100), beyond=0.1) == 89.0


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        cut([math.nan], 0.0, 1.0)
    with pytest.raises(ValueError, match="below the upper"):
        cut([1.0], 1.0, 1.0)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(heavy_tails)[0] == 0

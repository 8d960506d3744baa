"""Coverage of quantiles and their differences at all looks together, by simulation with fixed seeds, of laws with ties and without moments."""

import doctest
import math

import numpy as np
import pytest

from flyball.stats import log_buckets, quantile_sequences
from flyball.stats.log_buckets import bucket_of, counted, edges_of
from flyball.stats.quantile_sequences import quantile_difference, quantile_sequence

PATHS = 100
ALPHA = 0.1
LOOKS = (5, 12, 30, 70, 150, 300, 600, 1000)
LAWS = {
    "cauchy": (lambda rng, n: rng.standard_cauchy(n), {0.5: 0.0, 0.9: math.tan(0.4 * math.pi)}),
    "zero-inflated": (lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.exponential(1.0, n)), {0.5: 0.0, 0.9: math.log(4.0)}),
    "dice": (lambda rng, n: rng.integers(1, 7, n).astype(float), {0.5: 3.0, 0.9: 6.0}),
}


@pytest.mark.parametrize("q", [0.5, 0.9])
@pytest.mark.parametrize("law", LAWS)
def test_the_quantile_is_covered_at_all_looks_together(law, q):
    draw, truths = LAWS[law]
    rng, missed = np.random.default_rng(1), 0
    for _ in range(PATHS):
        x = draw(rng, LOOKS[-1])
        found = [quantile_sequence(x[:n], q, ALPHA) for n in LOOKS]
        missed += any(not i.lower <= truths[q] <= i.upper for i in found)
    assert missed / PATHS <= ALPHA


@pytest.mark.parametrize("law", LAWS)
def test_the_difference_of_a_small_canary_is_covered_at_all_looks_together(law):
    draw, _ = LAWS[law]
    rng, missed = np.random.default_rng(2), 0
    for _ in range(PATHS):
        x, y = draw(rng, 1000), draw(rng, 200) + 2.0
        found = [quantile_difference(x[:n], y[: n // 5], 0.5, ALPHA) for n in LOOKS]
        missed += any(not i.lower <= 2.0 <= i.upper for i in found)
    assert missed / PATHS <= ALPHA


def test_a_canary_ten_percent_slower_is_found_and_an_equal_one_is_not():
    rng, found, blamed = np.random.default_rng(3), 0, 0
    for _ in range(20):
        x, y = (counted(np.rint(1000 * rng.lognormal(4.0, 0.4, n))) for n in (20_000, 6000))
        slower = counted(np.rint(1100 * rng.lognormal(4.0, 0.4, 6000)))
        found += quantile_difference(x, slower, 0.5, 0.05).lower > 0.0
        blamed += quantile_difference(x, y, 0.5, 0.05).lower > 0.0
    assert found >= 18
    assert blamed == 0


def test_it_is_narrower_than_the_published_closed_form():
    """Howard & Ramdas 2022, equation (1), the stitched form, as shares of rows on either side."""
    n, q, alpha = 10_000, 0.9, 0.05
    spread = (1.4 * math.log(math.log(2.1 * n)) + math.log(10 / alpha)) / n
    half = 1.5 * math.sqrt(q * (1 - q) * spread) + 0.8 * spread
    found = quantile_sequence(range(n), q, alpha)
    assert (found.upper - found.lower) / 2 / n < 0.8 * half


def test_the_difference_is_narrower_than_two_intervals_with_half_the_error_rate_each():
    rng = np.random.default_rng(4)
    x, y = rng.normal(0, 1, 3000), rng.normal(0, 1, 3000)
    joint = quantile_difference(x, y, 0.9, 0.05)
    first, second = quantile_sequence(x, 0.9, 0.025), quantile_sequence(y, 0.9, 0.025)
    assert joint.upper - joint.lower < 0.85 * (second.upper - second.lower + first.upper - first.lower)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.99])
def test_buckets_only_ever_widen_and_by_no_more_than_their_width(q):
    rng = np.random.default_rng(5)
    x, y = rng.lognormal(6, 1, 2000), rng.lognormal(6.2, 1, 900)
    exact, coarse = quantile_sequence(x, q, 0.05), quantile_sequence(counted(x), q, 0.05)
    assert coarse.lower <= exact.lower <= coarse.lower * 1.022
    assert coarse.upper >= exact.upper >= coarse.upper / 1.022
    joint, rough = quantile_difference(x, y, q, 0.05), quantile_difference(counted(x), counted(y), q, 0.05)
    assert rough.lower <= joint.lower
    assert rough.upper >= joint.upper


def test_counts_of_two_periods_add_up():
    x, y = np.arange(1.0, 400.0), np.arange(300.0, 900.0)
    together = {b: counted(x).get(b, 0) + counted(y).get(b, 0) for b in counted(x) | counted(y)}
    assert quantile_sequence(together, 0.5, 0.05) == quantile_sequence(counted(np.concatenate([x, y])), 0.5, 0.05)


def test_few_rows_leave_the_ends_infinite():
    assert quantile_sequence(range(9), 0.5, 0.05)[1:3] == (-math.inf, math.inf)
    assert quantile_sequence(range(100), 0.95, 0.05).upper == math.inf
    assert quantile_sequence(range(100), 0.95, 0.05).lower > 0
    few = quantile_difference(range(1000), range(5), 0.5, 0.05)
    assert few[1:3] == (-math.inf, math.inf)
    one_sided = quantile_difference(range(100_000), range(60), 0.95, 0.05)
    assert one_sided.upper == math.inf
    assert -math.inf < one_sided.lower


def test_no_rows_say_nothing():
    nothing = quantile_sequence([], 0.5, 0.05)
    assert math.isnan(nothing.value)
    assert nothing[1:] == (-math.inf, math.inf, 0)
    assert quantile_difference({}, range(50), 0.5, 0.05)[1:] == (-math.inf, math.inf, 0)


def test_many_and_few_values_are_searched_alike():
    """Counts are looked up in a table when there are many, by halving when there are few."""
    x, y = np.repeat([1.0, 2.0, 3.0], 700), np.repeat([2.0, 3.0, 5.0], 700)
    apart = np.linspace(0.0, 1e-9, 2100)
    assert quantile_difference(x, y, 0.5, 0.05)[:3] == pytest.approx(
        quantile_difference(x + apart, y + apart, 0.5, 0.05)[:3], abs=1e-6
    )


def test_turning_the_arms_turns_the_interval():
    x, y = np.arange(50.0), np.arange(0.0, 90.0, 0.5)
    there, back = quantile_difference(x, y, 0.4, 0.05), quantile_difference(y, x, 0.4, 0.05)
    assert (there.value, there.lower, there.upper) == (-back.value, -back.upper, -back.lower)


def test_every_value_lies_within_the_edges_of_its_bucket():
    x = np.concatenate([np.exp2(np.arange(-140, 129) / 32.0), -np.geomspace(1e-40, 1e38, 999), [0.0, 1e300, -1e-300]])
    x = np.concatenate([x, np.nextafter(x, 0.0), x * (1 - 2e-8)])
    lower, upper = edges_of(bucket_of(x))
    assert np.all((lower <= x) & (x <= upper))


@pytest.mark.parametrize(("sample", "q"), [([1.0, math.nan], 0.5), ([1.0], 0.0), ([1.0], 1.0), ({3: -1, 4: 2}, 0.5)])
def test_what_has_no_quantile_is_refused(sample, q):
    with pytest.raises(ValueError, match="found"):
        quantile_sequence(sample, q, 0.05)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(quantile_sequences)[0] == doctest.testmod(log_buckets)[0] == 0

"""Coverage at all looks together, by simulation with fixed seeds."""

import doctest
from statistics import NormalDist

import numpy as np
import pytest

from flyball.stats import sequences
from flyball.stats.sequences import mean_path, mean_sequence, rate_sequence

PATHS = 200
ROWS = 300
ALPHA = 0.1


def iid(rng):
    """Uniform on the whole range."""
    mean = np.zeros(ROWS)
    return rng.uniform(-1, 1, ROWS), mean


def drifting(rng):
    """The conditional mean walks from −0.6 to 0.6 on a path known in advance."""
    mean = np.linspace(-0.6, 0.6, ROWS)
    return np.where(rng.random(ROWS) < (1 + mean) / 2, 1.0, -1.0), mean


def autoregressive(rng):
    """The conditional mean is 0.9 of the value before."""
    x, mean = np.zeros(ROWS), np.zeros(ROWS)
    for i in range(ROWS):
        mean[i] = 0.9 * x[i - 1] if i else 0.0
        x[i] = mean[i] + rng.uniform(-0.1, 0.1)
    return x, mean


def chasing(rng):
    """An adversary: the next mean runs away from the average seen so far."""
    x, mean = np.zeros(ROWS), np.zeros(ROWS)
    for i in range(ROWS):
        mean[i] = -0.8 * np.sign(x[:i].sum())
        x[i] = 1.0 if rng.random() < (1 + mean[i]) / 2 else -1.0
    return x, mean


def two_point(rng):
    """Heavy for a bounded law: nearly always a little below 0, once in fifty rows at the end of the range."""
    x = np.where(rng.random(ROWS) < 0.02, 1.0, -1.0 / 49.0)
    return x, np.zeros(ROWS)


def brier_differences(rng):
    """What it is tuned for."""
    return np.clip(rng.normal(0.005, 0.08, ROWS), -1, 1), np.full(ROWS, 0.005)


@pytest.mark.parametrize("law", [iid, drifting, autoregressive, chasing, two_point, brier_differences])
def test_the_sequence_covers_at_all_looks_together(law):
    rng = np.random.default_rng(20260)
    missed = 0
    for _ in range(PATHS):
        x, mean = law(rng)
        path = mean_path(x, ALPHA, -1.0, 1.0)
        truth = np.cumsum(mean) / np.arange(1, ROWS + 1)
        missed += bool(np.any((truth < path.lower) | (truth > path.upper)))
    assert missed / PATHS <= ALPHA


def test_paired_brier_differences_of_2500_rows_are_known_to_six_thousandths():
    x = np.clip(np.random.default_rng(1).normal(0.0, 0.08, 2500), -1, 1)
    interval = mean_sequence(x, 0.05, -1.0, 1.0)
    assert (interval.upper - interval.lower) / 2 < 0.0055


def shared_errors(rng, n):
    """5 % → 7 %: the challenger repeats four fifths of the champion's errors. In [−1, 1]."""
    champion = rng.random(n) < 0.05
    challenger = np.where(champion, rng.random(n) < 0.8, rng.random(n) < 0.03 / 0.95)
    return challenger.astype(float) - champion


def log_losses(rng, n):
    """A tenth more log loss from noisier logits; losses cut at 3, so differences in [−3, 3]."""
    logit = rng.normal(-1.5, 1.5, n)
    label = rng.random(n) < 1 / (1 + np.exp(-logit))
    losses = [
        np.minimum(np.log1p(np.exp(np.where(label, -1, 1) * (logit + rng.normal(0, noise, n)))), 3) for noise in (0.2, 0.85)
    ]
    return losses[1] - losses[0]


@pytest.mark.parametrize(("law", "end"), [(shared_errors, 1.0), (log_losses, 3.0)])
def test_harm_is_found_in_about_the_rows_that_one_look_would_take(law, end):
    """The median of rows until the lower end leaves 0, beside a test for one look with the same one-sided error rate and power 95 %."""
    rng, quantile = np.random.default_rng(8), NormalDist().inv_cdf
    population = law(rng, 200_000)
    fixed = (quantile(0.975) + quantile(0.95)) ** 2 * population.var() / population.mean() ** 2
    taken = []
    for _ in range(40):
        beyond = np.flatnonzero(mean_path(law(rng, int(3 * fixed)), 0.05, -end, end).lower > 0.0)
        taken.append(beyond[0] / fixed if beyond.size else np.inf)
    assert np.median(taken) < 1.2
    assert np.isfinite(taken).mean() >= 0.95


def test_the_last_point_of_the_path_is_the_interval():
    x = np.random.default_rng(2).beta(1, 5, 200)
    path = mean_path(x, 0.05, 0.0, 1.0)
    for n in (1, 2, 50, 200):
        interval = mean_sequence(x[:n], 0.05, 0.0, 1.0)
        assert interval == pytest.approx((path.mean[n - 1], path.lower[n - 1], path.upper[n - 1], n), abs=1e-9)


def test_turning_the_sign_turns_the_interval():
    x = np.random.default_rng(3).normal(0.1, 0.2, 300).clip(-1, 1)
    there, back = mean_sequence(x, 0.05, -1.0, 1.0), mean_sequence(-x, 0.05, -1.0, 1.0)
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower), abs=1e-9)


def test_the_scale_of_the_range_does_not_matter():
    x = np.random.default_rng(4).random(200)
    unit, wide = mean_sequence(x, 0.05, 0.0, 1.0), mean_sequence(1000 * x - 500, 0.05, -500.0, 500.0)
    assert (wide.lower + 500) / 1000 == pytest.approx(unit.lower, abs=1e-6)
    assert (wide.upper + 500) / 1000 == pytest.approx(unit.upper, abs=1e-6)


@pytest.mark.parametrize("constant", [-1.0, 0.0, 1.0])
def test_constant_rows_narrow_without_bound_and_keep_the_constant_inside(constant):
    interval = mean_sequence(np.full(5000, constant), 0.05, -1.0, 1.0)
    assert interval.lower <= constant <= interval.upper
    assert interval.upper - interval.lower < 0.01


def test_no_rows_say_the_whole_range():
    assert mean_sequence([], 0.05, -1.0, 1.0) == (0.0, -1.0, 1.0, 0)
    assert mean_path([], 0.05, -1.0, 1.0).mean.size == 0


@pytest.mark.parametrize("x", [[0.0, 1.5], [0.0, float("nan")], [[0.0], [0.0]]])
def test_rows_outside_the_range_are_refused(x):
    with pytest.raises(ValueError, match="found"):
        mean_sequence(x, 0.05, -1.0, 1.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_an_error_rate_that_is_none_is_refused(alpha):
    with pytest.raises(ValueError, match="error rate"):
        mean_sequence([0.0], alpha, -1.0, 1.0)


@pytest.mark.parametrize("rate", [0.002, 0.05, 0.5, 1.0])
def test_the_rate_covers_at_all_looks_together(rate):
    rng = np.random.default_rng(5)
    looks = np.unique(np.geomspace(1, 5000, 40).astype(int))
    missed = 0
    for _ in range(PATHS):
        counts = np.cumsum(rng.random(5000) < rate)
        intervals = [rate_sequence(int(counts[n - 1]), int(n), ALPHA) for n in looks]
        missed += any(not i.lower <= rate <= i.upper for i in intervals)
    assert missed / PATHS <= ALPHA


def test_the_rate_of_a_bursting_failure_is_covered():
    """Failures come in outages of 50 rows: far from independent. The truth is the average of conditional rates."""
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(PATHS):
        out = np.repeat(rng.random(40) < 0.05, 50)
        conditional = np.where(np.arange(2000) % 50 == 0, 0.05, out)
        counts, truth = np.cumsum(out), np.cumsum(conditional)
        missed += any(
            not (i := rate_sequence(int(counts[n - 1]), n, ALPHA)).lower <= truth[n - 1] / n <= i.upper
            for n in range(25, 2001, 75)
        )
    assert missed / PATHS <= ALPHA


def test_a_rate_near_one_is_known_as_well_as_one_near_zero():
    low, high = rate_sequence(20, 1000, 0.05), rate_sequence(980, 1000, 0.05)
    assert (high.lower, high.upper) == pytest.approx((1.0 - low.upper, 1.0 - low.lower), abs=1e-9)
    assert high.lower > 0.955


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="between 0 and 3"):
        rate_sequence(4, 3, 0.05)


def test_rates_without_rows_say_the_whole_range():
    assert rate_sequence(0, 0, 0.05) == (0.5, 0.0, 1.0, 0)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(sequences)[0] == 0

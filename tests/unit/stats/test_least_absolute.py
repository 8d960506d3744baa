"""A line mends a regression's level and slope, is no worse than none where nothing is to be mended, and follows no single row."""

import numpy as np
import pytest

from flyball.stats.least_absolute import line


def world(seed: int, n: int, level: float, slope: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores, labels, their medians), deviations of heavy tails."""
    draw = np.random.default_rng(seed)
    scores = draw.gamma(4.0, 25.0, n)
    medians = level + slope * scores
    return scores, medians + 20.0 * draw.standard_t(2, n), medians


def test_level_and_slope_are_found_again() -> None:
    before, after = [], []
    for seed in range(40):
        scores, labels, _ = world(seed, 300, 15.0, 1.4)
        level, slope = line(scores, labels)
        fresh, _, medians = world(1000 + seed, 2000, 15.0, 1.4)
        before.append(np.mean(np.abs(fresh - medians)))
        after.append(np.mean(np.abs(level + slope * fresh - medians)))
    assert np.mean(after) < 0.06 * np.mean(before)


def test_where_nothing_moved_it_costs_what_two_parameters_cost() -> None:
    costs = []
    for seed in range(100):
        scores, labels, _ = world(seed, 200, 0.0, 1.0)
        level, slope = line(scores, labels)
        fresh, judged, _ = world(1000 + seed, 2000, 0.0, 1.0)
        costs.append(np.mean(np.abs(level + slope * fresh - judged)) / np.mean(np.abs(fresh - judged)) - 1.0)
    # E|e − d| − E|e| ≈ f(0) d², d² ≈ 2 · 1/(4 f(0)² n): 1/(2 f(0) n) of a mean deviation of 28 here, with f(0) = 0.35/20
    assert np.mean(costs) < 0.008


def test_one_row_that_is_far_off_pulls_no_more_than_others() -> None:
    scores, labels, _ = world(3, 400, 5.0, 1.1)
    level, slope = line(scores, labels)
    labels[0] += 1e6
    assert line(scores, labels) == pytest.approx((level, slope), rel=0.1, abs=1.0)


def test_alike_scores_tell_of_the_level_alone() -> None:
    level, slope = line(np.full(200, 50.0), np.linspace(58.0, 62.0, 200))
    assert slope == pytest.approx(1.0)
    assert level + slope * 50.0 == pytest.approx(60.0, abs=0.5)


def test_few_rows_move_little_and_an_order_that_is_turned_round_has_no_line() -> None:
    level, slope = line([10.0], [20.0])
    assert level + slope * 10.0 == pytest.approx(15.0)
    scores, labels, _ = world(1, 300, 500.0, -1.0)
    assert line(scores, labels) is None


@pytest.mark.parametrize(("scores", "labels"), [([1.0], [1.0, 2.0]), ([], []), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_what_is_no_number_is_refused(scores: list[float], labels: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite label"):
        line(scores, labels)

"""A rising map mends scores that have lost their scale, never their order, and is no worse than none where nothing is to be mended."""

import numpy as np
import pytest

from flyball.stats import monotone
from flyball.stats.logistic import expit, logit

Maps = [(300, "platt"), (20_000, "isotonic")]


def world(seed: int, n: int, shift: float, slope: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores, labels, chances): what is true has moved from what is scored by `shift` and `slope` in log odds."""
    draw = np.random.default_rng(seed)
    scores = expit(draw.normal(-1.0, 1.5, n))
    chances = expit(shift + slope * logit(scores))
    return scores, (draw.uniform(size=n) < chances).astype(float), chances


@pytest.mark.parametrize(("n", "method"), Maps)
def test_scores_that_have_lost_their_scale_get_it_back(n: int, method: str) -> None:
    for seed in range(20):
        scores, labels, _ = world(seed, n, 1.0, 0.6)
        used, points = monotone.rising_map(scores, labels)
        assert used == method
        fresh, _, chances = world(1000 + seed, 5000, 1.0, 0.6)
        mended = np.interp(fresh, *points)
        assert np.sqrt(np.mean((mended - chances) ** 2)) < 0.35 * np.sqrt(np.mean((fresh - chances) ** 2))


@pytest.mark.parametrize(("n", "method"), Maps)
def test_calibrated_scores_are_hardly_touched(n: int, method: str) -> None:
    costs = []
    for seed in range(20):
        scores, labels, _ = world(seed, n, 0.0, 1.0)
        _, points = monotone.rising_map(scores, labels)
        fresh, _, chances = world(1000 + seed, 5000, 0.0, 1.0)
        costs.append(float(np.mean((np.interp(fresh, *points) - chances) ** 2)))
    # the excess Brier score of a fit of two parameters is about 2·p(1 − p)/n; of pools some times more
    assert np.mean(costs) < {"platt": 1.5e-3, "isotonic": 5e-4}[method]


@pytest.mark.parametrize(("n", "method"), Maps)
def test_it_rises_and_keeps_every_order(n: int, method: str) -> None:
    for seed in range(10):
        scores, labels, _ = world(seed, n, -2.0, 1.7)
        _, (xs, ys) = monotone.rising_map(scores, labels)
        assert (xs[0], xs[-1]) == pytest.approx((0.0, 1.0), abs=2e-6)
        assert np.all(np.diff(xs) > 0)
        assert np.all(np.diff(ys) >= 0)
        ordered = np.sort(scores)
        assert np.all(np.diff(np.interp(ordered, xs, ys)) >= 0)
        assert np.unique(np.interp(ordered, xs, ys)).size > 0.99 * np.unique(ordered).size


@pytest.mark.parametrize("n", [2_000, 20_000])
def test_a_score_that_many_rows_share_is_answered_with_their_rate(n: int) -> None:
    """As shallow trees, votes of a forest and rounded scores are: two fifths of the rows at the ends, 0 and 1, the others at three scores."""
    errors = []
    for seed in range(20):
        draw = np.random.default_rng(seed)
        scores = draw.choice([0.0, 0.2, 0.35, 0.7, 1.0], n)
        labels = (draw.uniform(size=n) < 0.1 + 0.7 * scores).astype(float)
        points = monotone.isotonic(scores, labels)
        errors.append([
            float(np.interp(each, *points)) - float(labels[scores == each].mean()) for each in (0.0, 0.2, 0.35, 0.7, 1.0)
        ])  # fmt: skip
    # One row in n / 5 is of no change (PRIOR_ROWS), and pools of one score are its rows.
    assert np.abs(errors).max() < 5.0 / n


def test_scores_that_are_all_one_have_a_map() -> None:
    for score in (0.0, 0.4, 1.0):
        points = monotone.isotonic(np.full(2_000, score), np.arange(2_000) % 2)
        assert float(np.interp(score, *points)) == pytest.approx(0.5, abs=1e-3)
        assert len(points[0]) >= 2


def test_five_rows_of_one_kind_do_not_make_it_sure() -> None:
    scores, labels = np.full(5, 0.2), np.ones(5)
    _, points = monotone.rising_map(scores, labels)
    assert 0.2 < float(np.interp(0.2, *points)) < 0.7


@pytest.mark.parametrize("n", [500, 20_000])
def test_an_order_that_is_turned_round_has_no_rising_map(n: int) -> None:
    scores, labels, _ = world(3, n, 0.0, -1.0)
    assert monotone.rising_map(scores, labels) is None


def test_a_chain_of_two_maps_is_both_after_one_another() -> None:
    first = monotone.isotonic(*world(1, 5000, 1.0, 0.5)[:2])
    then = monotone.sigmoid(*world(2, 500, -0.5, 1.3)[:2])
    xs = np.linspace(0, 1, 997)
    assert np.interp(xs, *monotone.chained(first, then)) == pytest.approx(np.interp(np.interp(xs, *first), *then), abs=1e-7)


@pytest.mark.parametrize("cost", [0.1, 0.5, 0.8])
def test_the_best_threshold_of_calibrated_scores_is_the_cost_itself(cost: float) -> None:
    """Elkan 2001: say yes where p ≥ cost."""
    found = [monotone.best_threshold(*world(seed, 20_000, 0.0, 1.0)[:2], cost) for seed in range(20)]
    assert np.mean(found) == pytest.approx(cost, abs=0.03)


def test_the_best_threshold_moves_back_what_has_moved() -> None:
    """Scores are too low by 1 in log odds: what was 0.5 is now where they say 0.27."""
    found = [monotone.best_threshold(*world(seed, 20_000, 1.0, 1.0)[:2], 0.5) for seed in range(20)]
    assert np.mean(found) == pytest.approx(float(expit(-1.0)), abs=0.03)


@pytest.mark.parametrize(("scores", "labels"), [([], []), ([0.1], [2.0]), ([1.2], [1.0]), ([0.1, 0.2], [1.0])])
def test_what_is_no_score_or_label_is_refused(scores: list[float], labels: list[float]) -> None:
    with pytest.raises(ValueError, match="label"):
        monotone.rising_map(scores, labels)

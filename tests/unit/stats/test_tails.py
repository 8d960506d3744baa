import doctest

import numpy as np
import pytest

from flyball.stats import tails


@pytest.mark.parametrize(
    "draw", [lambda r, n: np.abs(r.normal(size=n)), lambda r, n: np.abs(r.standard_t(3, n)), lambda r, n: r.pareto(1.5, n)]
)
@pytest.mark.parametrize("level", [0.05, 0.005, 0.0005])
def test_p_values_are_valid_also_far_beyond_what_a_rank_can_tell(draw, level):
    """100 past scores: a rank alone is never below 1/101 but by lot."""
    rng = np.random.default_rng(5)
    n = 20_000 if level < 0.01 else 4_000
    hits = sum(tails.tail_p(scores[:-1], scores[-1], rng.random()) <= level for scores in draw(rng, (n, 101)))
    assert hits / n <= level + 3 * np.sqrt(level / n)  # Pareto 1.5 at 0.0005: 11 of 20,000, normal: 0


def test_the_further_the_smaller_and_a_low_score_is_nothing():
    past = np.linspace(0.1, 3.0, 100)
    assert tails.tail_p(past, 30.0, 0.5) < tails.tail_p(past, 6.0, 0.5) < 1 / 101
    assert tails.tail_p(past, 0.0, 0.5) == pytest.approx(1.0, abs=0.01)


def test_where_nothing_was_ever_seen_its_own_scale_counts():
    assert tails.tail_p(np.zeros(100), 2.0, 0.5, 3.0) == pytest.approx(0.5 / 101)
    assert tails.tail_p(np.zeros(100), 300.0, 0.5, 3.0) == pytest.approx(0.01 / 101)


def test_every_bet_is_an_e_value_for_a_uniform_p():
    grid = (np.arange(2**18) + 0.5) / 2**18
    for place, level in enumerate(tails.LEVELS):
        won = tails.RESERVE + (1 - tails.RESERVE) / level * np.mean(grid <= level)
        assert won == pytest.approx(1.0)
        assert tails.tail_bets(level)[place] == pytest.approx((1 - tails.RESERVE) / level + tails.RESERVE)


def test_a_tail_index_is_bounded():
    rng = np.random.default_rng(6)
    assert tails.tail_index(np.abs(rng.normal(size=500))) == tails.LIGHTEST
    assert tails.tail_index(rng.pareto(2.0, 5000) + 1) == pytest.approx(2.0, abs=0.3)
    assert tails.tail_index(np.zeros(100)) == tails.HEAVIEST


def test_the_example_runs():
    assert doctest.testmod(tails)[0] == 0

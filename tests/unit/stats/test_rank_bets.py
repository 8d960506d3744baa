import numpy as np
import pytest

from flyball.stats import rank_bets


@pytest.mark.parametrize("n", [1, 12, 200])
def test_every_bet_has_mean_one_over_the_ranks(n):
    earlier = rank_bets.ranks_of(range(n))
    bets = [rank_bets.rank_bets(earlier, place - 0.5) for place in range(n + 1)]
    assert np.mean(bets, axis=0) == pytest.approx(np.ones(len(rank_bets.SHIFTS)), abs=1e-9)


def test_a_value_that_ties_with_all_is_worth_nothing_either_way():
    assert rank_bets.rank_bets(rank_bets.ranks_of([0.5] * 20), 0.5) == pytest.approx((1.0,) * len(rank_bets.SHIFTS))


def test_an_empty_sample_bets_nothing():
    assert rank_bets.rank_bets(rank_bets.Ranks(), 3.0) == pytest.approx((1.0,) * len(rank_bets.SHIFTS))


def test_a_higher_rank_is_worth_more():
    earlier = rank_bets.ranks_of(range(30))
    worth = np.asarray([rank_bets.rank_bets(earlier, place - 0.5) for place in range(31)])
    assert (np.diff(worth, axis=0) > 0).all()


@pytest.mark.parametrize("kind", ["normal", "heavy", "rising"])
def test_a_long_sample_stays_small_and_its_ranks_true(kind):
    rng = np.random.default_rng(41)
    drawn = rng.pareto(1.5, 20_000) if kind == "heavy" else rng.normal(size=20_000)
    if kind == "rising":
        drawn = np.sort(drawn)
    ranks = rank_bets.ranks_of(drawn.tolist())
    assert ranks.n == 20_000
    assert len(ranks.values) <= rank_bets.MOST_VALUES
    assert list(ranks.values) == sorted(set(ranks.values))
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        limit = np.quantile(drawn, share)
        kept = sum(count for value, count in zip(ranks.values, ranks.counts, strict=True) if value > limit)
        assert kept == pytest.approx(20_000 * (1.0 - share), rel=0.06)  # measured: at most 0.035

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from flyball.autopilot.entrants import Entrant, Strategy, entrant_of
from flyball.autopilot.tournament import ALPHA, SHARES, PastTournament, Standing, belief, judge, order
from flyball.records.findings import IncidentKind

DAY = datetime(2026, 3, 1, tzinfo=UTC)
FREE = (Entrant(Strategy.RECALIBRATE), Entrant(Strategy.EARLIER, "u1"))
TRAINED = (Entrant(Strategy.ALL), Entrant(Strategy.WEIGHTED, "15d"), Entrant(Strategy.RECENT, "15d"))


def losses(draw: np.random.Generator, windows: int, rows: int, day: float = 0.0) -> np.ndarray:
    """Brier-like losses that share what `day` says by window."""
    shared = np.repeat(draw.normal(0.0, day, windows), rows)
    return np.clip(draw.beta(1.0, 4.0, windows * rows) + shared, 0.0, 1.0)


def placed(windows: int, rows: int) -> np.ndarray:
    return np.repeat(np.arange(windows), rows)


def held(winner: str | None, gains: dict[str, float], kind: IncidentKind | None = None, day: int = 0) -> PastTournament:
    standings = tuple(
        Standing(entrant=name, estimate=0.2 * gain, lower=0.0, upper=1.0, alpha=0.1, relative=gain, windows=1, rows=500)
        for name, gain in gains.items()
    )
    return PastTournament(at=DAY + timedelta(days=day), kind=kind, growth=1.0, excess=0.0, standings=standings, winner=winner)


FITTED, MAPPED = ("all", "weighted:15d", "recent:15d"), ("recalibrate", "rethreshold")
EARLIER = tuple(f"earlier:u{k}" for k in range(8))


@pytest.mark.parametrize("windows", [1, 3, 16])
@pytest.mark.parametrize(
    ("names", "share"),
    [
        (FITTED[:1], SHARES[0]), (FITTED, SHARES[0]), (MAPPED, SHARES[1]), (EARLIER[:1], SHARES[2]), (EARLIER, SHARES[2]),
        ((*FITTED, *MAPPED, *EARLIER), 1.0),
    ],
    ids=["all", "fitted", "mapped", "one earlier", "earlier", "of every group"],
)  # fmt: skip
def test_where_nobody_is_better_a_winner_is_named_no_more_often_than_its_group_may(windows, names, share):
    draw, wrong, tournaments, stated = np.random.default_rng([3, windows, len(names)]), 0, 400, ALPHA * share
    for _ in range(tournaments):
        champion = losses(draw, windows, 80)
        others = {name: losses(draw, windows, 80) for name in names}
        wrong += judge(champion, others, placed(windows, 80)).winner is not None
    # three standard errors of 400 draws above the claim
    assert wrong / tournaments <= stated + 3.0 * np.sqrt(stated * (1 - stated) / tournaments)


@pytest.mark.parametrize("windows", [4, 5, 16])
def test_days_that_differ_as_wholes_name_a_winner_no_more_often_where_enough_of_them_were_seen(windows):
    draw, wrong, by_rows, tournaments, alpha = np.random.default_rng([5, windows]), 0, 0, 300, 0.1
    for _ in range(tournaments):
        champion = 0.2 + losses(draw, windows, 100) / 2.0
        other = 0.2 + losses(draw, windows, 100) / 2.0 + np.repeat(draw.normal(0.0, 0.03, windows), 100)
        wrong += judge(champion, {"all": other}, placed(windows, 100), alpha).winner is not None
        newest = (champion - other)[-100:]
        by_rows += newest.mean() > 1.2816 * newest.std() / 10.0
    assert wrong <= tournaments * alpha + 2.0 * np.sqrt(tournaments * alpha * (1 - alpha))
    assert by_rows > 2 * tournaments * alpha  # what the spread of windows is for


@pytest.mark.parametrize("windows", [4, 5])
def test_what_began_with_the_newest_window_is_no_spread_among_days(windows):
    draw, seen, tournaments = np.random.default_rng([6, windows]), 0, 100
    for _ in range(tournaments):
        champion = 0.2 + losses(draw, windows, 400) / 2.0
        other = champion + draw.normal(0.0, 0.1, champion.size) - 0.15 * (placed(windows, 400) == windows - 1)
        seen += judge(champion, {"earlier:u1": np.clip(other, 0.0, 1.0)}, placed(windows, 400)).winner is not None
    assert seen >= 95


@pytest.mark.parametrize(
    ("share", "says", "knows", "windows", "rows"),
    [(0.03, 0.0075, 0.03, 4, 25), (0.05, 0.0, 0.1, 3, 50), (0.005, 0.0, 0.01, 3, 500), (0.1, 0.0, 1.0, 1, 50), (0.03, 0.0, 1.0, 3, 300)],
    ids=["a quarter", "never", "never in many rows", "never beside always", "never beside always in many rows"],
)  # fmt: skip
def test_who_never_foresees_a_rare_class_wins_no_more_often_because_it_did_not_come(share, says, knows, windows, rows):
    draw, wrong, tournaments, stated = np.random.default_rng([6, windows, rows]), 0, 200, ALPHA * SHARES[0]
    for _ in range(tournaments):
        came = (draw.random(windows * rows) < share).astype(float)
        if (
            knows == 1.0
        ):  # the most that rows can differ by: one loses the share of the class on every row, the other 1 on each that is of it
            champion, other = np.full(came.size, share), came
        else:
            champion, other = (knows - came) ** 2, (says - came) ** 2
        wrong += judge(champion, {"all": other}, placed(windows, rows)).winner is not None
    assert wrong <= tournaments * stated


def test_who_foresees_a_rare_class_wins_where_enough_of_it_came():
    draw, found = np.random.default_rng(9), 0
    for _ in range(100):
        chance = 1.0 / (1.0 + np.exp(3.5 - 1.5 * draw.standard_normal(1_000)))
        came = (draw.random(1_000) < chance).astype(float)
        found += judge((chance.mean() - came) ** 2, {"all": (chance - came) ** 2}, placed(1, 1_000)).winner == "all"
    assert found >= 95


def test_what_never_differed_is_not_known_exactly():
    champion = np.full(100, 0.3)
    assert judge(champion, {"all": champion - 0.2}, placed(1, 100)).standings[0].error > 0.02


def test_a_gain_of_a_tenth_is_seen_in_one_window_of_a_thousand_rows():
    draw, found = np.random.default_rng(7), 0
    for _ in range(100):
        champion = losses(draw, 1, 1_000)
        better = np.clip(champion * 0.9 + draw.normal(0.0, 0.05, champion.size), 0.0, 1.0)
        found += judge(champion, {"all": better, "recent:9d": champion}, placed(1, 1_000)).winner == "all"
    assert found >= 95


def test_a_small_gain_that_lasts_is_seen_in_the_longer_run():
    draw = np.random.default_rng(8)
    champion = losses(draw, 16, 100)
    better = np.clip(champion * 0.95 + draw.normal(0.0, 0.08, champion.size), 0.0, 1.0)
    found = judge(champion, {"earlier:u1": better}, placed(16, 100))
    assert found.winner == "earlier:u1"
    assert found.standings[0].windows > 4


def test_what_was_better_long_ago_and_is_worse_now_does_not_win():
    champion = np.full(1_600, 0.3)
    other = np.where(placed(16, 100) < 14, 0.1, 0.5) + np.tile([0.0, 0.01], 800)
    found = judge(champion, {"earlier:u1": other}, placed(16, 100))
    assert found.winner is None
    assert found.standings[0].estimate < 0.0


@pytest.mark.parametrize("name", ["earlier:u1", "recalibrate"])
def test_whom_a_regime_has_left_is_not_brought_back_by_the_windows_of_that_regime(name):
    """Fourteen windows of another regime differ by so much that nothing of the newest two is sure beside them, but by their rows."""
    draw = np.random.default_rng(12)
    champion = np.where(placed(16, 400) < 14, 0.6, 0.02) + draw.uniform(0.0, 0.02, 6_400)
    other = np.where(placed(16, 400) < 14, 0.1 + placed(16, 400) / 40, 0.07) + draw.uniform(0.0, 0.02, 6_400)
    assert judge(champion, {name: other}, placed(16, 400)).winner is None


def test_a_sure_gain_of_next_to_nothing_does_not_win():
    champion = np.full(10_000, 0.2)
    found = judge(champion, {"all": champion - 4e-4}, placed(1, 10_000))
    assert found.standings[0].lower > 0.0
    assert found.winner is None


def test_rows_that_an_entrant_learned_from_do_not_judge_it():
    champion = np.full(300, 0.3)
    learned = np.where(placed(3, 100) < 2, np.nan, 0.2)
    found = judge(champion, {"all": learned, "recent:9d": np.full(300, np.nan)}, placed(3, 100))
    assert [(each.entrant, each.rows, each.windows) for each in found.standings] == [("all", 100, 1)]


def test_too_few_rows_prove_nothing():
    found = judge(np.full(15, 0.9), {"all": np.zeros(15)}, placed(1, 15))
    assert found.winner is None
    assert (found.standings[0].lower, found.standings[0].upper) == (-1.0, 1.0)


def test_earlier_units_take_nothing_from_what_was_trained_for_the_tournament():
    champion, better = np.tile([0.4, 0.2], 100), np.tile([0.3, 0.2], 100)
    one, many = (
        judge(champion, {"all": better, **{f"earlier:{k}": champion for k in range(count)}}, placed(2, 100)).standings[0]
        for count in (1, 20)
    )
    assert (one.entrant, one.lower) == (many.entrant, many.lower)


def test_each_is_judged_by_its_share_of_the_error_rate_and_the_shares_are_no_more_than_the_whole():
    champion = np.tile([0.4, 0.2], 100)
    found = judge(champion, dict.fromkeys(("all", "recent:9d", "recalibrate", "earlier:u1"), champion), placed(2, 100), alpha=0.2)
    shares = {each.entrant: each.alpha for each in found.standings}
    assert shares == {"all": 0.06, "recent:9d": 0.06, "recalibrate": 0.06, "earlier:u1": 0.02}


def test_the_words_have_both_ends_and_say_among_how_many_it_was_the_best():
    champion, better = np.tile([0.4, 0.2], 100), np.tile([0.1, 0.2], 100)
    words = judge(champion, {"all": better, "recent:9d": champion}, placed(2, 100)).words
    assert words.startswith("all: mean loss -0.1500 against the champion's (-0.1")
    assert words.endswith("on 200 rows of the newest 2 windows, the best of 2: better")
    assert judge(champion, {}, placed(2, 100)).words == "no entrant answered rows that neither it nor the champion learned from"


@pytest.mark.parametrize(
    ("champion", "entrant", "windows", "said"),
    [
        ([0.1, 1.4], [0.1, 0.1], [0, 0], r"losses in \[0, 1\]"),
        ([0.1, 0.2], [0.1], [0, 0], "the same rows for all: 2 losses of the champion, 1 of an entrant"),
        ([0.1, 0.2], [0.1, 0.1], [1, 0], "a window for each of 2 rows, in order of time"),
        ([0.1, 0.2], [0.1, 0.1], [0], "a window for each of 2 rows, in order of time"),
    ],
)
def test_what_does_not_fit_is_refused(champion, entrant, windows, said):
    with pytest.raises(ValueError, match=said):
        judge(champion, {"all": entrant}, windows)


def test_all_that_cost_no_training_take_part_and_trainings_are_bounded():
    asked = order((), None, (*FREE, *TRAINED), seed=1)
    assert asked[:2] == FREE
    assert 1 <= sum(each.trains for each in asked) <= 2
    assert order((), None, (*FREE, *TRAINED), seed=1, most_fits=0) == FREE


def test_the_same_past_gives_the_same_order_and_another_may_not():
    firsts = {order((), None, TRAINED, seed)[0] for seed in range(40)}
    assert order((), None, TRAINED, seed=3) == order((), None, TRAINED, seed=3)
    assert len(firsts) > 1


def test_with_experience_fewer_are_trained():
    past = tuple(held("weighted:15d", {"weighted:15d": 0.1, "all": 0.0, "recent:15d": -0.2}, day=k) for k in range(6))
    none, many = (sum(len(order(known, None, TRAINED, seed)) for seed in range(40)) for known in ((), past))
    assert many < none
    assert sum(order(past, None, TRAINED, seed)[0].strategy is Strategy.WEIGHTED for seed in range(40)) >= 35


def test_what_helped_tells_of_what_forgets_more():
    past = (held("weighted:15d", {"all": 0.0, "weighted:15d": 0.15}),)
    before, after = (belief(known, None, [Strategy.RECENT]).mean[0] for known in ((), past))
    assert after > before + 0.03


def test_an_incident_of_another_kind_counts_less():
    gains = {"recent:15d": 0.3}
    here, elsewhere = (
        belief((held("recent:15d", gains, kind),), IncidentKind.CONCEPT_SHIFT, [Strategy.RECENT]).mean[0]
        for kind in (IncidentKind.CONCEPT_SHIFT, IncidentKind.COVARIATE_SHIFT)
    )
    assert here > elsewhere


def test_what_a_winner_really_gave_counts_rather_than_what_was_promised():
    promised = held("all", {"all": 0.3})
    kept = PastTournament(
        at=promised.at, kind=None, growth=1.0, excess=0.0, standings=promised.standings, winner="all", realised=-0.1
    )
    nothing, in_vain = (msgspec.structs.replace(promised, **became) for became in ({"realised": 0.0}, {"in_vain": True}))
    gains = [belief((each,), None, [Strategy.ALL]).mean[0] for each in (kept, nothing, in_vain, promised)]
    assert gains[0] < gains[1] == gains[2] < gains[3]


def test_a_concept_shift_is_first_answered_by_what_forgets():
    entrants = (*TRAINED, entrant_of("since:2026-02-20T00:00:00+00:00"))
    firsts = [order((), IncidentKind.CONCEPT_SHIFT, entrants, seed)[0].strategy for seed in range(40)]
    assert sum(strategy in {Strategy.SINCE, Strategy.RECENT} for strategy in firsts) > 20

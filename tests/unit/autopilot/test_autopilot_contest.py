"""Who of a tournament goes on, from its standings alone."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from flyball.autopilot import tournament
from flyball.autopilot.contest import COST_GAIN, LOSS_GAIN, ContestPolicy, ContestSituation, decide, winner
from flyball.records.evidence import Evidence, Outcome
from flyball.records.tournaments import Entrant, Standings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def entrant(name: str, lower: float, value: float = 0.1, what: str = LOSS_GAIN, *, fitted: bool = True) -> Entrant:
    gain = Evidence(name=what, value=value, lower=lower, upper=value + 0.1, alpha=0.01, n=500)
    return Entrant(name=name, fitted=fitted, gain=gain)


def standings(*entrants: Entrant) -> Standings:
    return Standings(champion="u1", champion_loss=0.2, rows=500, since=NOW, until=NOW, alpha=0.05, entrants=entrants)


def plan_of(*entrants: Entrant, champion: str | None = "u1"):
    return decide(ContestSituation(job="j-0003", champion=champion, standings=standings(*entrants)), ContestPolicy(), NOW)


def test_the_highest_lower_end_wins_and_not_the_highest_estimate() -> None:
    found = winner(standings(entrant("all", 0.01, 0.3), entrant("recent:9d", 0.02, 0.1)))
    assert found is not None
    assert found.name == "recent:9d"


def test_nobody_wins_whose_interval_reaches_down_to_nothing() -> None:
    plan = plan_of(entrant("all", 0.0), entrant("recent:9d", -0.02), Entrant(name="weighted:9d", fitted=True, words="no keyword"))
    assert [action.kind for action in plan.actions] == ["refuse"]
    assert plan.outcome is Outcome.FAIL
    assert plan.rationale.startswith("Nobody is shown to be better than u1: all loses 0.1 less a row")
    assert "weighted:9d did not compete (no keyword)" in plan.rationale
    assert [verdict.outcome for verdict in plan.verdicts] == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE, Outcome.ERROR]


def test_a_threshold_wins_only_where_no_answers_do() -> None:
    by_threshold = entrant("rethreshold", 0.05, what=COST_GAIN, fitted=False)
    assert winner(standings(by_threshold, entrant("all", 0.001))).name == "all"
    assert winner(standings(by_threshold, entrant("all", -0.001))).name == "rethreshold"


@pytest.mark.parametrize(("fitted", "kind"), [(True, "register"), (False, "release")])
def test_what_was_trained_is_gated_and_what_is_there_is_released(fitted: bool, kind: str) -> None:
    plan = plan_of(entrant("x", 0.01, fitted=fitted), entrant("worse", -0.2, -0.1))
    assert [(action.kind, action.arguments) for action in plan.actions] == [(kind, {"entrant": "x"})]
    assert "in at most 5% of tournaments in which nobody is" in plan.rationale
    assert "worse loses 0.1 more a row" in plan.rationale


def test_a_winner_that_was_taken_back_is_refused_in_words_and_nobody_goes_on_in_its_place() -> None:
    held = standings(entrant("recalibrate", 0.05, fitted=False), entrant("earlier:u0", 0.01, fitted=False))
    situation = ContestSituation(job="j-0003", champion="u1", standings=held, taken_back="it would be what r-0002 took back (u2)")
    plan = decide(situation, ContestPolicy(), NOW)
    assert [action.kind for action in plan.actions] == ["refuse"]
    assert plan.outcome is Outcome.FAIL
    assert "and is not released by itself: it would be what r-0002 took back (u2). The others: earlier:u0 loses" in plan.rationale
    assert [verdict.outcome for verdict in plan.verdicts] == [Outcome.PASS, Outcome.PASS]


@pytest.mark.parametrize("champion", ["u2", None])
def test_beside_a_champion_that_is_another_by_now_nobody_goes_on(champion: str | None) -> None:
    plan = plan_of(entrant("all", 0.1), champion=champion)
    assert [action.kind for action in plan.actions] == ["refuse"]
    assert "u1, beside which everybody was judged, is champion no more" in plan.rationale


def test_with_no_entrants_it_says_that_nobody_competed() -> None:
    assert "nobody competed" in plan_of().rationale


def test_where_nobody_is_better_somebody_is_called_so_no_more_often_than_stated() -> None:
    """Five entrants whose losses differ from the champion's by chance alone, on rows of ten windows; 400 tournaments."""
    draw, called = np.random.default_rng(20261126), 0
    place = np.repeat(np.arange(10), 60)
    for _ in range(400):
        champion = draw.beta(1, 4, place.size)
        losses = {f"recent:{n}d": np.clip(champion + draw.normal(0, 0.1, place.size), 0, 1) for n in range(1, 6)}
        # Clipping makes noisy losses a little worse or better on average: the mean difference is put back to nothing.
        losses = {
            name: np.clip(each - each.mean() + champion.mean() + draw.normal(0, 0.1 / np.sqrt(place.size)), 0, 1)
            for name, each in losses.items()
        }
        judged = tournament.judge(champion, losses, place, 0.05)
        found = standings(*(entrant(each.entrant, each.lower, each.estimate) for each in judged.standings))
        called += winner(found) is not None
    assert called <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_the_plan_is_the_same_for_the_same_standings_in_any_order() -> None:
    one, other = entrant("all", 0.02), entrant("since:x", 0.02)
    first, second = plan_of(one, other), plan_of(other, one)
    assert first.actions == second.actions
    assert msgspec.json.encode(plan_of(one, other)) == msgspec.json.encode(first)


def held(windows: int, draw: np.random.Generator) -> Standings:
    """Two fitted ones who are no better on average: each has good and bad days beside the champion, by far more than rows differ."""
    place = np.repeat(np.arange(windows), 300)
    champion = draw.uniform(0.3, 0.7, place.size)
    losses = {
        name: np.clip(champion + draw.normal(0, 0.05, windows)[place] + draw.normal(0, 0.05, place.size), 0, 1)
        for name in ("all", "recent:9d")
    }
    judged = tournament.judge(champion, losses, place)
    found = (
        msgspec.structs.replace(entrant(each.entrant, each.lower, each.estimate), windows=each.windows, spread_of=each.spread_of)
        for each in judged.standings
    )
    return msgspec.structs.replace(standings(*found), alpha=tournament.ALPHA)


@pytest.mark.parametrize("windows", [1, 3, 5, 12])
def test_an_error_rate_is_named_only_where_days_that_differ_keep_it(windows: int) -> None:
    draw, times, named, called = np.random.default_rng(20261128), 400, 0, 0
    for _ in range(times):
        situation = ContestSituation(job="j-0003", champion="u1", standings=held(windows, draw))
        plan = decide(situation, ContestPolicy(), NOW)
        named += plan.outcome is Outcome.PASS and "in at most 30% of tournaments" in plan.rationale
        called += plan.outcome is Outcome.PASS
        assert plan.outcome is not Outcome.PASS or ("%" in plan.rationale) != ("what differs from day to day" in plan.rationale)
    assert named <= times * 0.3 + 3 * np.sqrt(times * 0.3 * 0.7)
    if windows < tournament.LEAST_WINDOWS:
        assert named == 0
        assert called > times * 0.5, "what would have been said of them"


def test_it_says_on_how_many_windows_a_winner_was_judged_whose_days_are_not_known() -> None:
    plan = plan_of(msgspec.structs.replace(entrant("all", 0.02), windows=1, spread_of=0))
    assert plan.rationale.endswith(
        "better than u1 on those rows (of 1 who competed; judged on 1 window: what differs from day to day is not in the interval, nor in any error rate)."
    )
    two = plan_of(msgspec.structs.replace(entrant("all", 0.02), windows=2, spread_of=0))
    assert "judged on 2 windows" in two.rationale


def test_a_decision_on_standings_of_an_earlier_release_is_made_again_in_its_own_words() -> None:
    told = "better than u1 (of 1 who competed; anybody is called so in at most 5% of tournaments in which nobody is)."
    assert plan_of(msgspec.structs.replace(entrant("all", 0.02), windows=1)).rationale.endswith(told)

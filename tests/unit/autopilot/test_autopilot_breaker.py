from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.autopilot.breaker import GUARDS, PERSON, BreakerPolicy, ChampionMove, EndedAct, trip
from flyball.autopilot.decide import AutopilotPolicy, AutopilotSituation, PastAction, Rule, decide
from flyball.records import codec
from flyball.records.bounds import Breaker

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = timedelta(days=1)
QUIET = {"performance.alarm": False, "performance.loss_increase": 0.0}
HARM = {"performance.alarm": True, "performance.loss_increase": 0.021}


def ended(*failed, action="retrain"):
    return tuple(
        EndedAct(action=action, at=NOW - (len(failed) - place) * DAYS, failed=each, words=f"j-{place:04d}")
        for place, each in enumerate(failed)
    )


def moved(*hands):
    """(days ago, before, after, by)"""
    return tuple(ChampionMove(at=NOW - ago * DAYS, before=before, after=after, by=by) for ago, before, after, by in hands)


@pytest.mark.parametrize(
    ("acts", "opens"),
    [
        ((), False),
        ((True, True), False),
        ((True, True, True), True),
        ((True, True, False), False),
        ((True, False, True, True), False),
        ((False, True, True, True), True),
        ((True, True, True, False), False),
    ],
)
def test_it_opens_when_as_many_acts_as_it_bears_failed_in_a_row(acts, opens):
    found = trip(ended(*acts), (), BreakerPolicy(), NOW)
    assert (found is not None) is opens
    if found is not None:
        assert found.actions == ("retrain",)
        assert "3 actions failed in a row" in found.words


ONE = ((9, "a", "b", "retrain"), (8, "b", "a", "roll_back"))
TWO = ((5, "a", "d", "retrain"), (4, "d", "a", GUARDS))


@pytest.mark.parametrize(
    ("hands", "opened_for"),
    [
        (ONE, None),
        ((*ONE, *TWO), ("retrain", "roll_back")),
        (((9, "a", "b", "retrain"), (8, "b", "a", GUARDS), *TWO), ("retrain",)),
        # A → B → A → B → A goes to and fro three times.
        (((9, "a", "b", "roll_back"), (8, "b", "a", "roll_back"), (7, "a", "b", "roll_back")), ("roll_back",)),
        # By a person's hand it is none of the autopilot's.
        (((9, "a", "b", PERSON), (8, "b", "a", "roll_back"), *TWO), None),
        (((9, "a", "b", "retrain"), (8, "b", "a", PERSON), *TWO), None),
        (((9, "a", "b", GUARDS), (8, "b", "a", GUARDS), *TWO), None),
        # On to another one is no way back.
        (((9, "a", "b", "retrain"), (8, "b", "c", "retrain"), (7, "c", "a", "roll_back"), *TWO), None),
        # Longer ago, or slower, than flip-flops count.
        (((32, "a", "b", "retrain"), (30, "b", "a", "roll_back"), *TWO), None),
        (((40, "a", "b", "retrain"), (8, "b", "a", "roll_back"), *TWO), None),
    ],
)
def test_it_opens_when_the_champion_goes_to_and_fro_by_the_autopilots_own_hand(hands, opened_for):
    found = trip((), moved(*hands), BreakerPolicy(), NOW)
    assert (found.actions if found else None) == opened_for


def rule(**changes):
    given = {
        "name": "retrain-on-harm", "when": "performance.alarm", "for_windows": 1, "action": "retrain", "history": None, "message": "",
        "cooldown": 0 * DAYS, "budget_times": None, "budget_per": None, "approval": False,
    }  # fmt: skip
    return Rule(**{**given, **changes})


def planned(*rules, **changes):
    given = {"signals_by_window": (HARM,), "busy": None, "past": (), "champion": "u2", "previous_champion": "u1"}
    return decide(AutopilotSituation(**{**given, **changes}), AutopilotPolicy(model="m", rules=rules), NOW)


OPEN = Breaker(opened_at=NOW - DAYS, decision="d-000007", actions=("retrain",), words="3 actions failed in a row")


def test_the_decision_that_opens_it_bars_what_it_would_have_done_and_says_why():
    plan = planned(
        rule(), rule(name="back", action="roll_back"), rule(name="tell", action="notify"), ended=ended(True, True, True)
    )
    assert [action.kind for action in plan.actions] == ["open_breaker", "nothing", "nothing", "notify"]
    assert plan.actions[0].arguments["for"] == ["retrain"]
    assert plan.rule == "breaker, retrain-on-harm, back, tell"
    assert "j-0000, j-0001, j-0002" in plan.rationale
    assert "flyball breaker close" in plan.rationale


def test_it_opens_though_no_condition_holds_and_not_where_no_policy_could_do_what_it_bars():
    assert [action.kind for action in planned(rule(), signals_by_window=(QUIET,), ended=ended(True, True, True)).actions] == [
        "open_breaker"
    ]
    assert [action.kind for action in planned(rule(action="notify"), ended=ended(True, True, True)).actions] == ["notify"]


def test_while_it_is_open_no_policy_acts_or_asks_and_it_does_not_open_again():
    plan = planned(
        rule(), rule(name="x", approval=True), rule(name="tell", action="notify"), breaker=OPEN, ended=ended(True, True, True)
    )
    assert [action.kind for action in plan.actions] == ["nothing", "nothing", "notify"]
    assert "the breaker is open since 2026-05-31T00:00:00+00:00, and a person closes it" in plan.rationale


def test_after_a_person_has_closed_it_policies_act_again():
    shut = Breaker(**{**codec.plain(OPEN), "opened_at": OPEN.opened_at, "closed_at": NOW, "actions": ("retrain",)})
    assert [action.kind for action in planned(rule(), breaker=shut).actions] == ["retrain"]


def lived(policy, windows, fates, *, days=1):
    """The plans of a loop whose retrainings end as `fates` say, over signals that flap; and when it retrained."""
    past, acts, breaker, plans, told = (), (), None, [], []
    for number in range(windows):
        now = NOW + number * days * DAYS
        seen = AutopilotSituation(
            signals_by_window=(HARM if number % 2 else QUIET,), busy=None, past=past, champion="u2", previous_champion="u1",
            breaker=breaker, ended=acts,
        )  # fmt: skip
        plan = decide(seen, policy, now)
        replayed = decide(
            codec.decode(codec.encode(seen), AutopilotSituation), codec.decode(codec.encode(policy), AutopilotPolicy), now
        )
        assert codec.encode(replayed) == codec.encode(plan)
        plans.append(plan)
        for action in plan.actions:
            if action.kind == "retrain":
                past = (*past, PastAction(policy=action.arguments["policy"], action="retrain", at=now))
                acts = (*acts, EndedAct(action="retrain", at=now, failed=fates[len(told) % len(fates)], words="j"))
                told.append(now)
            if action.kind == "open_breaker":
                breaker = Breaker(
                    opened_at=now, decision="d", actions=tuple(action.arguments["for"]), words=action.arguments["words"]
                )
    return plans, told


def opened(plans):
    return sum(action.kind == "open_breaker" for plan in plans for action in plan.actions)


def test_a_signal_that_flaps_for_500_windows_and_whose_acts_fail_opens_it_once_and_then_nothing_is_done():
    plans, retrained = lived(AutopilotPolicy(model="m", rules=(rule(),)), 500, [True])
    assert len(retrained) == 3
    assert opened(plans) == 1


def test_a_signal_that_flaps_for_500_windows_and_whose_acts_succeed_keeps_to_its_budget():
    policy = AutopilotPolicy(model="m", rules=(rule(budget_times=4, budget_per=30 * DAYS),))
    plans, retrained = lived(policy, 500, [False])
    assert opened(plans) == 0
    assert len(retrained) <= 4 * 500 / 30 + 4
    assert all(sum(start <= at < start + 30 * DAYS for at in retrained) <= 4 for start in retrained)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=7), st.integers(1, 5))
def test_whatever_becomes_of_acts_none_follows_as_many_failures_as_it_bears(fates, failures):
    policy = AutopilotPolicy(model="m", rules=(rule(),), breaker=BreakerPolicy(failures=failures))
    plans, retrained = lived(policy, 60, fates)
    run, longest = 0, 0
    for number in range(len(retrained)):
        run = run + 1 if fates[number % len(fates)] else 0
        longest = max(longest, run)
        assert run < failures or number == len(retrained) - 1
    assert opened(plans) == (longest >= failures)

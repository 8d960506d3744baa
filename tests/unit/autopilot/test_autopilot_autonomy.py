from datetime import UTC, datetime, timedelta

import pytest

from flyball.autopilot.autonomy import LEVELS, above, below, level_of
from flyball.autopilot.breaker import EndedAct
from flyball.autopilot.decide import AutopilotPolicy, AutopilotSituation, PastAction, Rule, decide

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = timedelta(days=1)


@pytest.mark.parametrize("configured", LEVELS)
@pytest.mark.parametrize("most", LEVELS)
def test_the_lesser_of_what_is_set_and_what_is_left_counts(configured, most):
    found = level_of("retrain", {"retrain": configured}, {"retrain": most})
    assert LEVELS.index(found) == min(LEVELS.index(configured), LEVELS.index(most))
    assert level_of("retrain", {}, {}) == "act"


def test_levels_fall_and_rise_by_one_step_and_end_at_their_ends():
    assert [below(level) for level in LEVELS] == ["observe", "observe", "propose"]
    assert [above(level) for level in LEVELS] == ["propose", "act", "act"]


def rule(**changes):
    given = {
        "name": "p", "when": "performance.alarm", "for_windows": 1, "action": "retrain", "history": "60d", "message": "",
        "cooldown": 0 * DAYS, "budget_times": None, "budget_per": None, "approval": False,
    }  # fmt: skip
    return Rule(**{**given, **changes})


def planned(*rules, configured=None, **changes):
    given = {
        "signals_by_window": ({"performance.alarm": True},), "busy": None, "past": (), "champion": "u2", "previous_champion": "u1",
    }  # fmt: skip
    policy = AutopilotPolicy(model="m", rules=rules, autonomy=configured or {})
    return decide(AutopilotSituation(**{**given, **changes}), policy, NOW)


@pytest.mark.parametrize(
    ("configured", "most", "approval", "kind"),
    [
        ("act", {}, False, "retrain"),
        ("act", {}, True, "ask"),
        ("propose", {}, False, "ask"),
        ("observe", {}, False, "observe"),
        ("observe", {}, True, "observe"),
        ("act", {"retrain": "propose"}, False, "ask"),
        ("act", {"retrain": "observe"}, False, "observe"),
        ("propose", {"retrain": "observe"}, True, "observe"),
        ("act", {"roll_back": "observe"}, False, "retrain"),
    ],
)
def test_what_is_done_goes_no_further_than_its_level(configured, most, approval, kind):
    plan = planned(rule(approval=approval), configured={"retrain": configured}, most=most)
    (action,) = plan.actions
    assert action.kind == kind
    if kind != "retrain":
        done = {"kind": "retrain", "subject": "model:m", "arguments": {"policy": "p", "history": "60d", "champion": "u2"}}
        assert action.arguments == {"policy": "p", "action": done}
    assert "Retrain on 60d." in plan.rationale
    assert ("Only noted" in plan.rationale) is (kind == "observe")


def test_telling_a_person_has_no_level():
    plan = planned(rule(action="notify", history=None), configured={"retrain": "observe", "roll_back": "observe"})
    assert [action.kind for action in plan.actions] == ["notify"]


def test_a_rollback_to_nowhere_is_only_noted_where_rolling_back_is():
    back = rule(action="roll_back", history=None)
    plan = planned(back, configured={"roll_back": "observe"}, previous_champion=None)
    assert [action.kind for action in plan.actions] == ["observe"]
    assert [action.kind for action in planned(back, configured={"roll_back": "propose"}, previous_champion=None).actions] == [
        "notify"
    ]


def test_what_is_only_noted_is_in_nobodys_way():
    plan = planned(rule(), rule(name="back", action="roll_back", history=None), configured={"retrain": "observe"})
    assert [action.kind for action in plan.actions] == ["observe", "roll_back"]


def test_notes_keep_to_budget_and_cooldown_and_count_no_more_once_the_policy_may_act():
    noted = (PastAction(policy="p", action="observe", at=NOW - DAYS),)
    week = rule(cooldown=7 * DAYS)
    assert [action.kind for action in planned(week, configured={"retrain": "observe"}, past=noted).actions] == ["nothing"]
    assert [action.kind for action in planned(week, past=noted).actions] == ["retrain"]


@pytest.mark.parametrize(
    ("before", "after"), [("act", {"retrain": "propose"}), ("propose", {"retrain": "observe"}), ("observe", {})]
)
def test_what_the_breaker_opens_for_falls_by_one_step(before, after):
    acts = tuple(EndedAct(action="retrain", at=NOW - number * DAYS, failed=True, words="j") for number in (3, 2, 1))
    plan = planned(rule(), configured={"retrain": before}, ended=acts)
    assert plan.actions[0].kind == "open_breaker"
    assert plan.actions[0].arguments["levels"] == after
    assert (f"retrain falls from {before} to" in plan.rationale) is bool(after)

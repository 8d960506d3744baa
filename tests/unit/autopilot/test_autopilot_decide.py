from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.autopilot import considered, past
from flyball.autopilot.decide import AutopilotPolicy, AutopilotSituation, OpenIncident, PastAction, Rule, decide
from flyball.autopilot.situation import Foreseen
from flyball.records import codec
from flyball.records.decisions import Plan
from flyball.records.findings import FindingKind

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = timedelta(days=1)
QUIET = {"performance.alarm": False, "performance.loss_increase": 0.0, "drift.alarm": False, "champion.age_days": 31.0}
HARM = QUIET | {"performance.alarm": True, "performance.loss_increase": 0.021}


ENTRANTS = {
    "improve": ("recalibrate", "all"),
    "recalibrate": ("recalibrate",),
    "rethreshold": ("rethreshold",),
    "reactivate": ("earlier",),
}


def rule(**changes):
    given = {
        "name": "retrain-on-harm", "when": "performance.loss_increase > 0.02", "for_windows": 1, "action": "retrain", "history": None,
        "message": "", "cooldown": 0 * DAYS, "budget_times": None, "budget_per": None, "approval": False,
        "entrants": ENTRANTS.get(changes.get("action"), ()),
    }  # fmt: skip
    return Rule(**{**given, **changes})


def situation(**changes):
    given = {"signals_by_window": (HARM,), "busy": None, "past": (), "champion": "u2", "previous_champion": "u1"}
    return AutopilotSituation(**{**given, **changes})


def kinds(*rules, **changes):
    plan = decide(situation(**changes), AutopilotPolicy(model="m", rules=rules), NOW)
    return [action.kind for action in plan.actions], plan


def acted(days_ago, name="retrain-on-harm", action="retrain"):
    return PastAction(policy=name, action=action, at=NOW - days_ago * DAYS)


@pytest.mark.parametrize(
    ("rules", "changes", "expected", "said"),
    [
        ((rule(),), {"signals_by_window": (QUIET,)}, [], ""),
        ((rule(),), {}, ["retrain"], "performance.loss_increase is 0.021"),
        ((rule(for_windows=2),), {}, [], ""),
        ((rule(for_windows=2),), {"signals_by_window": (HARM, QUIET, HARM)}, [], ""),
        (
            (rule(for_windows=2),),
            {"signals_by_window": (QUIET, HARM, HARM)},
            ["retrain"],
            "held for 2 windows in a row (needed: 2)",
        ),
        (
            (rule(for_windows=2),),
            {"signals_by_window": (HARM, HARM)},
            ["retrain"],
            "held for 2 windows in a row or more (needed: 2)",
        ),
        ((rule(cooldown=7 * DAYS),), {"past": (acted(6),)}, ["nothing"], "the cooldown of 1w ends at"),
        ((rule(cooldown=7 * DAYS),), {"past": (acted(7),)}, ["retrain"], "it last acted 7.0 days ago"),
        ((rule(cooldown=7 * DAYS),), {"past": (acted(1, "another"),)}, ["retrain"], "it never acted before"),
        ((rule(budget_times=2, budget_per=30 * DAYS),), {"past": (acted(29), acted(20))}, ["nothing"], "2 per 30d is used up"),
        ((rule(budget_times=2, budget_per=30 * DAYS),), {"past": (acted(30), acted(20))}, ["retrain"], "1 of 2 per 30d used"),
        ((rule(),), {"busy": "j-0004"}, ["nothing"], "j-0004 is under way"),
        ((rule(action="notify"),), {"busy": "j-0004"}, ["notify"], "A person is told"),
        ((rule(action="roll_back"),), {}, ["roll_back"], "Roll back from u2 to u1"),
        ((rule(action="roll_back"),), {"previous_champion": None}, ["notify"], "no verified champion came before"),
        ((rule(approval=True),), {}, ["ask"], "A person is asked before: Retrain"),
        ((rule(approval=True),), {"open_approvals": ("retrain-on-harm",)}, ["nothing"], "no answer yet"),
        # Since it asked nothing was done: its question goes before what would otherwise keep it.
        (
            (rule(approval=True, cooldown=7 * DAYS),),
            {"open_questions": {"retrain-on-harm": "d-000012"}, "past": (acted(1, action="ask"),)},
            ["nothing"],
            "it last asked 1.0 days ago. Nothing is done: its question d-000012 has no answer yet",
        ),
        (
            (rule(approval=True),),
            {"past": (msgspec.structs.replace(acted(3, action="ask"), agreed=True),)},
            ["ask"],
            "it last acted 3.0 days ago",
        ),
        ((rule(action="ask", message="What now?"),), {}, ["ask"], "asked what to do: What now?"),
        ((rule(), rule(name="better", action="improve")), {}, ["retrain", "nothing"], "retrain-on-harm goes first"),
        ((rule(approval=True), rule(name="better", action="improve")), {}, ["ask", "nothing"], "goes first"),
        ((rule(), rule(name="back", action="roll_back")), {}, ["nothing", "roll_back"], "back goes first"),
        (
            (rule(), rule(name="back", action="roll_back"), rule(name="off", action="stop")),
            {},
            ["nothing", "nothing", "stop"],
            "off goes first",
        ),
        (
            (rule(), rule(name="back", action="roll_back")),
            {"previous_champion": None},
            ["retrain", "notify"],
            "a person must look",
        ),
        ((rule(cooldown=7 * DAYS),), {"past": (acted(-3650),)}, ["retrain"], "it never acted before"),
        ((rule(budget_times=1, budget_per=36_525 * DAYS),), {}, ["retrain"], "0 of 1 per"),
        ((rule(), rule(name="tell", action="notify", message="Look")), {}, ["retrain", "notify"], "A person is told: Look"),
        (
            (rule(cooldown=9 * DAYS), rule(name="back", action="roll_back")),
            {"past": (acted(1),)},
            ["nothing", "roll_back"],
            "cooldown",
        ),
        ((rule(),), {"champion": None}, [], ""),
        ((rule(),), {"signals_by_window": ()}, [], ""),
        ((rule(when="serving.alarm"),), {}, ["nothing"], "cannot be evaluated"),
        ((rule(history="60d"),), {}, ["retrain"], "Retrain on 60d"),
    ],
)
def test_what_is_done_and_why(rules, changes, expected, said):
    found, plan = kinds(*rules, **changes)
    assert found == expected
    assert said in plan.rationale
    assert bool(plan.rationale) is bool(plan.actions)


def test_a_question_carries_the_action_that_it_is_about():
    _, plan = kinds(rule(approval=True, history="60d"))
    (ask,) = plan.actions
    assert ask.arguments["action"] == {
        "kind": "retrain", "subject": "model:m", "arguments": {"policy": "retrain-on-harm", "history": "60d", "champion": "u2"},
    }  # fmt: skip


def test_a_decision_replays_to_the_same_bytes_from_what_is_stored():
    policy = AutopilotPolicy(
        model="m", rules=(rule(cooldown=7 * DAYS, budget_times=3, budget_per=30 * DAYS), rule(name="x", approval=True))
    )
    seen = situation(past=(acted(20), acted(9.5)))
    first = decide(seen, policy, NOW)
    again = decide(codec.decode(codec.encode(seen), AutopilotSituation), codec.decode(codec.encode(policy), AutopilotPolicy), NOW)
    assert codec.encode(again) == codec.encode(first)
    assert codec.decode(codec.encode(first), Plan) == first


rules_drawn = st.builds(
    lambda i, action, cool, times, per, need, held: rule(
        name=f"p{i}", action=action, cooldown=cool * DAYS, budget_times=times, budget_per=per * DAYS, approval=need, for_windows=held
    ),
    st.integers(0, 10_000), st.sampled_from(["retrain", "roll_back", "notify"]), st.integers(0, 9), st.integers(1, 4), st.integers(1, 20),
    st.booleans(), st.integers(1, 3),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(rules_drawn, min_size=1, max_size=3, unique_by=lambda item: item.name),
    st.lists(st.booleans(), min_size=5, max_size=60),
)
def test_over_any_history_no_budget_is_exceeded_and_no_cooldown_is_broken(rules, alarms):
    policy = AutopilotPolicy(model="m", rules=tuple(rules))
    signals, past = (), ()
    for number, alarm in enumerate(alarms):
        at = NOW + number * DAYS / 2
        signals = (*signals, HARM if alarm else QUIET)
        plan = decide(situation(signals_by_window=signals, past=past), policy, at)
        done = [action for action in plan.actions if action.kind != "nothing"]
        exclusive = [
            a
            for a in done
            if a.kind in {"retrain", "roll_back"} or a.arguments.get("action", {}).get("kind") in {"retrain", "roll_back"}
        ]
        assert len(exclusive) <= 1
        past += tuple(PastAction(policy=action.arguments["policy"], action=action.kind, at=at) for action in done)
    for item in rules:
        times = [action.at for action in past if action.policy == item.name]
        assert all(later - earlier >= item.cooldown for earlier, later in pairwise(times))
        assert all(sum(start <= at < start + item.budget_per for at in times) <= item.budget_times for start in times)


def test_a_flapping_signal_makes_no_storm():
    policy = AutopilotPolicy(model="m", rules=(rule(cooldown=7 * DAYS, budget_times=4, budget_per=30 * DAYS),))
    past = ()
    for number in range(90):
        seen = situation(signals_by_window=(HARM if number % 2 else QUIET,), past=past)
        for action in decide(seen, policy, NOW + number * DAYS).actions:
            if action.kind == "retrain":
                past = (*past, PastAction(policy="retrain-on-harm", action="retrain", at=NOW + number * DAYS))
    assert len(past) <= 12


def test_a_policy_that_could_act_at_every_window_lets_others_have_their_turn():
    """Documented together: a recalibration is over by the next window's end, so the first of them would take every look."""
    rules = (
        rule(name="cheaper", when="true", action="recalibrate"),
        rule(name="back", when="true", action="reactivate"),
        rule(name="monthly", when="true", cooldown=30 * DAYS),
    )
    policy, before, done = AutopilotPolicy(model="m", rules=rules), (), []
    for day in range(60):
        plan = decide(situation(past=before, earlier=("u1",)), policy, NOW + day * DAYS)
        (act,) = [action for action in plan.actions if action.kind != "nothing"]
        before = (*before, PastAction(policy=act.arguments["policy"], action=act.kind, at=NOW + day * DAYS))
        done.append(act.arguments["policy"])
    assert done.count("monthly") == 2
    assert abs(done.count("cheaper") - done.count("back")) <= 1


@pytest.mark.parametrize("cooldown", [DAYS / 2, DAYS])
def test_a_cooldown_that_is_over_by_the_next_window_keeps_nobody_from_acting(cooldown):
    rules = (rule(name="first", when="true", cooldown=cooldown), rule(name="second", when="true", history="all"))
    assert acts_of(rules, [NOW + day * DAYS for day in range(20)]) == ["first", "second"] * 10


def test_of_those_whose_cooldown_is_over_the_one_that_has_waited_longest_goes_first():
    rules = (rule(cooldown=DAYS), rule(name="second", cooldown=DAYS), rule(name="back", action="roll_back", when="drift.alarm"))
    before = (acted(2), acted(3, "second"), acted(1, "back", "roll_back"))
    found, _ = kinds(*rules, past=before)
    assert found == ["nothing", "retrain"]
    found, _ = kinds(*rules, past=before, signals_by_window=(HARM | {"drift.alarm": True},))
    assert found == ["nothing", "nothing", "roll_back"], "what ends harm at once waits for nobody"


def acts_of(rules, looks):
    """Names of who acted at each look."""
    policy, before = AutopilotPolicy(model="m", rules=rules), ()
    for at in looks:
        acts = [action for action in decide(situation(past=before), policy, at).actions if action.kind != "nothing"]
        before = (*before, *(PastAction(policy=act.arguments["policy"], action=act.kind, at=at) for act in acts))
    return [act.policy for act in before]


@pytest.mark.parametrize("bound", [{"cooldown": 2 * DAYS}, {"budget_times": 1, "budget_per": 2 * DAYS}])
def test_a_cooldown_or_budget_of_whole_windows_is_of_so_many_whatever_seconds_a_look_is_late(bound):
    late = [NOW + day * DAYS + timedelta(seconds=seconds) for day, seconds in enumerate([5, 2, 4, 1, 3] * 4)]
    every = rule(name="p", when="true", action="notify", window=DAYS, **bound)
    assert acts_of((every,), late) == ["p"] * 10
    recorded = msgspec.structs.replace(every, window=None)
    assert len(acts_of((recorded,), late)) < 10, "a decision of an earlier release replays as it was made"


def test_a_persons_yes_counts_from_its_own_moment():
    asked = rule(window=DAYS, cooldown=2 * DAYS)
    at = PastAction(policy=asked.name, action="ask", at=NOW - 2 * DAYS + timedelta(hours=9))
    found, plan = kinds(asked, past=(at,))
    assert found == ["nothing"]
    assert "ends at 2026-06-01T09:00:00+00:00" in plan.rationale
    assert kinds(asked, past=(msgspec.structs.replace(at, action="retrain"),))[0] == ["retrain"]


def test_what_a_policy_did_is_known_as_long_as_it_is_asked_for():
    """Whatever others did in the meantime: an hourly note forgets nobody's yearly budget."""
    often = [PastAction(policy="often", action="observe", at=NOW - hours * DAYS / 24) for hours in range(5000, 0, -1)]
    rare = [acted(days, "rare", "improve") for days in (300, 200, 100, 50)]
    about = [PastAction(policy="once", action="ask", at=NOW - 150 * DAYS, incidents=(1, 2))]
    rules = (rule(name="often"), rule(name="rare", budget_times=3, budget_per=365 * DAYS), rule(name="once"), rule(name="new"))
    every = sorted([*rare, *about, *often], key=lambda act: act.at)
    found = past.kept(every, rules, {2}, NOW)
    assert [act for act in found if act.policy == "rare"] == rare[1:]
    assert [act for act in found if act.policy == "once"] == about
    assert [act for act in found if act.policy == "often"] == often[-past.NEWEST :]
    assert list(found) == sorted(found, key=lambda act: act.at)
    assert past.kept(found, rules, {2}, NOW) == found


acts_drawn = st.builds(
    lambda name, action, hours, numbers: PastAction(
        policy=name, action=action, at=NOW - hours * DAYS / 24, incidents=tuple(numbers)
    ),
    st.sampled_from("abc"), st.sampled_from(["retrain", "observe"]), st.integers(-200, 1000), st.sets(st.integers(1, 4), max_size=2),
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    st.lists(acts_drawn, max_size=15),
    st.sampled_from(["act", "observe"]),
    st.booleans(),
    st.sampled_from([None, DAYS / 24, DAYS, 7 * DAYS]),
)
def test_what_is_needed_of_the_past_decides_as_all_of_it(acts, level, in_order, window):
    every = sorted(acts, key=lambda act: act.at) if in_order else acts
    rules = (
        rule(name="a", when="performance.alarm"),
        rule(name="b", cooldown=7 * DAYS, window=window),
        rule(name="c", budget_times=2, budget_per=9 * DAYS, window=window),
    )
    policy = AutopilotPolicy(model="m", rules=rules, autonomy={"retrain": level})
    opened = (OpenIncident(number=2, standing=(FindingKind.PERFORMANCE,), findings=(2, 3)),)
    late = NOW + 13 * DAYS / 24
    few = past.needed(every, rules, {2, 3}, late)
    plans = [decide(situation(past=tuple(found), incidents=opened), policy, late) for found in (every, few)]
    assert plans[0].actions == plans[1].actions
    assert len(few) <= 2 * (3 + 3 * 2 + 2)


def test_the_situation_is_not_changed():
    seen = situation()
    before = codec.encode(seen)
    decide(seen, AutopilotPolicy(model="m", rules=(rule(),)), NOW)
    assert codec.encode(seen) == before
    assert msgspec.structs.replace(seen) == seen


def test_a_condition_that_reads_no_signal_says_nothing_of_signals():
    _, plan = kinds(rule(when="true"))
    assert plan.rationale.startswith(
        "retrain-on-harm: `true` held for 1 window or more (needed: 1); it never acted before. Retrain on "
    )
    _, plan = kinds(rule(when="!has(drift.alarm) || true"), signals_by_window=({"performance.alarm": True},))
    assert "none of its signals is there" in plan.rationale


WORDS = "1.4 times the rows that the last training had: a tournament is expected to take 3.8 % off the loss (1.3 to 6.3 %), worth 7.1; go"


def test_why_a_tournament_is_worth_it_is_said_where_a_condition_asks():
    seen = {
        "signals_by_window": (HARM | {"improvement.worthwhile": True},),
        "foreseen": Foreseen(words=WORDS, gain=(0.038, 0.013, 0.063)),
    }
    better = rule(name="better", when="improvement.worthwhile", action="improve")
    _, plan = kinds(better, **seen)
    assert f"it never acted before. {WORDS}. Try recalibrate and all beside" in plan.rationale
    _, plan = kinds(better, **{**seen, "foreseen": None})
    assert "it never acted before. Try recalibrate and all beside" in plan.rationale, "as a Flyball decided that did not keep it"
    _, plan = kinds(rule(action="improve"), **seen)
    assert WORDS not in plan.rationale
    faulty = Foreseen(words="a data fault stands: nothing may be learned from its rows")
    _, plan = kinds(better, **{**seen, "foreseen": faulty})
    assert "A data fault stands: nothing may be learned from its rows. " in plan.rationale


def test_what_was_expected_is_told_of_what_may_train_chosen_or_not():
    rules = (
        rule(name="better", action="improve"), rule(name="worse", when="drift.alarm", action="improve"),
        rule(name="map", action="recalibrate"), rule(name="tell", action="notify"),
    )  # fmt: skip
    known, policy = situation(foreseen=Foreseen(words=WORDS, gain=(0.038, 0.013, 0.063))), AutopilotPolicy(model="m", rules=rules)
    options = considered.considered(known, policy, decide(known, policy, NOW))
    assert [each.gain for each in options] == [(0.038, 0.013, 0.063), (0.038, 0.013, 0.063), None, None]
    assert [each.chosen for each in options] == [True, False, False, True]
    assert WORDS in considered.seen(known, policy)
    assert WORDS not in considered.seen(known, AutopilotPolicy(model="m", rules=rules[2:]))
    before = situation()
    assert all(each.gain is None for each in considered.considered(before, policy, decide(before, policy, NOW)))

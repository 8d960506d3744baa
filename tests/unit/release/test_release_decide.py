import re
from datetime import timedelta

import msgspec
import pytest
from release_cases import DAY, HOUR, POLICY, START, evidence, rule, situation

from flyball.records import codec
from flyball.records.evidence import Outcome
from flyball.release.bandit import RewardSeen
from flyball.release.deadlines import spared_for
from flyball.release.decide import ReleasePolicy, ReleaseSituation, decide, is_proven, newly_passed, policy_of, rules_of
from flyball.release.policy import BanditRule, ReplayRule
from flyball.spec import ProjectSpec

APPROVAL = msgspec.structs.replace(POLICY, approval=True)
NO_SHADOW = msgspec.structs.replace(POLICY, shadow=None)
NO_STEPS = msgspec.structs.replace(POLICY, steps=())
AT_ONCE = msgspec.structs.replace(POLICY, shadow=None, steps=())

CASES = [
    # phase, quality, failures, hours since verified, other facts, what happens
    ("proposed", "absent", "absent", 0, {}, "enter shadow 0"),
    ("proposed", "absent", "absent", 0, {"champion": None}, "enter full 0"),
    ("shadow", "pass", "pass", 1, {}, "enter canary 0"),
    ("shadow", "pass", "inconclusive", 1, {}, "enter canary 0"),
    ("shadow", "pass", "pass", 0.9, {}, "nothing"),
    ("shadow", "pass", "pass", 24, {"labels": 199}, "nothing"),
    ("shadow", "pass", "error", 24, {}, "nothing"),
    ("shadow", "pass", "absent", 24, {}, "nothing"),
    ("shadow", "pass", "fail", 0, {}, "roll_back"),
    ("shadow", "fail", "pass", 0, {}, "nothing"),  # nobody is harmed by waiting for the sample that was asked for
    ("shadow", "fail", "pass", 24, {"labels": 10}, "nothing"),
    ("shadow", "fail", "pass", 24, {}, "roll_back"),
    ("shadow", "pass", "fail", 0, {}, "roll_back"),
    ("shadow", "inconclusive", "pass", 24, {}, "nothing"),
    ("shadow", "no data", "pass", 24, {}, "nothing"),
    ("shadow", "error", "pass", 24, {}, "nothing"),
    ("shadow", "absent", "absent", 24, {}, "nothing"),
    ("shadow", "inconclusive", "pass", 7 * 24, {}, "roll_back"),
    ("shadow", "no data", "no data", 7 * 24, {"labels": 0}, "roll_back"),
    ("shadow", "error", "pass", 7 * 24, {}, "roll_back"),
    ("shadow", "absent", "absent", 7 * 24, {}, "roll_back"),
    ("shadow", "pass", "pass", 7 * 24, {"labels": 10}, "roll_back"),
    ("shadow", "pass", "pass", 8 * 24, {}, "enter canary 0"),
    ("canary", "pass", "pass", 1, {}, "enter canary 1"),
    ("canary", "inconclusive", "no data", 1, {}, "nothing"),
    ("canary", "inconclusive", "inconclusive", 1, {}, "enter canary 1"),
    ("canary", "no data", "pass", 1, {}, "enter canary 1"),
    ("canary", "pass", "pass", 0.5, {}, "nothing"),
    ("canary", "pass", "pass", 5, {"requests_in_phase": 49}, "nothing"),
    ("canary", "pass", "pass", 48, {"requests_in_phase": 49}, "roll_back"),
    ("canary", "error", "pass", 5, {}, "nothing"),
    ("canary", "absent", "absent", 48, {}, "roll_back"),
    ("canary", "fail", "pass", 0, {}, "roll_back"),
    ("canary", "pass", "fail", 0, {}, "roll_back"),
    ("canary", "pass", "pass", 1.5, {"step": 1}, "nothing"),
    ("canary", "pass", "pass", 2, {"step": 1}, "enter full 0"),
    ("full", "pass", "pass", 0, {}, "enter watching 0"),
    ("full", "absent", "absent", 0, {"champion": None}, "enter watching 0"),
    ("full", "fail", "pass", 0, {}, "roll_back"),
    ("full", "pass", "fail", 0, {}, "roll_back"),
    ("watching", "pass", "pass", 7 * 24 - 1, {}, "nothing"),
    ("watching", "pass", "pass", 7 * 24, {}, "settle"),
    ("watching", "inconclusive", "pass", 7 * 24, {"passed": ("loss",)}, "settle"),
    ("watching", "inconclusive", "pass", 7 * 24, {}, "nothing"),
    ("watching", "inconclusive", "pass", 14 * 24, {}, "roll_back"),
    ("watching", "no data", "pass", 14 * 24, {}, "roll_back"),
    ("watching", "error", "pass", 7 * 24, {}, "nothing"),
    ("watching", "absent", "absent", 7 * 24, {}, "nothing"),
    ("watching", "error", "pass", 14 * 24, {}, "roll_back"),
    ("watching", "absent", "absent", 7 * 24, {"champion": None}, "settle"),
    ("watching", "fail", "pass", 1, {}, "roll_back"),
    ("watching", "pass", "fail", 1, {}, "roll_back"),
    ("rolling_back", "absent", "absent", 0, {}, "finish_rollback"),
    ("rolling_back", "absent", "absent", 0, {"switch": "pending"}, "nothing"),
    ("rolling_back", "absent", "absent", 0, {"switch": "failed"}, "nothing"),
    ("held", "fail", "fail", 999, {}, "nothing"),
    ("settled", "fail", "fail", 999, {}, "nothing"),
    ("rolled_back", "fail", "fail", 999, {}, "nothing"),
]


def done(plan):
    if not plan.actions:
        return "nothing"
    (action,) = plan.actions
    return f"enter {action.arguments['phase']} {action.arguments['step']}" if action.kind == "enter" else action.kind


@pytest.mark.parametrize(("phase", "quality", "failures", "hours", "facts", "expected"), CASES)
def test_each_phase_and_outcome_leads_where_it_should(phase, quality, failures, hours, facts, expected):
    plan = decide(situation(phase, quality, failures, **facts), POLICY, START + timedelta(hours=hours))
    assert done(plan) == expected
    assert plan.rationale.endswith(".")


@pytest.mark.parametrize("phase", ["shadow", "canary", "full", "watching"])
def test_nothing_advances_while_the_gateways_have_not_switched(phase):
    for hours in range(24 * 20):
        later = START + hours * HOUR
        assert done(decide(situation(phase, switch="pending"), POLICY, later)) in {"nothing", "roll_back"}
        assert done(decide(situation(phase, verified=False), POLICY, later)) in {"nothing", "roll_back"}
    assert done(decide(situation(phase, "fail", switch="pending"), POLICY, START + DAY)) == "roll_back"


@pytest.mark.parametrize("seen", [True, False], ids=["was seen once", "never seen"])
@pytest.mark.parametrize(("phase", "step"), [("shadow", 0), ("canary", 1)])
def test_a_gateway_that_stays_away_prolongs_no_phase_that_has_a_deadline(phase, step, seen):
    """It is given up just when it would be with that gateway there."""
    told = []
    for hours in range(1, 24 * 10, 5):
        later = START + hours * HOUR
        away = decide(situation(phase, "inconclusive", step=step, switch="pending", verified=seen), POLICY, later)
        there = decide(situation(phase, "inconclusive", step=step), POLICY, later)
        assert done(away) == done(there)
        told.append(done(away))
    assert sorted(set(told)) == ["nothing", "roll_back"]


@pytest.mark.parametrize(
    ("phase", "facts"),
    [("shadow", {}), ("canary", {}), ("canary", {"step": 1, "approval": "open"}), ("full", {}), ("watching", {})],
)
def test_a_gateway_that_restarts_takes_nothing_back_that_waits_for_nothing_else(phase, facts):
    policy = msgspec.structs.replace(POLICY, approval=True)
    for days in (1, 3, 999):
        assert done(decide(situation(phase, switch="pending", **facts), policy, START + days * DAY)) == "nothing"


@pytest.mark.parametrize("phase", ["shadow", "canary", "full"])
def test_a_phase_that_never_came_to_serve_is_rolled_back_and_one_that_did_is_waited_for(phase):
    later = START + HOUR
    assert done(decide(situation(phase, switch="failed", verified=False), POLICY, later)) == "roll_back"
    assert done(decide(situation(phase, switch="failed"), POLICY, later)) == "nothing"


def test_who_was_served_already_and_does_not_come_back_from_a_stop_is_not_taken_back_for_that():
    for champion in ("u1", None):
        for phase, end in (("full", "roll_back"), ("watching", "nothing")):
            seen = situation(phase, "absent", "absent", switch="failed", verified=False, champion=champion)
            assert done(decide(seen, POLICY, START + HOUR)) == end


@pytest.mark.parametrize("phase", ["canary", "full", "watching"])
def test_harm_takes_back_what_only_some_gateways_serve_and_a_pass_counts_for_nothing_there(phase):
    """With one of two workers hanging the challenger answers at the other."""
    for quality, failures in (("fail", "pass"), ("pass", "fail")):
        seen = situation(phase, quality, failures, verified=False, switch="pending")
        assert done(decide(seen, POLICY, START)) == "roll_back"
    good = situation(phase, verified=False, switch="pending")
    assert newly_passed(good, POLICY, START) == ()
    assert done(decide(good, POLICY, START + HOUR)) == "nothing"


def test_all_traffic_that_some_gateways_never_took_is_given_up_like_a_canary_and_a_first_release_is_not():
    away = {"switch": "pending", "verified": False}
    plans = [decide(situation("full", **away), POLICY, START + days * DAY) for days in (1, 6.9, 7)]
    assert [done(plan) for plan in plans] == ["nothing", "nothing", "roll_back"]
    assert "gave up after 7 days" in plans[-1].rationale
    assert done(decide(situation("full", champion=None, **away), POLICY, START + 99 * DAY)) == "nothing"


def test_while_nobody_knows_how_long_labels_take_nothing_passes_by_them_and_harm_is_harm():
    young = {"unripe": "3 labels are too few"}
    plan = decide(situation("shadow", **young), POLICY, START + DAY)
    assert done(plan) == "nothing"
    assert "waits for loss until it is known how long labels take (3 labels are too few)" in plan.rationale
    assert newly_passed(situation("shadow", **young), POLICY, START + DAY) == ("failure_rate",)
    assert done(decide(situation("shadow", "fail", **young), POLICY, START + DAY)) == "roll_back"
    assert done(decide(situation("shadow", passed=("loss",), **young), POLICY, START + DAY)) == "enter canary 0"


@pytest.mark.parametrize("failures", ["pass", "fail", "inconclusive", "no data", "error", "absent"])
@pytest.mark.parametrize("quality", ["inconclusive", "no data", "error", "absent"])
@pytest.mark.parametrize("days", [0, 1, 7, 700])
def test_a_shadow_without_a_pass_never_promotes(quality, failures, days):
    assert done(decide(situation("shadow", quality, failures), POLICY, START + days * DAY)) in {"nothing", "roll_back"}


@pytest.mark.parametrize(
    ("policy", "phase", "expected"),
    [
        (NO_SHADOW, "proposed", "enter canary 0"),
        (AT_ONCE, "proposed", "enter full 0"),
        (NO_STEPS, "shadow", "enter full 0"),
        (NO_SHADOW, "shadow", "enter canary 0"),
        (NO_STEPS, "canary", "enter full 0"),
    ],
)
def test_a_phase_that_the_policy_does_not_ask_for_is_skipped(policy, phase, expected):
    assert done(decide(situation(phase), policy, START + DAY)) == expected


@pytest.mark.parametrize(
    ("approval", "expected"), [("none", "ask"), ("open", "nothing"), ("approved", "enter full 0"), ("refused", "roll_back")]
)
def test_with_approval_a_person_decides_about_all_traffic(approval, expected):
    later = START + 3 * HOUR
    assert done(decide(situation("canary", step=1, approval=approval), APPROVAL, later)) == expected
    assert done(decide(situation("proposed", champion=None, approval=approval), APPROVAL, later)) == expected


def test_an_approval_does_not_replace_the_evidence():
    assert done(decide(situation("canary", step=1, approval="approved", requests_in_phase=3), APPROVAL, START + DAY)) == "nothing"
    assert done(decide(situation("canary", "fail", step=1, approval="approved"), APPROVAL, START + DAY)) == "roll_back"


def test_waiting_for_a_person_is_not_giving_up():
    assert done(decide(situation("canary", step=1, approval="open"), APPROVAL, START + 99 * DAY)) == "nothing"


def test_the_question_has_the_same_digest_at_every_look():
    looks = [decide(situation("canary", step=1, requests_in_phase=n), APPROVAL, START + n * HOUR) for n in (100, 200)]
    assert len({codec.digest(plan.actions[0]) for plan in looks}) == 1


def test_the_question_is_of_one_start_under_one_policy_and_a_recorded_one_of_before_that_is_made_again():
    def asked(rules="a", starts=0):
        seen = situation("canary", step=1, rules=rules)
        begun = msgspec.structs.replace(seen, release=msgspec.structs.replace(seen.release, starts=starts))
        return decide(begun, APPROVAL, START + 3 * HOUR).actions[0]

    assert len({codec.digest(each) for each in (asked(), asked(rules="b"), asked(starts=1))}) == 3
    assert asked(rules="").arguments == {"phase": "full", "step": 0, "unit": "u2"}


def test_the_first_release_says_why_nobody_is_compared():
    assert "nobody to compare with" in decide(situation("proposed", champion=None), POLICY, START).rationale


def test_an_undecided_shadow_says_what_it_waits_for_and_how_much_longer():
    plan = decide(situation("shadow", "inconclusive", labels=150), POLICY, START)
    assert plan.outcome is Outcome.INCONCLUSIVE
    for words in ("waits until 20", "50 more labels (150 of 200)", "reaches to both sides of 0.01", "gives up at 20"):
        assert words in plan.rationale
    # half width 0.018 at 1,000 pairs, 0.006 away from the margin: about nine times the pairs
    assert re.search(r"about [6-9]\d{3} more labels \(\d+ to \d+\) would make it pass if the difference stays", plan.rationale)


def test_giving_up_names_what_was_missing():
    plan = decide(situation("shadow", "no data", labels=0), POLICY, START + 8 * DAY)
    assert "gave up after 8 days" in plan.rationale
    assert "no labelled row has both scores yet" in plan.rationale
    assert plan.actions[0].arguments["to"] == "u1"
    assert plan.actions[0].subject == "release:r-0001"


def test_a_rollback_for_harm_states_its_error_rate():
    plan = decide(situation("canary", "fail"), POLICY, START)
    assert plan.outcome is Outcome.FAIL
    assert plan.rule == "loss"
    assert "0.04 for loss, 0.01 for failure_rate" in plan.rationale


def test_a_decision_read_back_from_the_ledger_is_the_same_to_the_byte():
    for phase in ("proposed", "shadow", "canary", "full", "watching", "rolling_back", "held"):
        now = START + DAY
        there = situation(phase, "inconclusive")
        again = codec.decode(codec.encode(there), ReleaseSituation)
        policy = codec.revive(codec.plain(POLICY), ReleasePolicy)
        assert codec.encode(decide(again, policy, now)) == codec.encode(decide(there, POLICY, now))


def test_the_error_rate_is_divided_and_nothing_of_it_is_lost():
    spec = ProjectSpec.model_validate({
        "project": "shop", "model": "shop", "task": "binary",
        "data": {"source": {"files": "*.csv"}, "time": "at", "key": "id", "label": "y", "features": ["a"]},
        "train": {"entrypoint": "pipeline:train"},
        "release": {"shadow": {"at_least": "2h", "min_labels": 7}, "steps": [{"traffic": "25%"}], "alpha": 0.1, "approval": True},
    })  # fmt: skip
    policy = policy_of(spec)
    assert sum(each.alpha for each in policy.guards) == policy.alpha == 0.1
    assert (policy.shadow.at_least, policy.shadow.min_labels, policy.steps[0].traffic) == (2 * HOUR, 7, 0.25)
    assert policy.approval
    without = spec.model_copy(update={"release": spec.release.model_copy(update={"shadow": None})})
    assert policy_of(without).shadow is None


def declared(**release: object) -> ReleasePolicy:
    return policy_of(
        ProjectSpec.model_validate(
            {"project": "p", "model": "m", "task": "binary",
             "data": {"source": {"files": "x"}, "time": "t", "key": "k", "label": "y", "label_delay": "14d", "features": ["a"]},
             "train": {"entrypoint": "a:b"}, "release": release}
        )
    )  # fmt: skip


def test_no_phase_gives_up_before_the_first_label_can_count():
    policy = declared()
    assert policy.shadow is not None
    assert policy.shadow.at_most == 21 * DAY
    assert {step.at_most for step in policy.steps} == {21 * DAY}
    assert policy.watch_at_most == 14 * DAY
    assert declared(labels="while_watching").watch_at_most == 28 * DAY
    at_once = declared(
        shadow={"at_least": "0s", "at_most": "0s"}, steps=[{"traffic": "10%", "at_least": "0s", "at_most": "0s"}], labels="never"
    )
    assert at_once.shadow is not None
    assert (at_once.shadow.at_most, at_once.steps[0].at_most) == (0 * DAY, 0 * DAY), "what is said is not what is not said"


def test_a_release_that_waits_for_labels_says_when_one_counts():
    waiting = decide(situation("shadow", "no data", labels=0), declared(), START + DAY).rationale
    assert "for 200 more labels (0 of 200; a label counts once its row is 14 days old (data.label_delay))" in waiting


def test_what_is_waited_for_reads_the_same_at_every_look():
    """The words are kept in the ledger and read later: a span would be wrong by then."""
    looks = {
        decide(situation("shadow", "no data", labels=0), POLICY, START + minutes * HOUR / 60).rationale for minutes in (1, 5, 30)
    }
    assert len(looks) == 1


def test_a_step_that_is_not_asked_for_any_more_promotes_nobody_who_has_not_passed():
    shorter = msgspec.structs.replace(NO_SHADOW, steps=POLICY.steps[:1])
    for outcome in ("inconclusive", "no data", "error"):
        assert done(decide(situation("canary", outcome, step=1), shorter, START + DAY)) == "nothing"
        assert done(decide(situation("canary", outcome, step=1), shorter, START + 3 * DAY)) == "roll_back"
    assert done(decide(situation("canary", "pass", step=1), shorter, START + DAY)) == "enter full 0"


def test_a_pass_by_a_wider_margin_is_none_by_a_tighter_one():
    passed = ("loss", "failure_rate")
    seen = situation("canary", "inconclusive", step=1, passed=passed)
    seen = msgspec.structs.replace(seen, release=msgspec.structs.replace(seen.release, rules=rules_of(POLICY)))
    assert done(decide(seen, POLICY, START + DAY)) == "enter full 0"
    tighter = msgspec.structs.replace(POLICY, guards=(rule("loss", margin=0.001, alpha=0.04, must="pass"), *POLICY.guards[1:]))
    assert done(decide(seen, tighter, START + DAY)) == "nothing"
    assert not is_proven(seen.release, tighter)


def test_a_guard_that_need_not_pass_is_waited_for_until_its_labels_have_come():
    """A slice that no row belongs to is not a slice that shows no harm."""
    rare = msgspec.structs.replace(rule("loss"), name="loss:rare")
    policy = msgspec.structs.replace(POLICY, guards=(*POLICY.guards, rare))
    seen = situation("shadow")
    seen = msgspec.structs.replace(seen, evidence=(*seen.evidence, *evidence("loss:rare", "no data")))
    assert done(decide(seen, policy, START + DAY)) == "nothing"
    later = msgspec.structs.replace(policy, labels="while_watching")
    assert done(decide(seen, later, START + DAY)) == "enter canary 0"


def test_a_challenger_that_cannot_be_asked_captured_requests_is_given_up():
    asks = msgspec.structs.replace(POLICY, replay=ReplayRule(rows=100, guards=()))
    assert done(decide(situation("proposed"), asks, START + DAY)) == "nothing"
    assert done(decide(situation("proposed"), asks, START + 7 * DAY)) == "roll_back"


def test_a_watch_that_has_had_its_time_says_why_it_is_not_given_up():
    seen = situation("watching", "absent", "absent", blind=True)
    assert "it is rolled back at 2013-03-15" in decide(seen, POLICY, START + DAY).rationale
    late = decide(seen, POLICY, START + 20 * DAY)
    assert (done(late), late.rationale.rpartition("; ")[2]) == ("nothing", f"{spared_for(seen)}.")


def paused(phase, quality="pass", **lost):
    seen = situation(phase, quality)
    return msgspec.structs.replace(seen, release=msgspec.structs.replace(seen.release, **lost))


def test_time_in_which_nobody_looked_is_neither_served_nor_waited():
    assert done(decide(paused("canary", unwatched=DAY), POLICY, START + DAY + HOUR / 2)) == "nothing"
    assert done(decide(paused("canary", unwatched=DAY), POLICY, START + DAY + HOUR)) == "enter canary 1"
    assert done(decide(paused("watching", unwatched=7 * DAY), POLICY, START + 7 * DAY)) == "nothing"
    assert done(decide(paused("shadow", "no data", unwatched=7 * DAY), POLICY, START + 8 * DAY)) == "nothing"
    unseen = msgspec.structs.replace(paused("shadow", unwatched=7 * DAY).release, verified_at=None)
    unseen = msgspec.structs.replace(paused("shadow"), release=unseen, switch="pending")
    assert done(decide(unseen, POLICY, START + 8 * DAY)) == "nothing"
    assert done(decide(unseen, POLICY, START + 14 * DAY)) == "roll_back"


def test_a_canary_that_was_held_at_0_was_neither_served_nor_waited_for_and_has_an_end_all_the_same():
    assert done(decide(paused("canary", withheld=DAY), POLICY, START + DAY + HOUR / 2)) == "nothing"
    short = msgspec.structs.replace(paused("canary", withheld=DAY), requests_in_phase=49)
    looks = [decide(short, POLICY, START + hours * HOUR) for hours in (24, 71, 72)]
    assert [done(look) for look in looks] == ["nothing", "nothing", "roll_back"]
    assert f"it gives up at {START + 3 * DAY:%Y-%m-%d}" in looks[0].rationale
    assert "gave up after 3 days (gateways held the canary at 0 for 1 day of them), allowed are 2 days" in looks[2].rationale


@pytest.mark.parametrize("verified", [True, False])
def test_a_canary_that_stays_at_0_is_given_up_after_twice_its_time(verified):
    for days, end in ((3, "nothing"), (4, "roll_back")):
        seen = paused("canary", withheld=days * DAY, **({} if verified else {"verified_at": None}))
        seen = msgspec.structs.replace(seen, switch="pending", withheld=True, requests_in_phase=0)
        assert done(decide(seen, POLICY, START + days * DAY)) == end


@pytest.mark.parametrize(
    ("facts", "end"), [({"approval": "open"}, "nothing"), ({"approval": "approved"}, "nothing"), ({}, "roll_back")]
)
def test_a_release_that_passed_and_is_asked_about_is_not_given_up_at_a_look_without_data(facts, end):
    seen = situation("canary", "absent", "absent", step=1, requests_in_phase=0, **facts)
    assert done(decide(seen, APPROVAL, START + 3 * DAY)) == end
    harmed = situation("canary", "fail", "pass", step=1, **facts)
    assert done(decide(harmed, APPROVAL, START + 3 * DAY)) == "roll_back"


@pytest.mark.parametrize("phase", ["shadow", "canary", "watching"])
def test_what_could_not_be_read_at_a_look_is_not_missing(phase):
    looks = [decide(situation(phase, "absent", "absent", blind=blind), POLICY, START + 20 * DAY) for blind in (True, False)]
    assert [done(look) for look in looks] == ["nothing", "roll_back"]


def test_another_share_that_is_due_hides_no_deadline_while_a_gateway_is_away():
    policy = msgspec.structs.replace(POLICY, bandit=BanditRule(least=0.05, most=0.95, every=HOUR))
    rewards = (RewardSeen(n=500, mean=0.1, variance=0.09), RewardSeen(n=500, mean=0.2, variance=0.09))
    for days, ends in ((1, {"verified": "weigh", "pending": "nothing"}), (3, {"verified": "roll_back", "pending": "roll_back"})):
        for switch, end in ends.items():
            seen = situation("canary", "absent", "absent", switch=switch, rewards=rewards)
            assert done(decide(seen, policy, START + days * DAY)) == end


def test_the_share_that_it_is_said_to_have_had_is_the_one_that_it_had():
    seen = situation("canary", step=1)
    for weight, words in ((None, "the step at 50% was held"), (0.95, "the step at 95% was held")):
        release = msgspec.structs.replace(seen.release, weight=weight)
        assert words in decide(msgspec.structs.replace(seen, release=release), POLICY, START + DAY).rationale


LATE = msgspec.structs.replace(
    POLICY, steps=(), labels="never", shadow=msgspec.structs.replace(POLICY.shadow, min_labels=0, min_requests=50)
)


def test_all_traffic_does_not_follow_a_handful_of_shadow_rows_where_no_label_is_waited_for():
    plan = decide(situation("shadow", "no data", labels=0, requests_in_phase=7), LATE, START + DAY)
    assert done(plan) == "nothing"
    assert "waits for 43 more rows (7 of 50)" in plan.rationale
    assert done(decide(situation("shadow", "no data", labels=0, requests_in_phase=49), LATE, START + 7 * DAY)) == "roll_back"


def test_a_shadow_in_which_nothing_has_passed_is_not_said_to_have_passed():
    plan = decide(situation("shadow", "no data", labels=0, requests_in_phase=50), LATE, START + DAY)
    assert done(plan) == "enter full 0"
    assert "no harm was shown in the shadow: " in plan.rationale
    assert "the shadow passed" not in plan.rationale
    assert "the shadow passed: " in decide(situation("shadow"), POLICY, START + DAY).rationale


@pytest.mark.parametrize(
    ("release", "rows"),
    [
        ({}, 0),
        ({"strategy": "blue_green"}, 50),
        ({"strategy": "blue_green", "shadow": {"min_requests": 7}}, 7),
        ({"shadow": {"min_requests": 9}}, 9),
    ],
)
def test_a_shadow_asks_for_rows_where_no_step_follows_it_or_it_is_told_to(release, rows):
    shadow = declared(**{"labels": "never", **release}).shadow
    assert shadow is not None
    assert (shadow.min_requests or 0) == rows
    assert ("min_requests" in codec.plain(shadow)) is (rows > 0), (
        "what people agreed to before it was there has the digest of before"
    )

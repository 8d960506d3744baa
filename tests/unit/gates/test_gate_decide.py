from datetime import UTC, datetime

import msgspec
import pytest

from flyball.gates.decide import (
    LATENCY,
    PARITY,
    UNASKED,
    UNSEEN,
    AbsoluteRule,
    ChampionRule,
    GatePolicy,
    GateSituation,
    _undeclared,
    decide,
    policy_of,
)
from flyball.records import codec
from flyball.records.decisions import Plan
from flyball.records.evidence import Evidence, Outcome
from flyball.spec import ProjectSpec
from flyball.stats.metrics import HIGHER_IS_BETTER

NOW = datetime(2013, 3, 1, tzinfo=UTC)
POLICY = GatePolicy(
    absolute=(AbsoluteRule(metric="roc_auc", at_least=0.6),),
    champion=ChampionRule(metric="log_loss", margin=0.01, alpha=0.05),
    parity=1e-4,
    latency_p99_ms=50.0,
)


def measured(name, value, lower=None, upper=None, alpha=0.05, note=""):
    return Evidence(name=name, value=value, lower=lower, upper=upper, alpha=alpha if lower is not None else None, note=note)


GOOD = {
    "roc_auc": measured("roc_auc", 0.684, 0.671, 0.697),
    "log_loss_difference": measured("log_loss_difference", -0.004, -0.007, -0.001),
    PARITY: measured(PARITY, 3e-7),
    LATENCY: measured(LATENCY, 0.4),
}


def situation(champion="u1", **changed):
    evidence = {**GOOD, **changed}
    return GateSituation(
        candidate="run-1",
        challenger="the model of February",
        champion=champion,
        evidence=tuple(item for item in evidence.values() if item is not None),
        requested_by="user:ada",
    )


def judged(plan, rule):
    return next(verdict for verdict in plan.verdicts if verdict.rule == rule)


def test_a_challenger_that_passes_everything_is_registered():
    plan = decide(situation(), POLICY, NOW)
    assert [(action.kind, action.subject) for action in plan.actions] == [("register", "run-1")]
    assert plan.outcome is Outcome.PASS
    assert "roc_auc 0.684 [0.671, 0.697] is at least 0.6" in plan.rationale
    assert "compared with the champion u1" in plan.rationale


def test_without_a_champion_the_rule_is_left_out_and_the_rationale_says_so():
    plan = decide(situation(champion=None, log_loss_difference=None), POLICY, NOW)
    assert plan.actions[0].kind == "register"
    assert "left out" in plan.rationale
    assert [verdict.rule for verdict in plan.verdicts] == ["absolute:roc_auc", "parity", "latency"]


@pytest.mark.parametrize(
    ("changed", "rule", "outcome", "words"),
    [
        (
            {"roc_auc": measured("roc_auc", 0.59, 0.58, 0.61)},
            "absolute:roc_auc",
            Outcome.FAIL,
            "0.590 [0.580, 0.610] is below 0.6",
        ),
        ({"roc_auc": measured("roc_auc", None, note="a single class")}, "absolute:roc_auc", Outcome.ERROR, "a single class"),
        ({"roc_auc": measured("roc_auc", float("nan"))}, "absolute:roc_auc", Outcome.ERROR, "could not be measured"),
        ({"roc_auc": None}, "absolute:roc_auc", Outcome.ERROR, "was not measured"),
        ({"again": GOOD["roc_auc"]}, "absolute:roc_auc", Outcome.ERROR, "there are 2 measurements"),
        ({PARITY: measured(PARITY, 2e-3)}, "parity", Outcome.FAIL, "0.002 is above 0.0001"),
        ({PARITY: None}, "parity", Outcome.ERROR, "was not measured"),
        ({LATENCY: measured(LATENCY, 70.0)}, "latency", Outcome.FAIL, "70.000 is above 50"),
        ({LATENCY: None}, "latency", Outcome.ERROR, "was not measured"),
        (
            {"log_loss_difference": measured("log_loss_difference", 0.03, 0.02, 0.04)},
            "champion:log_loss",
            Outcome.FAIL,
            "even its good end is beyond the margin of 0.01",
        ),
        (
            {"log_loss_difference": measured("log_loss_difference", 0.0, -0.02, 0.02)},
            "champion:log_loss",
            Outcome.INCONCLUSIVE,
            "both sides",
        ),
        ({"log_loss_difference": None}, "champion:log_loss", Outcome.ERROR, "was not measured"),
        ({"log_loss_difference": measured("log_loss_difference", -0.1)}, "champion:log_loss", Outcome.ERROR, "no interval"),
        (
            {"log_loss_difference": measured("log_loss_difference", -0.1, -0.2, 0.0, alpha=0.2)},
            "champion:log_loss",
            Outcome.ERROR,
            "claims an error rate of 0.200",
        ),
    ],
)
def test_anything_but_a_pass_refuses_and_names_the_rule(changed, rule, outcome, words):
    plan = decide(situation(**changed), POLICY, NOW)
    verdict = judged(plan, rule)
    assert (verdict.outcome, plan.outcome) == (outcome, outcome)
    assert words in verdict.words
    assert plan.actions[0].kind == "refuse"
    assert rule in plan.rationale
    assert verdict.words in plan.rationale


@pytest.mark.parametrize(
    ("metric", "lower", "upper", "outcome"),
    [
        ("roc_auc", -0.01, 0.02, Outcome.PASS),
        ("roc_auc", -0.03, -0.02, Outcome.FAIL),
        ("roc_auc", -0.03, 0.0, Outcome.INCONCLUSIVE),
        ("roc_auc", 0.05, 0.06, Outcome.PASS),
        ("rmse", -0.06, -0.05, Outcome.PASS),
        ("rmse", -0.01, 0.01, Outcome.PASS),
        ("rmse", 0.02, 0.06, Outcome.FAIL),
        ("rmse", 0.0, 0.06, Outcome.INCONCLUSIVE),
    ],
)
def test_the_bad_end_is_low_for_areas_and_high_for_errors(metric, lower, upper, outcome):
    policy = GatePolicy(
        absolute=(), champion=ChampionRule(metric=metric, margin=0.01, alpha=0.05), parity=1e-4, latency_p99_ms=50.0
    )
    name = f"{metric}_difference"
    plan = decide(situation(**{name: measured(name, (lower + upper) / 2, lower, upper)}), policy, NOW)
    assert judged(plan, f"champion:{metric}").outcome is outcome


def test_an_upper_bound_judges_the_point_value():
    policy = GatePolicy(
        absolute=(AbsoluteRule(metric="log_loss", at_most=0.5),), champion=POLICY.champion, parity=1e-4, latency_p99_ms=50.0
    )
    plan = decide(situation(log_loss=measured("log_loss", 0.49, 0.47, 0.51)), policy, NOW)
    assert judged(plan, "absolute:log_loss").words == "log_loss 0.490 [0.470, 0.510] is at most 0.5"


def test_the_same_situation_read_back_from_the_ledger_gives_the_same_bytes():
    policy = codec.revive(codec.plain(POLICY), GatePolicy)
    again = codec.decode(codec.encode(situation()), GateSituation)
    first = codec.encode(decide(situation(), POLICY, NOW))
    assert codec.encode(decide(again, policy, NOW)) == first
    assert codec.decode(first, Plan).actions[0].kind == "register"


def spec(**gates):
    return ProjectSpec.model_validate(
        {
            "project": "shop",
            "model": "shop",
            "task": "binary",
            "data": {"source": {"files": "*.csv"}, "time": "at", "key": "id", "label": "y", "features": ["a"]},
            "train": {"entrypoint": "pipeline:train"},
            "gates": gates,
        }
    )


def test_without_a_champion_gate_the_primary_metric_has_a_margin_of_a_hundredth():
    assert policy_of(spec()).champion == ChampionRule(metric="log_loss", margin=0.01, alpha=0.05, share=0.1, declared=False)


@pytest.mark.parametrize(
    ("own", "worse", "outcome", "margin"),
    [
        (0.4, 0.009, Outcome.PASS, "0.01"),
        (0.004, 0.0039, Outcome.FAIL, "0.0004"),
        (0.004, 0.0002, Outcome.PASS, "0.0004"),
        (120.0, 0.009, Outcome.PASS, "0.01"),
        (None, 0.009, Outcome.PASS, "0.01"),
    ],
)
def test_the_margin_that_nobody_declared_is_no_more_than_a_tenth_of_what_the_champion_has(own, worse, outcome, margin):
    policy = msgspec.structs.replace(policy_of(spec()), absolute=())
    seen = situation(
        log_loss_difference=measured("log_loss_difference", worse, worse - 1e-4, worse + 1e-4),
        champion_log_loss=measured("champion_log_loss", own),
    )
    verdict = judged(decide(seen, policy, NOW), "champion:log_loss")
    assert verdict.outcome is outcome
    assert f"margin of {margin} (" in verdict.words
    declared = msgspec.structs.replace(policy, champion=POLICY.champion)
    assert judged(decide(seen, declared, NOW), "champion:log_loss").outcome is Outcome.PASS


def test_a_champion_that_was_fitted_on_the_very_rows_is_not_compared_and_refuses_nobody():
    note = "the champion was fitted on 380 of the 400 rows of the holdout, and 20 are too few to compare on (at least 100)"
    unseen = Evidence(name=UNSEEN, value=20.0, n=400, note=note)
    unknown = measured("log_loss_difference", None, note=note)
    nobodys = msgspec.structs.replace(POLICY, champion=policy_of(spec()).champion)
    plan = decide(situation(champion_unseen_rows=unseen, log_loss_difference=unknown), nobodys, NOW)
    assert plan.actions[0].kind == "register"
    earlier = decide(situation(champion_unseen_rows=unseen, log_loss_difference=unknown), POLICY, NOW)
    assert codec.encode(earlier) == codec.encode(plan), "a decision of an earlier release is made again as it was"
    assert "champion:log_loss" not in [verdict.rule for verdict in plan.verdicts]
    assert f"the rule against the champion u1 is left out: {note}; a release compares them on live rows" in plan.rationale
    fewer = Evidence(name=UNSEEN, value=150.0, n=400)
    plan = decide(situation(champion_unseen_rows=fewer), POLICY, NOW)
    assert judged(plan, "champion:log_loss").outcome is Outcome.PASS
    assert "compared with the champion u1 on the 150 of 400 rows that it was not fitted on" in plan.rationale
    assert decide(situation(champion_unseen_rows=fewer, log_loss_difference=unknown), POLICY, NOW).outcome is Outcome.ERROR


@pytest.mark.parametrize("rows", [{"champion_unseen_rows": Evidence(name=UNSEEN, value=150.0, n=400)}, {}])
@pytest.mark.parametrize(
    ("lower", "upper", "outcome"),
    [
        (-0.02, 0.02, None),  # equal models on so few rows
        (-0.004, 0.03, None),
        (0.011, 0.06, Outcome.FAIL),  # as few, and clearly worse
        (0.004, 0.012, Outcome.INCONCLUSIVE),  # rows enough for equal models
        (-0.009, 0.009, Outcome.PASS),
    ],
)
def test_rows_on_which_no_equal_model_would_pass_refuse_nobody_but_who_is_clearly_worse(rows, lower, upper, outcome):
    seen = situation(log_loss_difference=measured("log_loss_difference", (lower + upper) / 2, lower, upper), **rows)
    plan = decide(seen, msgspec.structs.replace(policy_of(spec()), absolute=()), NOW)
    found = [verdict.outcome for verdict in plan.verdicts if verdict.rule == "champion:log_loss"]
    assert found == ([] if outcome is None else [outcome])
    assert (plan.actions[0].kind == "register") is (outcome in (None, Outcome.PASS))
    if outcome is None:
        assert "left out: log_loss_difference" in plan.rationale
        assert "would not show that two equal models are within the margin of 0.01" in plan.rationale
    declared = msgspec.structs.replace(
        POLICY, absolute=(), champion=policy_of(spec(champion={"metric": "log_loss", "margin": 0.01})).champion
    )
    assert judged(decide(seen, declared, NOW), "champion:log_loss").outcome is (outcome or Outcome.INCONCLUSIVE)
    # As releases before said, and what they decided replays.
    earlier = msgspec.structs.replace(
        POLICY, absolute=(), champion=ChampionRule(metric="log_loss", margin=0.01, alpha=0.05, share=0.1)
    )
    assert judged(decide(seen, earlier, NOW), "champion:log_loss").outcome is (outcome or Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("metric", "own", "margin"),
    [
        ("mae", 5000.0, 50.0),
        ("mae", 0.02, 0.0002),
        ("rmse", 40.0, 0.4),
        ("mape", 0.3, 0.003),
        ("accuracy", 0.8, 0.01),
        ("accuracy", 0.95, 0.005),
        ("accuracy", 0.999, 0.001),
        ("accuracy", 1.0, 0.001),
        ("pr_auc", 0.02, 0.002),
        ("log_loss", 0.4, 0.01),
        ("log_loss", 3.0, 0.01),
        ("brier", 0.004, 0.0004),
    ],
)
def test_the_margin_that_nobody_declared_has_the_metrics_own_size(metric, own, margin):
    policy = msgspec.structs.replace(policy_of(spec()), absolute=(), champion=_undeclared(metric))
    name, sign = f"{metric}_difference", -1.0 if metric in HIGHER_IS_BETTER else 1.0
    for worse, outcome in ((0.9, Outcome.PASS), (1.2, Outcome.FAIL)):
        at = sign * worse * margin
        seen = {
            name: measured(name, at, at - 0.05 * margin, at + 0.05 * margin),
            f"champion_{metric}": measured(f"champion_{metric}", own),
        }
        verdict = judged(decide(situation(**seen), policy, NOW), f"champion:{metric}")
        assert verdict.outcome is outcome, verdict.words
    assert codec.revive(codec.plain(policy), GatePolicy) == policy


def test_a_comparison_that_the_user_asked_for_is_put_off_and_never_dropped():
    note = "the champion was fitted on 380 of the 400 rows of the holdout, and 20 are too few to compare on (at least 100)"
    few = situation(
        champion_unseen_rows=Evidence(name=UNSEEN, value=20.0, n=400, note=note),
        log_loss_difference=measured("log_loss_difference", None, note=note),
    )
    policy = msgspec.structs.replace(POLICY, champion=policy_of(spec(champion={"metric": "log_loss"})).champion)
    plan = decide(few, policy, NOW)
    assert (plan.outcome, plan.actions[0].kind) == (Outcome.INCONCLUSIVE, "refuse")
    assert note in judged(plan, "champion:log_loss").words


UNASKED_NOTE = "the champion cannot be asked about the holdout: it needs the features wind, which are no longer declared"


TOO_FEW_NOTE = "no interval: at least 10 rows of each class, found 9 of one"
LABELS = {
    "before_full": "the release compares them on live rows before it gives all traffic",
    "while_watching": "the release compares them on live rows, with all traffic at the latest, and is taken back unless that passes",
    None: "a release compares them on live rows",
}


def uncompared(marker, note):
    return situation(
        log_loss_difference=measured("log_loss_difference", None, note=note), more=Evidence(name=marker, value=None, note=note)
    )


@pytest.mark.parametrize(("marker", "note"), [(UNASKED, UNASKED_NOTE), ("log_loss_too_few", TOO_FEW_NOTE)])
@pytest.mark.parametrize(("labels", "live"), LABELS.items())
def test_where_the_release_compares_nobody_is_refused_for_a_champion_that_cannot_be_asked_or_for_few_rows(
    marker, note, labels, live
):
    policy = msgspec.structs.replace(policy_of(spec()), absolute=(), compared_live=labels)
    plan = decide(uncompared(marker, note), policy, NOW)
    assert plan.actions[0].kind == "register"
    assert f"the rule against the champion u1 is left out: {note}; {live})" in plan.rationale
    # What is told of another metric is no reason.
    other = situation(more=Evidence(name="roc_auc_too_few", value=None, note=note))
    assert judged(decide(other, POLICY, NOW), "champion:log_loss").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("marker", "note", "outcome", "next_step"),
    [
        (UNASKED, UNASKED_NOTE, Outcome.ERROR, "with release.labels other than never in flyball.yaml the rule would be left out"),
        ("log_loss_too_few", TOO_FEW_NOTE, Outcome.INCONCLUSIVE, "more rows would settle it"),
        (UNSEEN, "20 are too few", Outcome.INCONCLUSIVE, "more rows would settle it"),
    ],
)
def test_what_no_release_compares_either_is_registered_by_nobody(marker, note, outcome, next_step):
    policy = msgspec.structs.replace(policy_of(spec()), absolute=(), compared_live="never")
    plan = decide(uncompared(marker, note), policy, NOW)
    assert (plan.outcome, plan.actions[0].kind) == (outcome, "refuse")
    assert f"{note}, and with release.labels: never no release compares the two: {next_step}" in plan.rationale


def test_without_live_labels_a_wide_interval_is_inconclusive():
    wide = situation(
        log_loss_difference=measured("log_loss_difference", 0.0, -0.05, 0.05),
        champion_log_loss=measured("champion_log_loss", 0.3),
    )
    policy = msgspec.structs.replace(policy_of(spec()), absolute=())
    assert decide(wide, policy, NOW).actions[0].kind == "register"
    plan = decide(wide, msgspec.structs.replace(policy, compared_live="never"), NOW)
    assert (plan.outcome, plan.actions[0].kind) == (Outcome.INCONCLUSIVE, "refuse")
    assert "more rows would settle it" in plan.rationale


@pytest.mark.parametrize(
    ("marker", "note", "outcome", "next_step"),
    [
        (UNASKED, UNASKED_NOTE, Outcome.ERROR, "without gates.champion{} in flyball.yaml the rule would be left out"),
        ("log_loss_too_few", TOO_FEW_NOTE, Outcome.INCONCLUSIVE, "more rows would settle it"),
    ],
)
@pytest.mark.parametrize(
    ("labels", "too"), [("before_full", ""), (None, ""), ("never", " and with release.labels other than never")]
)
def test_a_declared_comparison_that_no_rows_would_settle_is_an_error(marker, note, outcome, next_step, labels, too):
    champion = policy_of(spec(champion={"metric": "log_loss"})).champion
    plan = decide(uncompared(marker, note), msgspec.structs.replace(POLICY, champion=champion, compared_live=labels), NOW)
    assert (plan.outcome, plan.actions[0].kind) == (outcome, "refuse")
    words = judged(plan, "champion:log_loss").words
    assert f"gates.champion asks for a comparison, and {note}: {next_step.format(too)}" in words


def test_what_could_not_be_measured_for_another_reason_refuses():
    seen = situation(
        log_loss_difference=measured("log_loss_difference", None, note="no release can bring it beside the champion")
    )
    plan = decide(seen, msgspec.structs.replace(policy_of(spec()), absolute=()), NOW)
    assert (plan.outcome, plan.actions[0].kind) == (Outcome.ERROR, "refuse")
    assert "no release can bring it beside the champion" in plan.rationale


def test_what_the_user_declares_is_what_is_judged():
    policy = policy_of(
        spec(
            absolute=[{"metric": "roc_auc", "at_least": 0.6}, {"metric": "brier", "at_most": 0.2}],
            champion={"metric": "roc_auc", "margin": 0.02, "alpha": 0.1},
            parity=1e-3,
            latency_p99_ms=5.0,
        )
    )
    assert policy == GatePolicy(
        absolute=(AbsoluteRule(metric="roc_auc", at_least=0.6), AbsoluteRule(metric="brier", at_most=0.2)),
        champion=ChampionRule(metric="roc_auc", margin=0.02, alpha=0.1, declared=True),
        parity=1e-3,
        latency_p99_ms=5.0,
        compared_live="before_full",
    )


def test_values_that_rows_lack_and_the_model_refuses_to_do_without_fail_the_gate():
    note = "the trained model refuses missing values of b, which 26 of 1,000 rows have: put an imputer before it"
    plan = decide(situation(missing=Evidence(name="refused_missing", value=26.0, n=1000, note=note)), POLICY, NOW)
    assert (plan.actions[0].kind, judged(plan, "missing").outcome) == ("refuse", Outcome.FAIL)
    assert note in plan.rationale


@pytest.mark.parametrize(
    ("interval", "kind", "words"),
    [
        ((-0.001, 0.001), "register", "compared with u1, which waits to be the first"),
        ((0.5, 0.9), "refuse", "u1 waits to be the first; where the worse one is meant"),
        ((-0.5, 0.9), "register", "is left out beside u1, which waits to be the first: "),
        (None, "register", "could not be measured"),
    ],
)
def test_who_waits_to_be_the_first_gives_way_unless_the_newer_one_is_shown_to_be_worse(interval, kind, words):
    found = measured("log_loss_difference", sum(interval) / 2, *interval) if interval else None
    asked = msgspec.structs.replace(situation(log_loss_difference=found), waits=True)
    plan = decide(asked, POLICY, NOW)
    assert plan.actions[0].kind == kind
    assert words in plan.rationale

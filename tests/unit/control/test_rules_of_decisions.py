"""Whoever changes what a room decides, or a word of it, raises `RULES`: else ledgers of the day before are called damaged."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from flyball.autopilot.contest import LOSS_GAIN, ContestPolicy, ContestSituation
from flyball.autopilot.decide import AutopilotPolicy, AutopilotSituation, Rule
from flyball.autopilot.situation import Foreseen
from flyball.control import decisions
from flyball.gates.decide import LATENCY, PARITY, AbsoluteRule, ChampionRule, GatePolicy, GateSituation
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.release import Phase, ReleaseState
from flyball.records.tournaments import Entrant, Standings
from flyball.release.decide import ReleaseSituation
from flyball.release.metrics import LOSS, METRICS
from flyball.release.policy import GuardRule, ReleasePolicy, ShadowRule, StepRule

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

RULES = 5
DIGESTS = {
    "autopilot": "3b2e7ef28e19ee51205739a3f18766db5d3d441b335b4e660cba555a7fc6f39b",
    "gates": "03336bd48c886cafde80dda9466f44f13f36e029f81268f201b05256f146ad2b",
    "release": "234802481e7bc7041b06fe571e943f81c242eee4492cc317dc8aa11dab7a06a8",
    "tournament": "1cc26f3a67215e0582001923f2941cd7b7457d9301d98c86d9c35a758019a70e",
}
"""Of the plans below, by those rules."""

Case = tuple[msgspec.Struct, msgspec.Struct]


def measured(name: str, value: float, lower: float | None = None, upper: float | None = None, n: int = 900) -> Evidence:
    return Evidence(name=name, value=value, lower=lower, upper=upper, alpha=None if lower is None else 0.04, n=n, unit="rows")


def of_the_gates() -> list[Case]:
    policy = GatePolicy(
        absolute=(AbsoluteRule(metric="roc_auc", at_least=0.6),), champion=ChampionRule(metric="log_loss", margin=0.01, alpha=0.05),
        parity=1e-4, latency_p99_ms=50.0,
    )  # fmt: skip
    always = (measured("roc_auc", 0.68, 0.67, 0.69), measured(PARITY, 3e-7), measured(LATENCY, 0.4))
    found = [measured("log_loss_difference", -0.004, -0.007, -0.001), measured("log_loss_difference", 0.03, 0.02, 0.04)]
    asked = {"candidate": "run-1", "challenger": "the model of February", "requested_by": "user:ada"}
    beside: list[Case] = [(GateSituation(champion="u1", evidence=(*always, each), **asked), policy) for each in found]
    return [*beside, (GateSituation(champion=None, evidence=always, **asked), policy)]


def of_a_release() -> list[Case]:
    known = METRICS[LOSS]
    guard = GuardRule(name=LOSS, metric=LOSS, margin=0.01, alpha=0.05, must="pass", labels=known.labels, shown=known.shown)
    policy = ReleasePolicy(
        shadow=ShadowRule(at_least=HOUR, at_most=7 * DAY, min_labels=200),
        steps=(StepRule(traffic=0.1, at_least=HOUR, at_most=2 * DAY, min_requests=50),),
        watch=7 * DAY, watch_at_most=14 * DAY, alpha=0.05, guards=(guard,), approval=False,
    )  # fmt: skip
    good, bad, open_ = (measured(LOSS, at, at - 0.005, at + 0.005) for at in (0.0, 0.03, 0.01))

    def case(phase: Phase, evidence: Evidence, rows: int = 1000) -> Case:
        since = NOW - 2 * HOUR
        state = ReleaseState(
            id="r-0001", model="shop", challenger="u2", champion="u1", phase=phase, step=0, opened_at=since, entered_at=since,
            verified_at=since, passed=(),
        )  # fmt: skip
        return (
            ReleaseSituation(
                release=state, evidence=(evidence,), requests_in_phase=rows, labels=rows, switch="verified", approval="none"
            ),
            policy,
        )

    phases = (Phase.SHADOW, Phase.CANARY, Phase.WATCHING)
    return [case(phase, each) for phase in phases for each in (good, bad, open_)] + [case(Phase.CANARY, good, rows=20)]


def of_policies() -> list[Case]:
    harm = {"performance.alarm": True, "performance.loss_increase": 0.021, "drift.alarm": False, "champion.age_days": 31.0}
    rule = Rule(
        name="on-harm", when="performance.loss_increase > 0.02", for_windows=1, action="retrain", history=None, message="",
        cooldown=7 * DAY, budget_times=2, budget_per=30 * DAY, approval=False, entrants=(),
    )  # fmt: skip
    rules = (rule, *(msgspec.structs.replace(rule, name=name, action=name) for name in ("roll_back", "notify")))
    policies = [AutopilotPolicy(model="m", rules=(each,)) for each in (*rules, msgspec.structs.replace(rule, approval=True))]
    situation = AutopilotSituation(signals_by_window=(harm,), busy=None, past=(), champion="u2", previous_champion="u1")
    busy = msgspec.structs.replace(situation, busy="j-0004")
    changed = msgspec.structs.replace(situation, changed_since=NOW - DAY)
    map_ = AutopilotPolicy(model="m", rules=(msgspec.structs.replace(rule, action="recalibrate", entrants=("recalibrate",)),))
    entrants = ("recalibrate", "all", "since", "recent")
    better = msgspec.structs.replace(rule, action="improve", when="improvement.worthwhile || true", entrants=entrants)
    foreseen = Foreseen(words="1.4 times the rows that the last training had; go", gain=(0.038, 0.013, 0.063))
    grown = (msgspec.structs.replace(changed, foreseen=foreseen), AutopilotPolicy(model="m", rules=(better,)))
    always = AutopilotPolicy(model="m", rules=(msgspec.structs.replace(rule, when="true"),))
    return [(changed, map_), grown, (situation, always), *((each, policy) for policy in policies for each in (situation, busy))]


def of_a_tournament() -> list[Case]:
    def case(lower: float, spread_of: int | None) -> Case:
        gain = Evidence(name=LOSS_GAIN, value=lower + 0.1, lower=lower, upper=lower + 0.2, alpha=0.01, n=500)
        entrants = (
            Entrant(name="all", fitted=True, gain=gain, windows=9, spread_of=spread_of),
            Entrant(name="weighted:9d", fitted=True, words="it takes no weights"),
        )
        held = Standings(champion="u1", champion_loss=0.2, rows=500, since=NOW, until=NOW, alpha=0.05, entrants=entrants)
        return ContestSituation(job="j-0003", champion="u1", standings=held), ContestPolicy()

    return [case(0.01, None), case(0.01, 0), case(0.01, 9), case(-0.01, 9)]


CASES = {"autopilot": of_policies, "gates": of_the_gates, "release": of_a_release, "tournament": of_a_tournament}


@pytest.mark.parametrize("room", sorted(decisions.ROOMS))
def test_what_is_decided_otherwise_than_by_the_rules_before_is_made_by_other_rules(room: str) -> None:
    plans = tuple(decisions.decide(room, situation, policy, NOW) for situation, policy in CASES[room]())
    assert all(plan.rationale for plan in plans)
    found = codec.digest(plans)
    assert (decisions.RULES, found) == (RULES, DIGESTS[room]), (
        f"Decisions of {room} come out in other words or otherwise. Raise RULES in control/decisions.py, or `flyball verify` calls every ledger of the rules "
        f"before damaged; then write RULES and the digest {found} here."
    )

"""Evidence of a trained challenger → register it, or refuse it and say why.

Rules: the absolute gates (the point value; its interval is shown), the champion gate (non-inferiority of the paired difference on the same rows, by the
end of its interval), parity of the served form, latency. What could not be measured is an error, and only a pass of all registers. Where the champion was
fitted on the very rows or cannot be asked about them, or there are so few that two equal models would not pass, there is nothing to compare on: a rule that
nobody declared is left out, in words, where the release has to compare the two on live rows before it settles; otherwise, as one that flyball.yaml has, it
is inconclusive where more rows would settle it, and an error where nothing would as long as that champion answers. Before anybody is champion, who waits to be
the first stands in its place: what is shown to be worse than that one is refused.
"""

import math
from datetime import datetime
from typing import Literal

import msgspec

from flyball.records.decisions import Action, Plan
from flyball.records.evidence import Evidence, Outcome, Verdict, worst
from flyball.spec import ProjectSpec
from flyball.stats.metrics import HIGHER_IS_BETTER

PARITY = "parity_max_difference"
REFUSED_MISSING = "refused_missing"
"""Values that a request may leave out, and the model refuses to do without."""
LATENCY = "latency_p99_ms"
UNSEEN = "champion_unseen_rows"
UNASKED = "champion_unasked"

_DEFAULT_MARGIN = 0.01
"""Of the champion gate where flyball.yaml has none: a hundredth of the primary metric, as spec/gates.py promises."""
_DEFAULT_SHARE = 0.1
"""And no more than a tenth of what the champion itself has: of rare events the log loss may be 0.004, where a hundredth would let everything pass."""
_DEFAULT_LEAST = 0.001
"""Where more is better, no more than a tenth of what the champion lacks, either: 0.99 is ten times as many mistakes as 0.999. But what lacks a hundredth or
less keeps this much: less than a row in a thousand no holdout shows."""
_DEFAULT_UNBOUNDED, _UNBOUNDED = 0.01, frozenset({"mae", "rmse", "mape"})
"""What has the unit of the label, or no upper end, is judged by a hundredth of the champion's own value: 0.01 is nothing of 5,000 and all of 0.01."""
_DEFAULT_ALPHA = 0.05
_LIVE = {
    None: "a release compares them on live rows",
    "before_full": "the release compares them on live rows before it gives all traffic",
    "while_watching": "the release compares them on live rows, with all traffic at the latest, and is taken back unless that passes",
}
"""What stands in for the rule where it is left out. Without labels nothing does."""


class AbsoluteRule(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of the two bounds."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None


class ChampionRule(msgspec.Struct, frozen=True, kw_only=True):
    metric: str
    margin: float
    alpha: float
    share: float | None = None
    """The margin is no more than this share of the champion's own value; None: it is what was declared."""
    share_of: str | None = None
    """`own`: the margin is the share of the champion's own value, whatever its unit; `missing`: it is also no more than that of what the champion lacks to 1,
    or `least`. None: of its value alone, as `share` says."""
    least: float = 0.0
    declared: bool | None = None
    """Whether flyball.yaml has it; None: a decision of an earlier release, which is made again as it was made."""


class GatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    absolute: tuple[AbsoluteRule, ...]
    champion: ChampionRule
    parity: float
    latency_p99_ms: float
    compared_live: Literal["before_full", "while_watching", "never"] | None = None
    """When the release has to compare the challenger with the champion by labels; None: a decision of an earlier release, which is made again as it was."""


class GateSituation(msgspec.Struct, frozen=True, kw_only=True):
    """All that is judged."""

    candidate: str
    """Run key."""
    challenger: str
    """Who it is, for a person."""
    champion: str | None
    """Unit id that answers now, or `waits` to be the first that does; None: there is none to compare with."""
    evidence: tuple[Evidence, ...]
    """A metric's name: its value on the holdout. `<metric>_difference`: challenger − champion on the same rows, paired. `champion_<metric>`: the
    champion's value there. And PARITY, LATENCY; UNSEEN; and why there is no difference: UNASKED, `<metric>_too_few`."""
    requested_by: str = ""
    waits: bool = False


def policy_of(spec: ProjectSpec) -> GatePolicy:
    """What flyball.yaml asks for."""
    gates, rule = spec.gates, spec.gates.champion
    judged_by = _undeclared(spec.primary_metric)
    if rule is not None:
        judged_by = ChampionRule(metric=rule.metric, margin=rule.margin, alpha=rule.alpha, declared=True)
    return GatePolicy(
        absolute=tuple(AbsoluteRule(metric=gate.metric, at_least=gate.at_least, at_most=gate.at_most) for gate in gates.absolute),
        champion=judged_by,
        parity=gates.parity,
        latency_p99_ms=gates.latency_p99_ms,
        compared_live=spec.release.labels,
    )


def _undeclared(metric: str) -> ChampionRule:
    """The rule that holds where flyball.yaml has none."""
    rule = ChampionRule(metric=metric, margin=_DEFAULT_MARGIN, alpha=_DEFAULT_ALPHA, share=_DEFAULT_SHARE, declared=False)
    if metric in _UNBOUNDED:
        return msgspec.structs.replace(rule, margin=0.0, share=_DEFAULT_UNBOUNDED, share_of="own")
    return msgspec.structs.replace(rule, share_of="missing", least=_DEFAULT_LEAST) if metric in HIGHER_IS_BETTER else rule


def decide(situation: GateSituation, policy: GatePolicy, now: datetime) -> Plan:  # noqa: ARG001 - every room's function has this shape
    """One action on the candidate: `register` when every rule passes, else `refuse`."""
    verdicts = [_absolute(rule, _find(situation, rule.metric)) for rule in policy.absolute]
    compared, judged = _beside_champion(policy, situation)
    verdicts += judged
    verdicts.append(_at_most("parity", _find(situation, PARITY), policy.parity))
    refused = _told(situation, REFUSED_MISSING)
    if refused is not None:  # one such row is a failure of all that are asked for with it
        verdicts.append(Verdict(rule="missing", outcome=Outcome.FAIL, evidence=refused, words=refused.note))
    verdicts.append(_at_most("latency", _find(situation, LATENCY), policy.latency_p99_ms))
    outcome = worst(tuple(verdict.outcome for verdict in verdicts))
    return Plan(
        actions=(
            Action(
                kind="register" if outcome is Outcome.PASS else "refuse",
                subject=situation.candidate,
                arguments={"champion": situation.champion},
            ),
        ),
        rule="gates",
        rationale=_rationale(situation.challenger, compared, verdicts, outcome),
        outcome=outcome,
        verdicts=tuple(verdicts),
    )


def _beside_champion(policy: GatePolicy, situation: GateSituation) -> tuple[str, list[Verdict]]:
    """Whom with, in words, and the verdict of the rule against the champion; none: it is left out."""
    if situation.champion is None:
        return "there is no champion, so the rule against the champion is left out", []
    if situation.waits:
        return _beside_first(policy, situation)
    declared, live = policy.champion, _LIVE.get(policy.compared_live, "")
    rule, found = _within(declared, situation), _find(situation, f"{declared.metric}_difference")
    marker = _incomparable(rule.metric, situation)
    if marker is not None and (rule.declared or not live):
        # Who asked for the comparison asked for it of every challenger; and somebody has to make it.
        return f"not compared with the champion {situation.champion}", [_uncompared(rule, found, marker, live)]
    if marker is not None:
        return f"the rule against the champion {situation.champion} is left out: {marker.note}; {live}", []
    unseen = _told(situation, UNSEEN)
    where = f" on the {unseen.value or 0.0:.0f} of {unseen.n} rows that it was not fitted on" if unseen is not None else ""
    verdict = _champion(rule, found)
    if live and rule.declared is False and verdict.outcome is Outcome.INCONCLUSIVE and _half_width(found) > rule.margin:
        # As with hardly any rows: refused for their lack would be every challenger, however good, for as long as there are no more.
        why = f"{_shown(found)}{where}: so few rows would not show that two equal models are within the margin of {rule.margin:g}"
        return f"the rule against the champion {situation.champion} is left out: {why}; {live}", []
    return f"compared with the champion {situation.champion}{where}", [verdict]


def _beside_first(policy: GatePolicy, situation: GateSituation) -> tuple[str, list[Verdict]]:
    """Nobody is answered yet, and whoever is registered next takes the place: what is shown to be worse must not. What is not known keeps nobody out: no
    release could find it out beside one that serves nobody."""
    rule = _within(policy.champion, situation)
    verdict = _champion(rule, _find(situation, f"{rule.metric}_difference"))
    who = f"{situation.champion}, which waits to be the first"
    if verdict.outcome is Outcome.PASS:
        return f"compared with {who}", [verdict]
    if verdict.outcome is not Outcome.FAIL:
        return f"the rule against the champion is left out beside {who}: {verdict.words}", []
    words = f"{verdict.words}, and {situation.champion} waits to be the first; where the worse one is meant, gates.champion in flyball.yaml says by how much"
    return f"compared with {who}", [msgspec.structs.replace(verdict, words=words)]


def _incomparable(metric: str, situation: GateSituation) -> Evidence | None:
    """Whose note says why there is nothing to compare on; None: there is."""
    told = (_told(situation, name) for name in (UNSEEN, UNASKED, f"{metric}_too_few"))
    return next((item for item in told if item is not None and item.note), None)


def _uncompared(rule: ChampionRule, found: Evidence, marker: Evidence, live: str) -> Verdict:
    """Put off until there are more rows; an error where no rows would settle it: all that is trained beside this champion ends so."""
    missing = [
        *(["without gates.champion"] if rule.declared else []),
        *([] if live else ["with release.labels other than never"]),
    ]
    otherwise = (
        f"{' and '.join(missing)} in flyball.yaml the rule would be left out, and the release would compare the two on live rows"
    )
    settled_by = otherwise if marker.name == UNASKED else "more rows would settle it"
    why = (
        f"gates.champion asks for a comparison, and {marker.note}"
        if rule.declared
        else f"{marker.note}, and with release.labels: never no release compares the two"
    )
    return Verdict(
        rule=f"champion:{rule.metric}", outcome=Outcome.ERROR if marker.name == UNASKED else Outcome.INCONCLUSIVE, evidence=found,
        words=f"{why}: {settled_by}",
    )  # fmt: skip


def _told(situation: GateSituation, name: str) -> Evidence | None:
    return next((item for item in situation.evidence if item.name == name), None)


def _half_width(evidence: Evidence) -> float:
    return ((evidence.upper or 0.0) - (evidence.lower or 0.0)) / 2.0


def _within(rule: ChampionRule, situation: GateSituation) -> ChampionRule:
    """The rule with the margin that the champion's own value allows."""
    own = _find(situation, f"champion_{rule.metric}").value
    if rule.share is None or own is None or not math.isfinite(own):
        return rule
    share = rule.share * abs(own)
    if rule.share_of == "own":
        return msgspec.structs.replace(rule, margin=share)
    lacks = max(rule.share * (1.0 - own), rule.least) if rule.share_of == "missing" else math.inf
    return msgspec.structs.replace(rule, margin=min(rule.margin, share, lacks))


def _rationale(challenger: str, compared: str, verdicts: list[Verdict], outcome: Outcome) -> str:
    if outcome is Outcome.PASS:
        said = "; ".join(verdict.words for verdict in verdicts)
        return f"{challenger} is registered: all {len(verdicts)} rules passed ({compared}): {said}."
    bad = [verdict for verdict in verdicts if verdict.outcome is not Outcome.PASS]
    said = "; ".join(f"{verdict.rule} ({verdict.outcome.value}): {verdict.words}" for verdict in bad)
    return f"{challenger} is refused: {len(bad)} of {len(verdicts)} rules did not pass ({compared}): {said}."


def _find(situation: GateSituation, name: str) -> Evidence:
    found = [item for item in situation.evidence if item.name == name]
    if len(found) == 1:
        return found[0]
    why = "it was not measured" if not found else f"there are {len(found)} measurements of it"
    return Evidence(name=name, value=None, note=why)


def _absolute(rule: AbsoluteRule, evidence: Evidence) -> Verdict:
    name = f"absolute:{rule.metric}"
    if rule.at_most is not None:
        return _at_most(name, evidence, rule.at_most)
    if evidence.value is None or not math.isfinite(evidence.value):
        return _unmeasured(name, evidence)
    if rule.at_least is None:
        return Verdict(rule=name, outcome=Outcome.ERROR, evidence=evidence, words=f"the gate on {rule.metric} has no bound")
    passed = evidence.value >= rule.at_least
    words = f"{_shown(evidence)} is {'at least' if passed else 'below'} {rule.at_least:g}"
    return Verdict(rule=name, outcome=Outcome.PASS if passed else Outcome.FAIL, evidence=evidence, words=words)


def _at_most(rule: str, evidence: Evidence, bound: float) -> Verdict:
    if evidence.value is None or not math.isfinite(evidence.value):
        return _unmeasured(rule, evidence)
    passed = evidence.value <= bound
    words = f"{_shown(evidence)} is {'at most' if passed else 'above'} {bound:g}"
    return Verdict(rule=rule, outcome=Outcome.PASS if passed else Outcome.FAIL, evidence=evidence, words=words)


def _champion(rule: ChampionRule, evidence: Evidence) -> Verdict:
    """Non-inferiority: in units of harm (positive is worse), the whole interval must lie within the margin."""
    name = f"champion:{rule.metric}"
    if evidence.value is None or not math.isfinite(evidence.value):
        return _unmeasured(name, evidence)
    lower, upper = evidence.lower, evidence.upper
    if lower is None or upper is None or not (math.isfinite(lower) and math.isfinite(upper)):
        return Verdict(rule=name, outcome=Outcome.ERROR, evidence=evidence, words=f"{evidence.name} has no interval to judge by")
    if evidence.alpha is None or evidence.alpha > rule.alpha * (
        1.0 + 1e-9
    ):  # a rate that went through a file may differ in its last bit
        words = f"{evidence.name} claims an error rate of {_number(evidence.alpha)}, the rule asks for {_number(rule.alpha)}"
        return Verdict(rule=name, outcome=Outcome.ERROR, evidence=evidence, words=words)
    higher = rule.metric in HIGHER_IS_BETTER
    best, bad = (-upper, -lower) if higher else (lower, upper)
    margin = f"the margin of {rule.margin:g} ({'lower' if higher else 'higher'} is worse)"
    if bad <= rule.margin:
        outcome, said = Outcome.PASS, f"its bad end is within {margin}"
    elif best > rule.margin:
        outcome, said = Outcome.FAIL, f"even its good end is beyond {margin}"
    else:
        outcome, said = Outcome.INCONCLUSIVE, f"it reaches to both sides of {margin}, more rows would settle it"
    return Verdict(rule=name, outcome=outcome, evidence=evidence, words=f"{_shown(evidence)}: {said}")


def _unmeasured(rule: str, evidence: Evidence) -> Verdict:
    words = f"{evidence.name} could not be measured: {evidence.note or 'no reason was given'}"
    return Verdict(rule=rule, outcome=Outcome.ERROR, evidence=evidence, words=words)


def _shown(evidence: Evidence) -> str:
    interval = (
        "" if evidence.lower is None or evidence.upper is None else f" [{_number(evidence.lower)}, {_number(evidence.upper)}]"
    )
    return f"{evidence.name} {_number(evidence.value)}{interval}"


def _number(value: float | None) -> str:
    """Three decimals, or three significant digits where those would show nothing."""
    if value is None:
        return "none"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.3g}"

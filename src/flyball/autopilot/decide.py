"""Findings, policies and history → what to do now. Pure: the same inputs give the same plan, byte for byte."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from flyball.autopilot import actions
from flyball.autopilot.actions import AT_ANY_TIME, AT_ONCE, EXCLUSIVE, TOURNAMENTS
from flyball.autopilot.autonomy import ACT, OBSERVE, PROPOSE, below, level_of
from flyball.autopilot.breaker import Trip, trip
from flyball.autopilot.conditions import compile_condition
from flyball.autopilot.past import ago, counted_from
from flyball.autopilot.policy import AutopilotPolicy, Rule, policy_of
from flyball.autopilot.signals import RESTS_ON, plain_signals
from flyball.autopilot.situation import AutopilotSituation, OpenIncident, PastAction
from flyball.records.decisions import Action, Plan
from flyball.spec.fields import format_duration

__all__ = [
    "EXCLUSIVE",
    "TOURNAMENTS",
    "AutopilotPolicy",
    "AutopilotSituation",
    "OpenIncident",
    "PastAction",
    "Rule",
    "decide",
    "policy_of",
]

NEVER = datetime.min.replace(tzinfo=UTC)


def decide(situation: AutopilotSituation, policy: AutopilotPolicy, now: datetime) -> Plan:
    """Every policy in the order of the file. A condition that holds and does not lead to an act gives the action `nothing`, and the reason in words."""
    if situation.champion is None or not situation.signals_by_window:
        return Plan(actions=(), rule="", rationale="")
    situation = msgspec.structs.replace(situation, past=_counted(situation, policy, now))
    tripped = _trip(situation, policy, now)
    planned: list[Action] = [_opening(tripped, situation, policy)] if tripped else []
    said: list[str] = [f"breaker: {planned[0].arguments['message']}"] if tripped else []
    carried: list[str] = ["breaker"] if tripped else []
    barred = _barred(situation, tripped)
    longest = max((rule.for_windows for rule in policy.rules), default=1)
    holding = [(rule, _held(rule, situation.signals_by_window)) for rule in policy.rules]
    holding = [(rule, seen) for rule, seen in holding if seen[0] is None or seen[0] >= rule.for_windows]
    found = [(rule, _alone(rule, seen[0], situation, policy, barred, now)) for rule, seen in holding]
    first = _first([rule for rule, (action, _) in found if actions.effect(action) in EXCLUSIVE], situation)
    for (rule, seen), (_, (alone, why)) in zip(holding, found, strict=True):
        waits = first is not None and rule is not first and actions.effect(alone) in EXCLUSIVE
        obstacle = f"{first.name} goes first, and who answers is changed by one policy at a time" if first and waits else why
        action = actions.nothing(rule, policy, obstacle) if waits else alone
        planned.append(action)
        carried.append(rule.name)
        said.append(
            _sentence(rule, seen, (situation, longest), now)
            + (f"Nothing is done: {obstacle}." if obstacle else actions.consequence(action))
        )
    return Plan(actions=tuple(planned), rule=", ".join(carried), rationale="\n".join(said))


def _alone(
    rule: Rule, held: int | None, situation: AutopilotSituation, policy: AutopilotPolicy, barred: str, now: datetime
) -> tuple[Action, str]:
    """What the policy would do were it the only one, and why nothing; empty: it may act."""
    obstacle = "the condition cannot be evaluated on these signals" if held is None else ""
    obstacle = obstacle or (barred if rule.action in EXCLUSIVE else "") or _obstacle(rule, situation, now)
    return (actions.nothing(rule, policy, obstacle) if obstacle else _act(rule, situation, policy)), obstacle


def _first(able: list[Rule], situation: AutopilotSituation) -> Rule | None:
    """Who changes who answers, of those that may: what ends harm at once, else who has waited longest, in the order of the file. One whose cooldown is no longer
    than a window, or that has none, could act at every window, and would keep the others from acting for ever."""
    last = {rule.name: max((act.at for act in situation.past if act.policy == rule.name), default=NEVER) for rule in able}
    urgent = sorted((rule for rule in able if rule.action in AT_ONCE), key=lambda rule: AT_ONCE.index(rule.action))
    return urgent[0] if urgent else min(able, key=lambda rule: last[rule.name], default=None)


def _trip(situation: AutopilotSituation, policy: AutopilotPolicy, now: datetime) -> Trip | None:
    """Why the breaker opens now; where it is open already, or no policy could do anything that it bars, it does not."""
    if _is_open(situation) or not any(rule.action in EXCLUSIVE for rule in policy.rules):
        return None
    return trip(situation.ended, situation.moves, policy.breaker, now)


def _is_open(situation: AutopilotSituation) -> bool:
    return situation.breaker is not None and situation.breaker.closed_at is None


def _barred(situation: AutopilotSituation, tripped: Trip | None) -> str:
    """Why no policy may change who is champion; empty: it may."""
    if tripped is not None:
        return "the breaker opens"
    if situation.breaker is not None and _is_open(situation):
        return f"the breaker is open since {situation.breaker.opened_at.isoformat()}, and a person closes it"
    if situation.stopped_since is not None:
        return f"the model is stopped since {situation.stopped_since.isoformat()}, and a person resumes it"
    return ""


def _level(action: str, situation: AutopilotSituation, policy: AutopilotPolicy) -> str:
    return level_of(action, policy.autonomy, situation.most) if action in EXCLUSIVE else ACT


def _counted(situation: AutopilotSituation, policy: AutopilotPolicy, now: datetime) -> tuple[PastAction, ...]:
    """Of what is past, what budgets and cooldowns count: that it was only noted does not keep a policy from acting, once it may; nor does what is dated later
    than now, by a clock that went wrong."""
    notes = {rule.name for rule in policy.rules if _level(rule.action, situation, policy) == OBSERVE}
    return tuple(act for act in situation.past if act.at <= now and (act.action != OBSERVE or act.policy in notes))


def _opening(tripped: Trip, situation: AutopilotSituation, policy: AutopilotPolicy) -> Action:
    """Whatever it opens for loses a level with it."""
    before = {kind: _level(kind, situation, policy) for kind in tripped.actions}
    after = {kind: below(level) for kind, level in before.items() if level != OBSERVE}
    falls = "".join(f". {kind} falls from {before[kind]} to {level}" for kind, level in after.items())
    message = (
        f"{tripped.words}. The autopilot's breaker opens: no policy changes who answers until a person has looked{falls}. "
        "Next: flyball decisions --open, then flyball breaker close"
    )
    arguments = {"message": message, "words": tripped.words, "for": list(tripped.actions), "levels": after}
    return Action(kind="open_breaker", subject=actions.subject(policy), arguments=arguments)


def _held(rule: Rule, windows: tuple[dict[str, Any], ...]) -> tuple[int | None, str]:
    """At how many window ends in a row, up to the newest, the condition was true (None: at the newest it cannot be told); and the signals it read there."""
    condition = compile_condition(rule.when)
    count: int | None = None if condition.holds(windows[-1]) is None else 0
    for signals in reversed(windows):
        if condition.holds(signals) is not True:
            break
        count = (count or 0) + 1
    newest = windows[-1]
    return count, plain_signals({name: newest[name] for name in condition.names if name in newest})


def _obstacle(rule: Rule, situation: AutopilotSituation, now: datetime) -> str:
    """Why the policy may not act now; empty: it may."""
    if asked := situation.open_questions.get(rule.name):
        return f"its question {asked} has no answer yet"
    mine = [action for action in situation.past if action.policy == rule.name]
    waits = [counted_from(act, rule) + rule.cooldown for act in mine if ago(act, rule, now) < rule.cooldown]
    if waits:
        return f"the cooldown of {format_duration(rule.cooldown)} ends at {max(waits).isoformat()}"
    used = _used(rule, situation, now)
    if rule.budget_times is not None and rule.budget_per is not None and used >= rule.budget_times:
        return f"the budget of {rule.budget_times} per {format_duration(rule.budget_per)} is used up"
    if handled := _handled(rule, situation):
        return f"it {handled} already; a cooldown would say when to act for the same again"
    if rule.name in situation.open_approvals:
        return "its question has no answer yet"
    if rule.action in EXCLUSIVE - AT_ANY_TIME and situation.busy:
        return f"{situation.busy} is under way"
    return actions.lacking(rule, situation, _incidents(rule, situation))


def _act(rule: Rule, situation: AutopilotSituation, policy: AutopilotPolicy) -> Action:
    """What the policy does, as far as its level and its need of approval let it."""
    action = actions.act(rule, situation, policy, _incidents(rule, situation))
    level = _level(rule.action, situation, policy)
    if level == OBSERVE:
        return actions.about(action, OBSERVE)
    kind = action.kind
    needs_approval = (rule.approval and kind != "ask" and kind == rule.action) or (level == PROPOSE and kind in EXCLUSIVE)
    return actions.about(action, "ask") if needs_approval else action


def _incidents(rule: Rule, situation: AutopilotSituation) -> tuple[int, ...]:
    """Open ones that the condition is about."""
    kinds = {RESTS_ON[name] for name in compile_condition(rule.when).names if name in RESTS_ON}
    return tuple(each.number for each in situation.incidents if kinds & each.about)


def _handled(rule: Rule, situation: AutopilotSituation) -> str:
    """`acted for incident 1`: those that the policy acted for and without which its condition would not hold; empty: there is something new to act for.

    A cooldown says itself how often one incident is acted for.
    """
    if rule.cooldown:
        return ""
    did = {number for act in situation.past if act.policy == rule.name for number in act.incidents}
    done = {each.number for each in situation.incidents if did & each.numbers}
    mine = [number for number in _incidents(rule, situation) if number in done]
    new = {kind for each in situation.incidents if each.number not in done for kind in each.about}
    seen = situation.signals_by_window[-1]
    without = seen | {name: type(seen[name])() for name, kind in RESTS_ON.items() if name in seen and kind not in new}
    if not mine or compile_condition(rule.when).holds(without) is True:
        return ""
    only_asked = all(act.only_asked for act in situation.past if act.policy == rule.name and act.incidents)
    return f"{'asked about' if only_asked else 'acted for'} {actions.named(mine)}"


def _used(rule: Rule, situation: AutopilotSituation, now: datetime) -> int:
    """Acts of this policy within the last period of its budget."""
    if rule.budget_per is None:
        return 0
    return sum(1 for action in situation.past if action.policy == rule.name and ago(action, rule, now) < rule.budget_per)


def _sentence(rule: Rule, seen: tuple[int | None, str], among: tuple[AutopilotSituation, int], now: datetime) -> str:
    """`among`: what is known, and the windows that are looked at most."""
    (held, values), (situation, longest) = seen, among
    windows = "1 window" if held == 1 else f"{held or 0} windows in a row"
    # No more of them are looked at than the longest `for` asks for.
    windows += " or more" if held == longest == len(situation.signals_by_window) else ""
    parts = [f"{rule.name}: `{rule.when}` held for {windows} (needed: {rule.for_windows})"]
    names = compile_condition(rule.when).names
    if names:
        parts.append(f"now {values}" if values else "none of its signals is there")
    last = max((each for each in situation.past if each.policy == rule.name), key=lambda each: each.at, default=None)
    if about := _incidents(rule, situation):
        parts.append(f"it is about {actions.named(about)}")
    did = "asked" if last is not None and last.only_asked else "acted"
    parts.append(f"it last {did} {_days(now - last.at)} ago" if last is not None else "it never acted before")
    if rule.budget_times is not None and rule.budget_per is not None:
        parts.append(f"{_used(rule, situation, now)} of {rule.budget_times} per {format_duration(rule.budget_per)} used")
    return "; ".join(parts) + ". " + (_foreseen(situation) if any(map(actions.of_improvement, names)) else "")


def _foreseen(situation: AutopilotSituation) -> str:
    """Why a tournament was thought worth it, or not."""
    words = situation.foreseen.words if situation.foreseen is not None else ""
    return f"{words[0].upper()}{words[1:]}. " if words else ""


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):.1f} days"

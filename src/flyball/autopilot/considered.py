"""What a plan was chosen from: every policy, and why it acts or does not. Read off the situation and the plan themselves."""

import msgspec

from flyball.autopilot.actions import TOURNAMENTS, of_improvement
from flyball.autopilot.conditions import compile_condition
from flyball.autopilot.decide import AutopilotSituation
from flyball.autopilot.entrants import TRAINS
from flyball.autopilot.policy import AutopilotPolicy, Rule
from flyball.autopilot.signals import plain_signals
from flyball.records.decisions import Plan


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """One policy at one look."""

    policy: str
    action: str
    when: str
    chosen: bool
    words: str
    """What it came to, and why."""
    gain: tuple[float, float, float] | None = None
    """Expected of it then, and the ends of the interval, relative to the champion's loss; None: of what it does nothing was worked out."""


def seen(situation: AutopilotSituation, policy: AutopilotPolicy) -> tuple[str, ...]:
    """What was there to be acted on, a sentence each."""
    newest = situation.signals_by_window[-1] if situation.signals_by_window else {}
    names = {name for rule in policy.rules for name in compile_condition(rule.when).names}
    found = [
        f"incident {each.number}: {each.kind.value.replace('_', ' ')}; {_standing(each.standing)}" for each in situation.incidents
    ]
    told = plain_signals({name: newest[name] for name in names if name in newest})
    asked = any(map(of_improvement, names)) or any(_trains(rule) for rule in policy.rules)
    foreseen = situation.foreseen.words if asked and situation.foreseen is not None else ""
    busy = f"{situation.busy} was under way" if situation.busy else ""
    return (*found, *(each for each in (told, foreseen, busy) if each))


def _trains(rule: Rule) -> bool:
    """Whether it is a tournament that may train: the others' gains were not worked out."""
    return rule.action in TOURNAMENTS and any(each in TRAINS for each in rule.entrants)


def _standing(kinds: tuple[str, ...]) -> str:
    return (
        f"{', '.join(str(kind).replace('_', ' ') for kind in kinds)} stand{'' if len(kinds) > 1 else 's'}"
        if kinds
        else "nothing of it stands"
    )


def considered(situation: AutopilotSituation, policy: AutopilotPolicy, plan: Plan) -> tuple[Considered, ...]:
    """Every policy in the order of the file."""
    return tuple(_of(rule, situation, plan) for rule in policy.rules)


def _of(rule: Rule, situation: AutopilotSituation, plan: Plan) -> Considered:
    mine = next((action for action in plan.actions if action.arguments.get("policy") == rule.name), None)
    gain = situation.foreseen.gain if situation.foreseen is not None and _trains(rule) else None
    told = Considered(policy=rule.name, action=rule.action, when=rule.when, chosen=False, words="", gain=gain)
    if mine is None:
        return msgspec.structs.replace(told, words=_not_held(rule, situation))
    if mine.kind == "nothing":
        return msgspec.structs.replace(told, words=f"its condition holds, and nothing is done: {mine.arguments['why']}")
    words = {"ask": "a person is asked", "observe": "only noted, for that is its level"}.get(mine.kind, f"chosen: {mine.kind}")
    return msgspec.structs.replace(told, chosen=True, words=words)


def _not_held(rule: Rule, situation: AutopilotSituation) -> str:
    condition, count = compile_condition(rule.when), 0
    for signals in reversed(situation.signals_by_window):
        if condition.holds(signals) is not True:
            break
        count += 1
    if count:
        return f"its condition holds for {count} of the {rule.for_windows} windows that it must"
    return "its condition does not hold"

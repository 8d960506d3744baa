"""What the user allows the autopilot to do."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from flyball.autopilot.autonomy import ACT, OBSERVE, PROPOSE
from flyball.autopilot.breaker import BreakerPolicy
from flyball.errors import Fault, SpecError
from flyball.records import codec
from flyball.spec import PolicySpec, ProjectSpec
from flyball.spec.conditions import check_condition
from flyball.spec.fields import format_duration


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One policy of flyball.yaml."""

    name: str
    when: str
    for_windows: int
    action: str
    """As spec/policies.py calls it."""
    history: str | None
    """Retraining: `all`, `since_change`, a duration, or None: as `train.history` says."""
    message: str
    cooldown: timedelta
    budget_times: int | None
    """None: as often as it likes."""
    budget_per: timedelta | None
    approval: bool
    entrants: tuple[str, ...] = ()
    """Of a tournament: strategies that may compete with the champion."""
    chosen: bool = False
    """Somebody named them: all of them compete."""
    retunes: bool = False
    """Nobody named them, and the project says what is sought (`train.tuning`): parameters are sought anew where retraining has stopped helping."""
    on_faults: bool = False
    """Fits also while the data are said to be faulty."""
    window: timedelta | None = None
    """Of monitoring: looks come at windows' ends. None: a Flyball wrote it that counted between looks by the clock."""


class AutopilotPolicy(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    rules: tuple[Rule, ...]
    """In the order of the file (who goes first: decide.py)."""
    breaker: BreakerPolicy = BreakerPolicy()
    autonomy: dict[str, str] = {}
    """Kind of action → level; what is not named acts."""


def policy_of(spec: ProjectSpec) -> AutopilotPolicy:
    """The policies of flyball.yaml. Raises SpecError with every condition that is wrong."""
    faults = []
    for place, policy in enumerate(spec.policies):
        try:
            # Compiled where it is judged: a control process starts without the compiler.
            check_condition(policy.when)
        except ValueError as error:
            faults.append(Fault(f"policies[{place}].when", repr(policy.when), str(error)))
    if faults:
        raise SpecError(faults)
    limits = spec.autopilot.breaker
    return AutopilotPolicy(
        model=spec.model,
        rules=tuple(_rule(policy, spec.monitor.window, tuned=spec.train.tuning is not None) for policy in spec.policies),
        breaker=BreakerPolicy(failures=limits.failures, flip_flops=limits.flip_flops, within=limits.within),
        autonomy=spec.autopilot.autonomy.model_dump(),
    )


_NO_PART_OF_A_QUESTION = frozenset({"name", "cooldown", "budget_times", "budget_per", "approval"})
"""Of a rule: how often it may act, and what `_need` tells."""


def asks_the_same(recorded: Mapping[str, Any], rule: Rule, autonomy: Mapping[str, str]) -> bool:
    """Whether a policy would ask now what it asked when its decision recorded the policies. What that Flyball did not record yet is taken to be the same."""
    then = next((each for each in recorded.get("rules", ()) if each.get("name") == rule.name), None)
    if then is None:
        return True
    now = codec.plain(rule)
    asked = (then.keys() & now.keys()) - _NO_PART_OF_A_QUESTION
    # By their bytes: what was recorded has lists where a rule has tuples.
    same = all(codec.encode(then[name]) == codec.encode(now[name]) for name in asked)
    return same and _need(then, recorded.get("autonomy", {})) == _need(now, autonomy)


def _need(rule: Mapping[str, Any], autonomy: Mapping[str, str]) -> str:
    """How far flyball.yaml lets it go without a person, whether the policy says so or the level of its action."""
    level = autonomy.get(str(rule.get("action")), ACT)
    return PROPOSE if rule.get("approval") and level != OBSERVE else level


_ALONE = {"recalibrate": "recalibrate", "rethreshold": "rethreshold", "reactivate": "earlier"}
"""Action → the one strategy that competes."""


def _entrants(policy: PolicySpec) -> tuple[str, ...]:
    """All that the project can do, where nothing is said. Tuning anew costs as many trainings as it has trials: only where it is asked for, or nothing else has
    helped (`retunes`)."""
    if policy.do.action in _ALONE:
        return (_ALONE[policy.do.action],)
    if policy.do.action != "improve":
        return ()
    if policy.do.entrants is not None:
        return tuple(dict.fromkeys(policy.do.entrants))
    return ("recalibrate", "earlier", "all", "since", "weighted", "recent")


def _rule(policy: PolicySpec, window: timedelta, *, tuned: bool) -> Rule:
    history = policy.do.history
    return Rule(
        name=policy.name,
        when=policy.when,
        for_windows=policy.for_windows,
        action=policy.do.action,
        history=history if history is None or isinstance(history, str) else format_duration(history),
        message=policy.do.message,
        cooldown=policy.cooldown,
        budget_times=policy.budget.times if policy.budget else None,
        budget_per=policy.budget.per if policy.budget else None,
        approval=policy.needs == "approval",
        entrants=_entrants(policy),
        chosen=policy.do.entrants is not None or policy.do.action in _ALONE,
        retunes=tuned and policy.do.action == "improve" and policy.do.entrants is None,
        on_faults=policy.do.on_faults,
        window=window,
    )

"""What a policy does: the action with all that it needs, why it cannot be made, and its words."""

from collections.abc import Sequence
from typing import Any

from flyball.autopilot.conditions import compile_condition
from flyball.autopilot.entrants import MENDED_ELSEWHERE, NOT_THE_WORLD, TRAINS, Strategy
from flyball.autopilot.policy import AutopilotPolicy, Rule
from flyball.autopilot.situation import AutopilotSituation, OpenIncident
from flyball.records import codec
from flyball.records.decisions import Action
from flyball.records.findings import FindingKind, IncidentKind
from flyball.spec.policies import FITS

TOURNAMENTS = frozenset({"improve", "recalibrate", "rethreshold", "reactivate"})
"""One job whose entrants are judged beside the champion."""
EXCLUSIVE = frozenset({"retrain", *TOURNAMENTS, "roll_back", "stop"})
"""They change who answers: one at a time, and none while a job or a release is under way."""
AT_ANY_TIME = frozenset({"stop"})
"""Of those: what does not wait for a job or a release to end, for it ends harm."""
AT_ONCE = ("stop", "roll_back")
"""What goes before everything else, in this order, for the same reason."""


_SEEN = {"growth": "improvement.growth", "excess": "improvement.excess", "rows_since": "improvement.rows_since"}
"""What a tournament was held for, as experience remembers it."""


STOPPED_HELPING = 2
"""Tournaments in a row that trained and that nobody won, from which parameters are sought anew: then at 4, 8, 16, …, since one that did not help either costs as
many trainings as it has trials."""
_LOST = "improvement.lost_in_a_row"
_OF_A_LOSS = ("performance.loss_increase", "performance.estimated_increase")
"""Signals of a loss that is up, whatever finding tells of it (autopilot/signals.py)."""
_TELL_OF_A_LOSS = frozenset({FindingKind.PERFORMANCE, FindingKind.ESTIMATED_PERFORMANCE, FindingKind.CONCEPT_DRIFT})


def lacking(rule: Rule, situation: AutopilotSituation, incidents: tuple[int, ...]) -> str:
    """What the action for these incidents cannot be done without; empty: it can be done."""
    if rule.action in FITS and not rule.on_faults and (fault := faulty(situation.incidents, situation.data_faults)):
        return fault
    mine = _to_be_mended(rule, situation, incidents)
    pipes = numbers_of(mine, IncidentKind.INFRASTRUCTURE)
    if rule.action == "improve" and pipes and len(pipes) == len(mine):
        return f"{named(pipes)} is taken for infrastructure, which no model mends"
    since_alone = rule.history == "since_change" or rule.entrants == ("since",)
    if since_alone and situation.changed_since is None:
        return "no finding that stands says since when something has changed"
    if rule.entrants == ("earlier",) and not situation.earlier:
        return "there is no earlier verified unit that answers otherwise than the champion"
    if rule.action in TOURNAMENTS and not _able(rule, situation, _kind(rule, situation, incidents)):
        bad = numbers_of(mine, IncidentKind.BAD_RELEASE)
        why = f", for {named(bad)} is taken for a bad release: the world has nothing new to learn" if bad else ""
        return f"none of {', '.join(rule.entrants)} can compete{why}"
    return ""


def fits(action: Action) -> bool:
    """Whether something is fitted for it, and its policy does not say that a fault may be learnt."""
    return action.kind in FITS and not action.arguments.get("on_faults")


def faulty(incidents: Sequence[OpenIncident], data_faults: Sequence[int]) -> str:
    """Why nothing is fitted to these data; empty: nothing is known against them. `data_faults`: numbers of the findings that say so."""
    if found := numbers_of([each for each in incidents if not each.of_few], IncidentKind.DATA_FAULT):
        return f"{named(found)} is taken for a data fault, which is mended upstream and never trained into a model"
    if not data_faults:
        return ""
    said = f"finding{'s' if len(data_faults) > 1 else ''} {', '.join(map(str, data_faults))} say{'' if len(data_faults) > 1 else 's'}"
    return f"{said} that the data are faulty, and a fault of the data is mended where it came from, not learnt; acknowledge it once it is"


def numbers_of(incidents: Sequence[OpenIncident], kind: IncidentKind) -> tuple[int, ...]:
    """Of those that are taken for this kind."""
    return tuple(each.number for each in incidents if each.kind is kind)


def named(numbers: Sequence[int]) -> str:
    return f"incident{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def act(rule: Rule, situation: AutopilotSituation, policy: AutopilotPolicy, incidents: tuple[int, ...]) -> Action:
    """As the policy says, were it free to act."""
    arguments: dict[str, Any] = {"policy": rule.name}
    if incidents:
        arguments["incidents"] = list(incidents)
    kind = rule.action
    if rule.on_faults:
        arguments["on_faults"] = True  # a fault may come between a question and its answer: who agrees then agrees to this, too
    if kind == "retrain":
        arguments |= _rows(rule, situation)
    if kind in TOURNAMENTS:
        arguments |= _entrants(rule, situation, incidents)
    if kind == "stop":
        arguments["from"] = situation.champion
    if kind == "roll_back":
        if situation.previous_champion is None:
            kind = "notify"
            arguments["message"] = "The policy says roll_back, but no verified champion came before this one: a person must look."
        else:
            arguments |= {"from": situation.champion, "to": situation.previous_champion}
    if rule.message:
        arguments.setdefault("message", rule.message)
    if "from" not in arguments:
        # The condition is about it: a yes is worth nothing for another one.
        arguments["champion"] = situation.champion
    return Action(kind=kind, subject=subject(policy), arguments=arguments)


def _rows(rule: Rule, situation: AutopilotSituation) -> dict[str, Any]:
    if rule.history == "since_change" and situation.changed_since is not None:
        return {"since": situation.changed_since.isoformat()}
    return {} if rule.history is None else {"history": rule.history}


def _entrants(rule: Rule, situation: AutopilotSituation, incidents: tuple[int, ...]) -> dict[str, Any]:
    """Those that could compete now; a strategy that lacks something is left out where it is one of several."""
    kind = _kind(rule, situation, incidents)
    asked = _able(rule, situation, kind)
    found: dict[str, Any] = {"strategies": asked, "chosen": rule.chosen}
    seen = situation.signals_by_window[-1]
    found |= {name: seen[signal] for name, signal in _SEEN.items() if seen.get(signal)}
    if kind is not None:
        found["kind"] = kind.value
    if "earlier" in asked:
        found["earlier"] = list(situation.earlier)
    # Maps and thresholds learn from the rows since then, too, and not from two worlds at once.
    if situation.changed_since is not None:
        found["since"] = situation.changed_since.isoformat()
    return found


def _to_be_mended(rule: Rule, situation: AutopilotSituation, incidents: tuple[int, ...]) -> tuple[OpenIncident, ...]:
    """Open incidents that the policy acts for: `incidents`, which its condition is about; where it is about none but of a loss that is up, those of the loss.
    One that stands beside them, unacknowledged, is no reason to act or not to."""
    names, seen = compile_condition(rule.when).names, situation.signals_by_window[-1]
    rise = bool(seen.get(_SEEN["excess"])) and any(map(of_improvement, names))
    worse = not incidents and (rise or any(name in _OF_A_LOSS for name in names))
    return tuple(each for each in situation.incidents if each.number in incidents or (worse and _TELL_OF_A_LOSS & each.about))


def _kind(rule: Rule, situation: AutopilotSituation, incidents: tuple[int, ...]) -> IncidentKind | None:
    """What the tournament is to mend: the newest of its incidents that a model can mend; where it acts for none, what others tell of the world."""
    mine = [each.kind for each in _to_be_mended(rule, situation, incidents) if each.kind not in MENDED_ELSEWHERE]
    others = [each.kind for each in situation.incidents if not incidents and each.kind not in NOT_THE_WORLD]
    return next(reversed(mine or others), None)


def _able(rule: Rule, situation: AutopilotSituation, kind: IncidentKind | None) -> list[str]:
    """Strategies that could compete: what a person named by name is tried whatever the incident is taken for."""
    without = {
        *(() if situation.earlier else (Strategy.EARLIER,)),
        *((Strategy.SINCE,) if situation.changed_since is None else ()),
        *((Strategy.RECALIBRATE, *TRAINS) if kind in NOT_THE_WORLD and not rule.chosen else ()),
    }
    retuned = (Strategy.RETUNE,) if rule.retunes and retune_is_due(situation.signals_by_window[-1].get(_LOST, 0)) else ()
    return [str(strategy) for strategy in (*rule.entrants, *retuned) if strategy not in without]


def retune_is_due(lost_in_a_row: int) -> bool:
    """At 2, 4, 8, …

    >>> [lost for lost in range(17) if retune_is_due(lost)]
    [2, 4, 8, 16]
    """
    return lost_in_a_row >= STOPPED_HELPING and lost_in_a_row.bit_count() == 1


def about(action: Action, kind: str) -> Action:
    """A question about an action, or a note that it would have been done."""
    of: dict[str, Any] = {name: action.arguments[name] for name in ("policy", "incidents") if name in action.arguments}
    return Action(kind=kind, subject=action.subject, arguments={**of, "action": codec.plain(action)})


def nothing(rule: Rule, policy: AutopilotPolicy, obstacle: str) -> Action:
    return Action(
        kind="nothing", subject=subject(policy), arguments={"policy": rule.name, "instead_of": rule.action, "why": obstacle}
    )


def subject(policy: AutopilotPolicy) -> str:
    return f"model:{policy.model}"


def of_improvement(signal: str) -> bool:
    """Whether it is what `worth.assess` said."""
    return signal.startswith("improvement.")


def effect(action: Action) -> str:
    """What will be done in the end: of a question, what is asked for."""
    asked = action.arguments.get("action")
    return str(asked["kind"]) if action.kind == "ask" and asked else action.kind


def consequence(action: Action) -> str:
    """In a sentence."""
    arguments = action.arguments
    if "action" in arguments:
        before = "A person is asked before" if action.kind == "ask" else "Only noted, for that is its level"
        return f"{before}: {consequence(Action(**arguments['action']))}"
    if action.kind == "retrain":
        rows = f"the rows since {arguments['since']}" if "since" in arguments else arguments.get("history")
        return f"Retrain on {rows or 'the history that train.history names'}."
    if action.kind in TOURNAMENTS:
        return (
            f"Try {_tried(arguments)} beside the champion on the newest mature rows; the best goes to release, or nothing does."
        )
    if action.kind == "roll_back":
        return f"Roll back from {arguments['from']} to {arguments['to']}."
    if action.kind == "stop":
        return f"Stop serving {arguments['from']} until a person resumes it."
    told = arguments.get("message", "")
    verb = "A person is asked what to do" if action.kind == "ask" else "A person is told"
    return f"{verb}: {told}" if told else f"{verb}."


def _tried(arguments: dict[str, Any]) -> str:
    """Whoever costs no training is tried, and who was named by name; of the others as many as `tournament.order` takes."""
    strategies = arguments["strategies"]
    drawn = [] if arguments.get("chosen") else [each for each in strategies if each in TRAINS and each != Strategy.RETUNE]
    few = "one" if Strategy.RETUNE in strategies else "one or two"  # it is tried in any case, in the place of one of them
    tried = _named(arguments, [each for each in strategies if each not in drawn])
    if drawn:
        tried.append(f"{few} of {', '.join(drawn)}" if len(drawn) > 1 else drawn[0])
    return " and ".join([", ".join(tried[:-1]), tried[-1]] if len(tried) > 1 else tried)


def _named(arguments: dict[str, Any], strategies: Sequence[str]) -> list[str]:
    named = []
    for strategy in strategies:
        named += [f"earlier:{unit}" for unit in arguments["earlier"]] if strategy == "earlier" else [strategy]
    return named

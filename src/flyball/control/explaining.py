"""Why a decision was made, from what, among what, and what came of it. Reads only."""

from datetime import datetime

from flyball.autopilot import considered
from flyball.autopilot.decide import AutopilotPolicy, AutopilotSituation
from flyball.autopilot.worth import COVERED
from flyball.control import decisions
from flyball.control.decision_reports import Explanation, Option
from flyball.control.effects import quantity
from flyball.control.telling_events import event_words
from flyball.control.todos import Todo
from flyball.control.waiting import waiting
from flyball.control.world import World
from flyball.errors import NotFound
from flyball.records import codec
from flyball.records.decisions import Approval, Decision
from flyball.records.effects import Effect
from flyball.records.events import Event
from flyball.records.evidence import Evidence
from flyball.records.jobs import Job
from flyball.records.release import ReleaseState

_AFTER = (
    "release.verified",
    "release.moved",
    "release.opened",
    "version.registered",
    "job.requested",
    "job.finished",
    "job.failed",
    "tournament.ended",
    "approval.answered",
    "approval.voided",
    "decision.made",
    "effect.measured",
)
AFTERWARDS_SHOWN = 12


def explain(world: World, decision_id: str) -> Explanation:
    """From what, by which rule, made again, and what became of it. Raises NotFound."""
    decision = decisions.find(world, decision_id)
    if decision is None:
        raise NotFound(f"there is no decision {decision_id}", next_step="flyball decisions lists them")
    equal = decisions.replays_equal(decision)
    seen, options = _considered(decision) if equal is not None else ((), ())
    return Explanation(
        decision=decision,
        verdicts=decision.plan.verdicts,
        rationale=decision.plan.rationale,
        replayed_equal=equal,
        replay_note=_replay_note(decision, equal),
        approval=world.get("approval", decision_id, Approval),
        questions=tuple(each for each in waiting(world).get(decision_id, ()) if each.approval),
        seen=seen,
        considered=options,
        afterwards=_of_policies(world, decision) if decision.room == "autopilot" else _afterwards(world, decision),
    )


def _replay_note(decision: Decision, equal: bool | None) -> str:  # noqa: FBT001 - `Explanation.replayed_equal`
    if equal is None:
        return f"made by {decisions.maker_of(decision)}; {decisions.MADE_BY} cannot read what it rests on"
    if equal or decision.made_by == decisions.MADE_BY:
        return ""
    return f"made by {decisions.maker_of(decision)}, replayed by {decisions.MADE_BY}"


# -- among what


def _considered(decision: Decision) -> tuple[tuple[str, ...], tuple[Option, ...]]:
    if decision.room != "autopilot":
        return (), ()
    situation, policy = codec.revive(decision.situation, AutopilotSituation), codec.revive(decision.policy, AutopilotPolicy)
    options = tuple(
        Option(
            policy=each.policy, action=each.action, when=each.when, chosen=each.chosen, words=each.words,
            predicted=None if each.gain is None else _predicted(*each.gain),
        )
        for each in considered.considered(situation, policy, decision.plan)
    )  # fmt: skip
    return considered.seen(situation, policy), options


def _predicted(gain: float, lower: float, upper: float) -> Evidence:
    """As a difference: below 0 the loss falls."""
    value, low, high = (-each + 0.0 for each in (gain, upper, lower))
    words = f"loss {100.0 * value:+.1f} % ({100.0 * low:+.1f} to {100.0 * high:+.1f} %)"
    return Evidence(
        name="relative_loss_difference",
        value=value,
        lower=low,
        upper=high,
        alpha=1.0 - COVERED,
        method="autopilot/worth.py",
        note=words,
    )


# -- what came of it


def _of_policies(world: World, decision: Decision) -> tuple[str, ...]:
    """Answers, orders, jobs with their gates, releases and effects of this decision, in order of time."""
    told = [
        (event.at, event_words(event))
        for event in world.ports.ledger.events(kinds=("approval.answered", "approval.voided"), subject=f"decision:{decision.id}")
    ]
    told += [(event.at, f"{event.at:%Y-%m-%d %H:%M} {event.payload['words']}") for event in _done(world, decision)]
    jobs = [job for job in world.all("job", Job) if job.cause == decision.id]
    told += [line for job in jobs for line in _of_job(world, job)]
    releases = [each for each in world.all("release", ReleaseState) if each.cause == decision.id]
    told += [line for each in releases for line in _of_release(world, each)]
    told += [line for each in releases for line in _of_effect(world, each)]
    return tuple(words for _, words in sorted(told, key=lambda item: item[0]))


def _done(world: World, decision: Decision) -> tuple[Event, ...]:
    if not any(todo.decision == decision.id for todo in world.all("todo", Todo)):
        return ()
    return tuple(world.ports.ledger.events(kinds=("todo.done",), subject=f"decision:{decision.id}"))


def _of_job(world: World, job: Job) -> list[tuple[datetime, str]]:
    ended = world.ports.ledger.events(kinds=("tournament.ended", "job.finished", "job.failed"), subject=f"job:{job.id}")
    told = [(event.at, event_words(event)) for event in ended]
    gates = [
        made
        for made in decisions.recorded(world)
        if made.room == "gates" and made.situation.get("candidate") == job.run_key and job.run_key
    ]
    return [*((made.now, f"{made.now:%Y-%m-%d %H:%M} {made.id} (gates): {made.plan.rationale}") for made in gates[-1:]), *told]


def _of_release(world: World, release: ReleaseState) -> list[tuple[datetime, str]]:
    phases = world.ports.ledger.events(kinds=("release.opened", "release.verified"), subject=f"release:{release.id}")
    told = [(event.at, event_words(event)) for event in phases]
    return [
        *told,
        (release.entered_at, f"{release.entered_at:%Y-%m-%d %H:%M} {release.id} is {release.phase.value}: {release.reason}"),
    ]


def _of_effect(world: World, release: ReleaseState) -> list[tuple[datetime, str]]:
    """What it was to bring, when it took effect, and what it brought, when that was measured."""
    told = []
    for event in world.ports.ledger.events(kinds=("effect.foretold", "effect.measured"), subject=f"release:{release.id}"):
        effect = codec.revive(event.payload, Effect)
        words = f"{effect.action} brought: {effect.words}" if event.kind == "effect.measured" else _foretold(effect)
        told.append((event.at, f"{event.at:%Y-%m-%d %H:%M} {words}"))
    return told


def _foretold(effect: Effect) -> str:
    predicted = effect.predicted
    if predicted.value is None or predicted.lower is None or predicted.upper is None:
        return f"{effect.action} took effect; nothing was foretold: {predicted.note}"
    return f"{effect.action} took effect, foretold: {quantity(predicted)} {predicted.value:+.4f} ({predicted.lower:+.4f} to {predicted.upper:+.4f})"


def _afterwards(world: World, decision: Decision) -> tuple[str, ...]:
    """Later events about the same subjects, or caused by the decision."""
    made = world.ports.ledger.events(kinds=("decision.made",), subject=f"decision:{decision.id}")[0]
    subjects = {action.subject for action in decision.plan.actions} | {f"decision:{decision.id}"}
    found: list[str] = []
    for event in world.ports.ledger.events(after=made.seq, kinds=_AFTER):
        if _belongs(event, decision.id, subjects):
            subjects.add(event.subject)
            found.append(event_words(event))
        if len(found) == AFTERWARDS_SHOWN:
            break
    return tuple(found)


def _belongs(event: Event, decision_id: str, subjects: set[str]) -> bool:
    if event.kind == "decision.made":
        return any(action["subject"] in subjects for action in event.payload["plan"]["actions"])
    return event.subject in subjects or decision_id in (event.payload.get("cause"), event.payload.get("decision")) or (
        f"job:{event.payload.get('job')}" in subjects
    )  # fmt: skip

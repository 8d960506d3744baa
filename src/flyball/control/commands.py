"""Orders from people: written to the ledger by any door, carried out once by the controller."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from flyball.control import binding, bounds, decisions, jobs, questions
from flyball.control.acknowledging import begun_anew, not_normal
from flyball.control.drills import Drills
from flyball.control.releases import Releases
from flyball.control.stopping import Stopping
from flyball.control.traffic import stop_of
from flyball.control.world import World, draft, put
from flyball.errors import Conflict, Fault, Fenced, FlyballError, NotFound, RequestError, StoreUnavailable
from flyball.records import codec
from flyball.records.bounds import Stop
from flyball.records.decisions import VOID, Approval
from flyball.records.events import Draft, Put, unseal
from flyball.records.release import Phase, ReleaseState

LEAST_OF_DIGEST = 8
"""Hex digits: fewer name no action."""


LONGEST_REASON = 500
"""Characters. It is told wherever its order is, for ever: a mistyped paste must not fill every screen."""


def refuse_long(reason: str) -> None:
    """Raises RequestError."""
    if len(reason) > LONGEST_REASON:
        raise RequestError([Fault("reason", f"{len(reason):,} characters", f"at most {LONGEST_REASON}")])


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An order and what became of it."""

    id: str
    kind: str
    """`roll_back`, `hold`, `resume`, `run`, `drill`, `stop_serving`, `resume_serving`, `acknowledge`, `close_breaker`, `raise_autonomy`."""
    arguments: dict[str, Any] = {}
    actor: str
    reason: str = ""
    status: str = "open"
    """`open`, `done`, `refused`."""
    words: str = ""
    subject: str = ""
    ordered_at: datetime | None = None
    spec_digest: str = ""
    """Of flyball.yaml as the one who orders has read it."""


def order(world: World, kind: str, actor: str, reason: str, arguments: dict[str, Any] | None = None) -> Command:
    """Write the order down; whoever controls the project carries it out. Not fenced: a door is not a controller. It is bound to what is seen now.
    Raises RequestError where the reason is too long."""
    refuse_long(reason)
    given = binding.seen(world, kind, arguments or {})
    while True:
        now = world.now()
        number, counter = world.number("command")
        command = Command(
            id=f"c-{number:04d}", kind=kind, actor=actor, reason=reason, ordered_at=now, spec_digest=world.spec_digest, arguments=given,
        )  # fmt: skip
        made = Draft(
            at=now, kind="command.ordered", subject=f"command:{command.id}", actor=actor, payload={"kind": kind, "reason": reason},
            puts=(counter, put("command", command.id, command)), key=f"command:{command.id}",
        )  # fmt: skip
        # Two doors may take the same number at the same moment: the key lets one win, and the other tries the next.
        if unseal(world.ports.ledger.transact([made])[0]) == made:
            return command


def open_commands(world: World) -> tuple[Command, ...]:
    return tuple(command for command in world.all("command", Command) if command.status == "open")


class Hands(NamedTuple):
    """Who carries orders out."""

    releases: Releases
    drills: Drills
    stopping: Stopping
    found: frozenset[str] = frozenset()
    """Orders that may have waited for long: open when this controller began, or when it looked after a long time. Of another no time has passed that
    counts: its door's clock and the controller's, which follows one that was set slowly, may be hours apart."""


def carry_out(world: World, hands: Hands, command: Command) -> Command:
    """Do it, once; the answer is in the command's state. What cannot be done is refused with its reason: it must not keep the others waiting,
    nor be done by itself when nobody expects it any more."""
    try:
        return _carry_out(world, hands, command)
    except (Fenced, StoreUnavailable):
        raise  # not the order's fault: it is tried again
    except FlyballError as error:
        accepted = command.kind == "acknowledge" and command.arguments["as_normal"]
        taken_back = not_normal(world, str(command.arguments["finding"])) if accepted else ()
        return _settle(world, command, "refused", Done(error.message, puts=taken_back))


class Done(NamedTuple):
    """What came of an order."""

    words: str
    subject: str = ""
    puts: tuple[Put, ...] = ()
    """States that it changes, in the transaction that settles it."""


def _carry_out(world: World, hands: Hands, command: Command) -> Command:
    if command.kind not in _ORDERS:
        return _settle(world, command, "refused", Done(f"nobody knows how to {command.kind}"))
    if not _was_begun(world, hands, command):
        if command.id in hands.found:
            _refuse_what_is_old(world, command)
        binding.refuse_what_changed(world, command.kind, command.arguments)
    return _settle(world, command, "done", _ORDERS[command.kind](world, hands, command))


def _key(command: Command) -> str:
    """Of what an order does: done once, however often a dying controller begins with it."""
    return f"command:{command.id}:done"


def _was_begun(world: World, hands: Hands, command: Command) -> bool:
    """By a controller that died before it could say so: what it did is not held against the order."""
    if command.kind == "resume_serving":
        last = world.get("stop", world.model, Stop)
        return last is not None and last.resumed_key == _key(command)
    return command.kind in {"hold", "resume"} and hands.releases.moved_by(_key(command)) is not None


def _refuse_what_is_old(world: World, command: Command) -> None:
    """Raises Conflict."""
    waited = world.now() - command.ordered_at if command.ordered_at is not None else timedelta(0)
    if command.kind in binding.FREEING and waited > binding.STANDS:
        raise Conflict(
            f"it was ordered {waited.total_seconds() / 3600:.1f} hours before a controller could carry it out",
            expected=f"{binding.STANDS.total_seconds() / 3600:.0f} hour at most: people may have decided otherwise",
            next_step="flyball status, then order it again",
        )


def _reason(command: Command) -> str:
    return command.reason or f"ordered by {command.actor}"


def _roll_back(world: World, hands: Hands, command: Command) -> Done:
    if hands.releases.moved_by(_key(command)) is None:  # done already, by a controller that died before it could say so
        _refuse_what_is_over(world, hands, command)
    words = f"ordered by {command.actor}: {command.reason}".removesuffix(": ")
    moved = hands.releases.roll_back(words, command.actor, key=_key(command))
    if moved is None:
        raise Conflict("there is no earlier verified unit to go back to")
    return Done(f"{moved.challenger} goes, {moved.champion or 'nobody'} answers again", f"release:{moved.id}")


def _refuse_what_is_over(world: World, hands: Hands, command: Command) -> None:
    """A second is enough for a guard to take the release back, and then the order would take the healthy champion away. Raises Conflict. An order that says
    nothing of what was seen is of an earlier Flyball: it means whatever it finds."""
    active, champion = hands.releases.active(), hands.releases.champion()
    unit = str(command.arguments.get("unit", ""))
    if (named := str(command.arguments.get("release", ""))) and (active is None or active.id != named):
        meant = world.get("release", named, ReleaseState)
        if meant is not None and meant.phase is Phase.ROLLED_BACK:
            raise Conflict(f"{named} is taken back already ({meant.reason.rstrip('.')}): {meant.champion or 'nobody'} answers")
        unit = meant.challenger if meant is not None else ""
    if not unit:
        return
    if champion is None or champion.unit != unit:
        now = f"{champion.unit} is" if champion is not None else "nobody is"
        raise Conflict(f"{unit}, which was to go, is champion no more: {now}", next_step="flyball release status")
    if active is not None and active.challenger != unit:
        words = f"{active.id} has begun since this was ordered, and would be taken back in place of {unit}"
        raise Conflict(words, next_step="flyball rollback, once more")


def _hold(_world: World, hands: Hands, command: Command) -> Done:
    held = hands.releases.hold(command.reason, command.actor, key=_key(command))
    return Done(f"{held.challenger} is held: the champion answers alone", f"release:{held.id}")


def _resume(world: World, hands: Hands, command: Command) -> Done:
    if stop_of(world) is not None:
        raise Conflict(
            f"{world.model} is stopped: without traffic there is nothing to judge a release by",
            next_step="flyball serving resume",
        )
    resumed = hands.releases.resume(command.reason, command.actor, key=_key(command))
    return Done(f"{resumed.challenger} starts again", f"release:{resumed.id}")


def _run(world: World, _hands: Hands, command: Command) -> Done:
    job = jobs.request(world, command.actor, key=_key(command))
    # Afterwards, and never its own: a controller that died in between may have been started again by another flyball.yaml.
    jobs.supersede_outdated(world, but=job.id)
    return Done(f"job {job.id} was asked for", f"job:{job.id}")


def _drill(_world: World, hands: Hands, command: Command) -> Done:
    drill = hands.drills.open(command.actor, key=_key(command))
    return Done(f"a rollback to {drill.unit} is rehearsed", f"drill:{drill.id}")


def _acknowledge(world: World, _hands: Hands, command: Command) -> Done:
    finding = str(command.arguments["finding"])
    puts, words = begun_anew(world, finding, as_normal=bool(command.arguments["as_normal"]))
    return Done(words, f"finding:{finding}", puts)


def _stop_serving(world: World, hands: Hands, command: Command) -> Done:
    return Done(hands.stopping.stop(_reason(command), command.actor, key=_key(command)), f"model:{world.model}")


def _resume_serving(world: World, hands: Hands, command: Command) -> Done:
    return Done(hands.stopping.resume(command.actor, command.reason, key=_key(command)), f"model:{world.model}")


def _close_breaker(world: World, _hands: Hands, command: Command) -> Done:
    words, puts = bounds.closed(world, command.actor, command.reason)
    return Done(words, f"model:{world.model}", puts)


def _raise_autonomy(world: World, _hands: Hands, command: Command) -> Done:
    words, puts = bounds.raised(world, str(command.arguments["action"]))
    return Done(words, f"model:{world.model}", puts)


_ORDERS: dict[str, Callable[[World, Hands, Command], Done]] = {
    "roll_back": _roll_back,
    "hold": _hold,
    "resume": _resume,
    "run": _run,
    "drill": _drill,
    "stop_serving": _stop_serving,
    "resume_serving": _resume_serving,
    "acknowledge": _acknowledge,
    "close_breaker": _close_breaker,
    "raise_autonomy": _raise_autonomy,
}


def _settle(world: World, command: Command, status: str, done: Done) -> Command:
    settled = msgspec.structs.replace(command, status=status, words=done.words, subject=done.subject)
    payload, puts = {"status": status, "words": done.words}, (put("command", command.id, settled), *done.puts)
    world.record(draft(world.now(), "command.settled", f"command:{command.id}", payload, puts))
    return settled


def answer(world: World, decision_id: str, *, yes: bool, actor: str, reason: str, digest: str | None = None) -> Approval:
    """A person's yes or no to the action of a decision: once, for that very action, by somebody other than who asked; where
    `release.approval: another` stood in flyball.yaml, a yes is somebody's other than who started the run, or agreed to it, too.

    `digest`: of the action that the person has seen, or its beginning; None: the one that waits.

    A decision that asks more than one question has more approvals: the first by the decision's id, the others by their own (`d-000012.1`).
    Raises RequestError, NotFound, Conflict (answered already, or nothing was asked) and Denied.
    """
    refuse_long(reason)
    asked = world.get("approval", decision_id, Approval)
    decision = decisions.find(world, asked.decision if asked is not None else decision_id)
    if decision is None:
        raise NotFound(f"there is no decision {decision_id}", next_step="flyball decisions lists them")
    if asked is None:
        raise Conflict(
            f"decision {decision_id} does not wait for anybody", next_step="flyball decisions --open lists those that do"
        )
    if asked.answer == VOID:
        raise Conflict(f"the question of {decision_id} is closed: {asked.reason}", next_step="flyball status")
    if asked.answer is not None:
        raise Conflict(f"decision {decision_id} was {asked.answer} by {asked.answered_by} already", expected="one answer")
    # One that was given and is empty, of a script whose variable was not set, names no action either.
    if digest is not None and (len(digest) < LEAST_OF_DIGEST or not asked.action_digest.startswith(digest.lower())):
        raise Conflict(
            f"the action that waits in {decision_id} has the digest {asked.action_digest[:12]}, not {digest[:12]!r}",
            expected=f"that digest, or its first {LEAST_OF_DIGEST} digits or more", next_step=f"flyball explain {decision.id}",
        )  # fmt: skip
    action = decisions.asked_in(decision, asked)
    if action is None:
        raise Conflict(f"the approval of {decision_id} is for another action", next_step="flyball verify")
    questions.refuse_whoever_asked(world, asked, decision, actor, yes=yes)
    given = "approved" if yes else "refused"
    answered = msgspec.structs.replace(asked, answer=given, answered_by=actor, answered_at=world.now(), reason=reason)
    payload: dict[str, Any] = {"answer": given, "reason": reason, "action": codec.plain(action)}
    # The key makes the answer usable once, whoever else answers at the same moment.
    events = world.ports.ledger.transact(
        [
            Draft(
                at=world.now(), kind="approval.answered", subject=f"decision:{decision.id}", actor=actor, payload=payload,
                puts=(put("approval", decision_id, answered),), key=f"approval:{decision_id}",
            )
        ]
    )  # fmt: skip
    if events[0].kind == "approval.voided":
        raise Conflict(f"the question of {decision_id} was closed at the same moment: {events[0].payload['words']}")
    if events[0].actor != actor or events[0].payload != payload:
        raise Conflict(f"decision {decision_id} was answered by {events[0].actor} at the same moment", expected="one answer")
    return answered

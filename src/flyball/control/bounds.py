"""What bounds the autopilot: what became of its acts, how the champion moved, the breaker, and the levels of autonomy."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from flyball.autopilot.autonomy import ACT, OBSERVE, above, below, level_of
from flyball.autopilot.breaker import GUARDS, PERSON, BreakerPolicy, ChampionMove, EndedAct
from flyball.control.world import World, put
from flyball.errors import Conflict, NotFound
from flyball.monitoring.incidents import Tenure
from flyball.records.bounds import Autonomy, Breaker
from flyball.records.decisions import Action, Decision
from flyball.records.events import Event, Put
from flyball.records.jobs import FINISHED, Job, JobStatus
from flyball.records.release import Phase, ReleaseState
from flyball.records.tournaments import Tournament
from flyball.spec.faults import did_you_mean
from flyball.spec.policies import AutonomySpec

ACTS_LOOKED_AT = 32
"""The newest that ended: twice as many as flyball.yaml may ask for in a row."""

Acts = Mapping[str, str]
"""Decision → what it did to the champion: `retrain`, `roll_back`."""


def breaker_of(world: World) -> Breaker | None:
    """As it was last opened; None: never."""
    return world.get("breaker", world.model, Breaker)


def open_breaker(world: World) -> Breaker | None:
    """None: policies may act."""
    breaker = breaker_of(world)
    return breaker if breaker is not None and breaker.closed_at is None else None


def autonomy_of(world: World) -> Autonomy:
    return world.get("autonomy", world.model, Autonomy) or Autonomy()


def levels(world: World) -> dict[str, str]:
    """Kind of action → how far the autopilot may go now."""
    configured, most = world.spec.autopilot.autonomy.model_dump(), autonomy_of(world).most
    return {action: level_of(action, configured, most) for action in configured}


def opened(world: World, decision: Decision, action: Action) -> tuple[Put, ...]:
    """The states that the opening of the breaker writes, in the transaction of its decision."""
    if action.kind != "open_breaker":
        return ()
    said = action.arguments
    breaker = Breaker(opened_at=decision.now, decision=decision.id, actions=tuple(said["for"]), words=said["words"])
    most = Autonomy(most={**autonomy_of(world).most, **said["levels"]})
    return put("breaker", world.model, breaker), put("autonomy", world.model, most)


def _closed_at(world: World) -> int:
    """The number of the event since which acts and moves count; 0: all of them do. No moment: a clock may have been wrong when the breaker was closed."""
    stored = world.ports.ledger.state("breaker", world.model)
    return stored.seq if stored is not None and open_breaker(world) is None else 0


def ended_acts(world: World, acts: Acts) -> tuple[EndedAct, ...]:
    """Challengers that policies had made, oldest first, and what became of them. A tournament that nobody won has changed nothing, unless nobody could: where
    all that was trained for it came to an error, it has failed."""
    jobs = [job for job in world.all("job", Job) if job.cause in acts and job.status in FINISHED]
    if closed_at := _closed_at(world):
        asked = {event.subject for event in world.ports.ledger.events(after=closed_at, kinds=("job.requested",))}
        jobs = [job for job in jobs if f"job:{job.id}" in asked]
    releases = world.all("release", ReleaseState)
    held = {each.job: each for each in world.all("tournament", Tournament) if each.winner is None}
    ended = (
        _ended(job, acts[job.cause], releases) if job.id not in held else _crashed(job, acts[job.cause], held[job.id])
        for job in jobs
    )
    return tuple(act for act in ended if act is not None)[-ACTS_LOOKED_AT:]


def _crashed(job: Job, action: str, held: Tournament) -> EndedAct | None:
    trained = [each for each in held.standings.entrants if each.fitted]
    errors = [each.words for each in trained if each.crashed]
    if not errors or any(each.gain is not None for each in trained):
        return None
    return EndedAct(action=action, at=job.requested_at, failed=True, words=f"{job.id} came to no model ({errors[0]})")


def _ended(job: Job, action: str, releases: Sequence[ReleaseState]) -> EndedAct | None:
    if job.inconclusive:
        return None  # nothing is known to be wrong with it: that there are few rows says nothing of what policies do
    if job.status is not JobStatus.REGISTERED:
        said = "was refused by its gate" if job.status is JobStatus.REFUSED else "failed"
        return EndedAct(action=action, at=job.requested_at, failed=True, words=f"{job.id} {said}")
    release = came_to(job, releases)
    if release is not None and release.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        return EndedAct(action=action, at=job.requested_at, failed=True, words=f"{release.id} was rolled back")
    if release is not None and release.phase is Phase.SETTLED:
        return EndedAct(action=action, at=job.requested_at, failed=False, words=f"{release.id} settled")
    return None


def came_to(job: Job, releases: Sequence[ReleaseState]) -> ReleaseState | None:
    """Its own, or what took back what that had settled: a job that came to a version that was there before has none, whatever becomes of that version."""
    found: ReleaseState | None = None
    for each in releases:
        # One that does not say whose result it releases: a rollback, or what an earlier Flyball opened with the job's cause.
        mine = each.job == job.id or (
            not each.job and each.challenger == job.unit and (found is not None or each.cause == job.cause)
        )
        if mine:
            found = each
        elif found is not None and each.challenger == job.unit:
            break  # of another job, which came to the same
    return found


class Moved(NamedTuple):
    """A move of the champion, and what tells of it."""

    seq: int
    """Of an event."""
    release: str
    move: ChampionMove


_MOVES = ("release.opened", "release.verified", "release.moved")


def champion_moves(world: World, acts: Acts, policy: BreakerPolicy, now: datetime) -> tuple[ChampionMove, ...]:
    """How the champion changed hands lately, oldest first; a release that never had all traffic moved nobody."""
    after, closed_at = now - 2 * policy.within, _closed_at(world)
    recent = [each for each in world.all("release", ReleaseState) if each.entered_at > after]
    moves = _moves_of(world, recent, acts)
    return tuple(each.move for each in moves if each.seq > closed_at and each.move.at > after and each.move.before)


def all_moves(world: World) -> list[Moved]:
    """How the champion has changed hands, oldest first; it is not told by which acts."""
    return _moves_of(world, world.all("release", ReleaseState), {})


def tenures(world: World) -> tuple[Tenure, ...]:
    """Who was champion when, oldest first."""
    moves = [each.move for each in all_moves(world)]
    ends = [*(move.at for move in moves[1:]), None]
    return tuple(Tenure(move.after, move.at, end) for move, end in zip(moves, ends, strict=True) if move.after) if moves else ()


def _moves_of(world: World, releases: Sequence[ReleaseState], acts: Acts) -> list[Moved]:
    """In the order of their events: a clock may have been ahead."""
    if not releases:
        return []
    told: dict[str, list[Event]] = {release.id: [] for release in releases}
    for event in world.ports.ledger.events(kinds=_MOVES):
        told.get(event.subject.removeprefix("release:"), []).append(event)
    moves = sorted((move for each in releases for move in _moves(each, told[each.id], acts)), key=lambda each: each.seq)
    for event in world.ports.ledger.events(kinds=("champion.dated",)):
        mine = [place for place, it in enumerate(moves) if it.seq < event.seq and it.move.after == event.payload["unit"]]
        for place in mine[-1:]:
            moves[place] = moves[place]._replace(move=msgspec.structs.replace(moves[place].move, at=event.at))
    return moves


def _moves(release: ReleaseState, told: list[Event], acts: Acts) -> list[Moved]:
    before, unit, back = _at_first(release, told), release.challenger, release.champion or ""
    cause = acts.get(release.cause, PERSON)
    taken = next((e for e in told if e.kind == "release.verified" and e.payload["phase"] == Phase.FULL.value), None)
    moves = (
        [Moved(taken.seq, release.id, ChampionMove(at=taken.at, before=before, after=unit, by=cause))]
        if taken is not None
        else []
    )
    # One that goes back from a settled champion was never opened: it begins with its rollback.
    went_back = not any(event.kind == "release.opened" for event in told)
    # Where not all gateways had taken the challenger, the champion moves only if it has lost its package, and another answers.
    had = unit if moves or went_back else before
    if release.phase is Phase.ROLLED_BACK and (had == unit or had != back):
        by = cause if went_back else _taken_back_by(told)
        moves.append(Moved(told[-1].seq, release.id, ChampionMove(at=release.entered_at, before=had, after=back, by=by)))
    return moves


def _at_first(release: ReleaseState, told: list[Event]) -> str:
    """The champion when it was opened: it goes back to another one where that has lost its package."""
    actions = (event.payload["action"] for event in told if event.kind == "release.moved")
    return next(
        (str(each["arguments"]["instead_of"]) for each in actions if "instead_of" in each["arguments"]), release.champion or ""
    )


_BACK = Phase.ROLLING_BACK.value
"""An order that comes by then is noted and changes nothing: what made the release go back came before."""


def _taken_back_by(told: list[Event]) -> str:
    """A policy's order carries the key of what it had to do; without an order the release's own guards did it, also where they had to give up."""
    moved = [e for e in told if e.kind == "release.moved" and not (e.key or "").startswith("given up:")]
    orders = [e for e in moved if e.payload["action"]["kind"] == "roll_back" and e.payload.get("from") != _BACK]
    if not orders:
        return GUARDS
    return "roll_back" if (orders[0].key or "").startswith("todo:") else PERSON


def fallen(world: World, action: str) -> tuple[str, tuple[Put, ...]] | None:
    """A level one step lower, and that in words; None: there is none lower."""
    level = levels(world).get(action, OBSERVE)
    if level == OBSERVE:
        return None
    most = Autonomy(most={**autonomy_of(world).most, action: below(level)})
    return f"{action} falls from {level} to {below(level)}", (put("autonomy", world.model, most),)


# -- what a person orders


def closed(world: World, actor: str, reason: str) -> tuple[str, tuple[Put, ...]]:
    """The breaker after a person has closed it, and that in words: what was counted begins anew. Raises Conflict."""
    breaker = open_breaker(world)
    if breaker is None:
        raise Conflict("the breaker is not open", next_step="flyball status")
    shut = msgspec.structs.replace(breaker, closed_at=world.now(), closed_by=actor, reason=reason)
    return "the breaker is closed: policies may act again, and failures count anew", (put("breaker", world.model, shut),)


def refuse_unknown(action: str) -> None:
    """For a door, before an order of it is written down. Raises NotFound."""
    known = tuple(AutonomySpec.model_fields)
    if action not in known:
        told = f"there is no autonomy of {action[:40]!r}"
        raise NotFound(told, expected=" or ".join(known), next_step=did_you_mean(action, known) or "flyball status")


def raised(world: World, action: str) -> tuple[str, tuple[Put, ...]]:
    """The levels after a person has given one step back, and that in words. Raises NotFound, Conflict."""
    refuse_unknown(action)
    most = autonomy_of(world).most
    if action not in most:
        raise Conflict(f"{action} has lost nothing: flyball.yaml says {levels(world)[action]}", next_step="flyball status")
    up = above(most[action])
    kept = {kind: level for kind, level in most.items() if kind != action} | ({action: up} if up != ACT else {})
    now = level_of(action, world.spec.autopilot.autonomy.model_dump(), kept)
    return f"{action} is at {now} again", (put("autonomy", world.model, Autonomy(most=kept)),)

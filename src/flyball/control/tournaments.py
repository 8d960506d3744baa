"""Tournaments as jobs: what one is asked, what is handed to it, and what follows from its standings."""

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

import msgspec

from flyball.autopilot.contest import ContestPolicy, ContestSituation, winner
from flyball.autopilot.entrants import TRAINS, Strategy
from flyball.autopilot.worth import LEAST_RISK
from flyball.control import bounds, decisions, taken_back
from flyball.control.ports import JobReport
from flyball.control.units import UnitShelf, policy_plain, threshold_of
from flyball.control.world import World, draft, put
from flyball.errors import FlyballError
from flyball.records import codec
from flyball.records.decisions import Action
from flyball.records.effects import Effect
from flyball.records.events import Draft
from flyball.records.findings import IncidentKind
from flyball.records.jobs import FINISHED, Job, JobStatus
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.records.routing import ServedUnit
from flyball.records.tournaments import Entrant, Standings, Tournament, TournamentOrder
from flyball.records.unit import Unit
from flyball.registry.unit import altered

STEP = "tournament"
MOST_EARLIER = 8
"""Earlier units that compete: the newest that answer otherwise than the champion."""
REMEMBERED = 20
"""Tournaments that trained and say what helped before; older ones have aged to nothing (autopilot/tournament.py)."""


def overrides_of(world: World, action: Action) -> dict[str, Any]:
    """Of the job that holds it."""
    said = action.arguments
    since = said.get("since")
    order = TournamentOrder(
        champion=str(said["champion"]), strategies=tuple(said["strategies"]), chosen=bool(said.get("chosen")),
        earlier=tuple(said.get("earlier", ())), since=None if since is None else datetime.fromisoformat(since),
        kind=IncidentKind(said["kind"]) if "kind" in said else None, growth=float(said.get("growth", 0.0)), excess=float(said.get("excess", 0.0)),
        rows_since=int(said.get("rows_since", 0)), judged_from=taken_back.judged_from(world, str(said["champion"])),
    )  # fmt: skip
    return {STEP: codec.plain(order)}


def order_of(job: Job) -> TournamentOrder | None:
    """None: a plain run."""
    given = job.overrides.get(STEP)
    return None if given is None else codec.revive(given, TournamentOrder)


def trains(job: Job) -> bool:
    """Whether a model may be trained in it."""
    order = order_of(job)
    return order is None or any(Strategy(each) in TRAINS for each in order.strategies)


def earlier_units(world: World, champion: Champion | None) -> tuple[str, ...]:
    """Verified units, and settled ones that a policy rolled back, that answer otherwise than the champion and than one another, newest last; of a version as it is
    one, of its maps the newest, at the declared threshold where there is one: another was chosen for the world of then. What guards or a person took back is none of
    them."""
    now = world.get("unit", champion.unit, Unit) if champion is not None else None
    if champion is None or now is None:
        return ()
    found: dict[tuple[str, bool], Unit] = {}
    declared = (None, threshold_of(world, binary=True))
    last = {release.challenger: place for place, release in enumerate(world.all("release", ReleaseState))}
    known = dict.fromkeys((*champion.verified, *taken_back.by_policies(world)))
    for name in sorted(known, key=lambda each: last.get(each, -1), reverse=True):
        unit = world.get("unit", name, Unit)
        if unit is None or _answers(unit) == _answers(now):
            continue
        newest = found.setdefault(_answers(unit), unit)
        if newest.threshold not in declared and unit.threshold in declared:
            found[_answers(unit)] = unit
    return tuple(reversed([unit.id for unit in found.values()][:MOST_EARLIER]))


def _answers(unit: Unit) -> tuple[str, bool]:
    """An older map of the same version has nothing that another recalibration would not find, nor has another threshold, which changes no score."""
    return unit.manifest_digest, unit.calibration is not None


def competitors(shelf: UnitShelf, job: Job) -> tuple[ServedUnit, ...]:
    """Earlier units that can be handed to the job; one whose package is gone or damaged is not."""
    order, found = order_of(job), []
    for unit in order.earlier if order is not None else ():
        try:
            found.append(shelf.served(unit))
        except FlyballError:
            continue
    return tuple(found)


def trained(held: Tournament) -> bool:
    """Whether somebody was fitted for it, and judged."""
    return any(each.fitted and each.gain is not None for each in held.standings.entrants)


def remembered(world: World, job: Job | None = None) -> tuple[Tournament, ...]:
    """The newest that trained, oldest first, each with what its winner brought, where that was measured, and whether it came to nothing. `job`: as it was when
    this one was asked for."""
    asked = None if job is None else _asked(world, job)
    later = frozenset() if asked is None else _since(world, asked)
    # Those that trained nobody come at every window where a policy says so: they must neither push trainings out nor make them older than they are.
    known = (each for each in world.all("tournament", Tournament) if trained(each) and f"job:{each.job}" not in later)
    newest = sorted(known, key=lambda each: (each.at, each.job))[-REMEMBERED:]
    jobs = {release.id: release.job for release in world.all("release", ReleaseState) if release.job}
    brought = {
        jobs[effect.release]: (-effect.realised.value, effect.old_loss)
        for effect in world.all("effect", Effect)
        if effect.release in jobs and f"release:{effect.release}" not in later
        if effect.realised is not None and effect.realised.value is not None
    }
    releases = _releases(world, asked)
    measured = (_with_what_it_brought(each, *brought[each.job]) if each.job in brought else each for each in newest)
    return tuple(msgspec.structs.replace(each, in_vain=_in_vain(world, each, releases, asked)) for each in measured)


def lost_in_a_row(world: World, champion: Champion) -> int:
    """The newest that trained and in which nobody was better, or whoever was came to nothing, beside whatever unit of the champion's version: under another one
    training has helped, or a person knew better. One that was void could be won by nobody, and is none of them."""

    def version(name: str) -> int | str:
        unit = world.get("unit", name, Unit)
        return name if unit is None else unit.version

    def lost(held: Tournament) -> bool:
        return held.in_vain or winner(held.standings) is None

    held, own = [each for each in remembered(world) if not each.void], version(champion.unit)
    return len(list(takewhile(lambda each: lost(each) and version(each.standings.champion) == own, reversed(held))))


def _with_what_it_brought(held: Tournament, gain: float, old_loss: float | None) -> Tournament:
    """Relative to what the champion lost on the same rows: the world may have moved since the standings, and those of an earlier Flyball tell a number's losses in
    another unit (the spread of labels then). `old_loss` None: an effect of an earlier Flyball, which does not say."""
    loss = held.standings.champion_loss if old_loss is None else old_loss
    return msgspec.structs.replace(held, realised=gain / max(loss, LEAST_RISK))


def _asked(world: World, job: Job) -> int | None:
    """The number of the event that asked for it: what is of a later one was not known then, whatever a clock says."""
    asked = world.ports.ledger.events(kinds=("job.requested",), subject=f"job:{job.id}")
    return asked[-1].seq if asked else None


def _since(world: World, asked: int) -> frozenset[str]:
    """Subjects of what was learned after a job was asked for, its own tournament too: launched again it holds the same one."""
    later = world.ports.ledger.events(after=asked, kinds=("tournament.ended", "effect.measured"))
    return frozenset(event.subject for event in later)


def _releases(world: World, asked: int | None) -> tuple[ReleaseState, ...]:
    """All; `asked`: those that had been opened by then, one that has moved since as one that is under way."""
    found = world.all("release", ReleaseState)
    if asked is None:
        return found
    moved = [each for each in found if _written(world, "release", each.id) > asked]
    opened = (
        {event.subject for event in world.ports.ledger.events(kinds=("release.opened",)) if event.seq <= asked} if moved else ()
    )
    then = {each.id: msgspec.structs.replace(each, phase=Phase.PROPOSED) for each in moved}
    return tuple(then.get(each.id, each) for each in found if each.id not in then or f"release:{each.id}" in opened)


def _written(world: World, kind: str, key: str) -> int:
    """The number of the event that wrote a state last."""
    stored = world.ports.ledger.state(kind, key)
    return stored.seq if stored is not None else 0


def _in_vain(world: World, held: Tournament, releases: Sequence[ReleaseState], asked: int | None) -> bool:
    """Whether its winner has come to nothing. One whose gates or release go on has not."""
    job = world.get("job", held.job, Job)
    if held.winner is None or job is None or job.status not in FINISHED:
        return False
    if asked is not None and _written(world, "job", job.id) > asked:
        return False
    # A release opens in the tick in which its job is registered: without one nobody answers, as long as there is none.
    release = bounds.came_to(job, releases) if job.status is JobStatus.REGISTERED else None
    if release is None:
        return True
    # One that settled, and was gone back from later, brought what was measured of it.
    return release.phase is Phase.ROLLED_BACK and (release.job == job.id or held.realised is None)


def conclude(world: World, job: Job, report: JobReport) -> Job:
    """The job once its tournament is over: refused (nobody won), registered (a unit of a version that is there goes to release), or as it was: a version
    was trained that its gates must judge. The decision, the record and the job are one transaction."""
    if world.get("tournament", job.id, Tournament) is not None:
        return job
    held = next(result for result in reversed(report.results) if result.step == STEP)
    standings = codec.revive(held.values["standings"], Standings)
    champion, now = world.get("champion", job.model, Champion), world.now()
    best, order = winner(standings), order_of(job)
    since = order.judged_from.get(best.name) if order is not None and best is not None else None
    again = "" if best is None or best.fitted else taken_back.why_not(world, best, _unit_of(world, best, standings), since)
    situation = ContestSituation(job=job.id, champion=champion.unit if champion else None, standings=standings, taken_back=again)
    inputs = (situation, ContestPolicy(), now)
    plan = decisions.decide("tournament", *inputs)
    (action,) = plan.actions
    won = next((each for each in standings.entrants if each.name == action.arguments.get("entrant")), None)
    unit = _unit_of(world, won, standings) if won is not None and action.kind == "release" else None
    moved = job
    if action.kind == "refuse":
        moved = msgspec.structs.replace(job, status=JobStatus.REFUSED, error=plan.rationale)
    if unit is not None:
        moved = msgspec.structs.replace(job, status=JobStatus.REGISTERED, version=unit.version, unit=unit.id)
    puts = (put("unit", unit.id, unit),) if unit is not None else ()
    made = decisions.prepare(world, "tournament", inputs, plan, (put("job", job.id, moved), *puts))
    over = Tournament(
        job=job.id, decision=made.decision.id, cause=job.cause, model=job.model, at=now, standings=standings, kind=order.kind if order else None,
        growth=order.growth if order else 0.0, excess=order.excess if order else 0.0, rows_since=order.rows_since if order else 0, winner=won.name if won else None,
        unit=unit.id if unit is not None else None, words=plan.rationale, void=situation.champion != standings.champion,
    )  # fmt: skip
    world.record(made.draft, _ended(world, over), *_finished(world, moved))
    world.say("decision", f"{made.decision.id} tournament of {job.id}: {plan.rationale}")
    return moved


def _unit_of(world: World, won: Entrant, standings: Standings) -> Unit:
    """Whom a winner that needed no training is."""
    strategy, _, name = won.name.partition(":")
    found = world.get("unit", name if strategy == "earlier" else standings.champion, Unit)
    if found is None:
        raise LookupError(f"unit {name or standings.champion} is in the standings and not in the ledger")
    if strategy == "earlier":
        return found
    digest = codec.digest(policy_plain(world))
    if won.calibration is not None:
        # A threshold that was sought on other answers divides these anywhere: it is the declared one again.
        return altered(
            found, digest, calibration=won.calibration, threshold=threshold_of(world, binary=found.threshold is not None)
        )
    return altered(found, digest, threshold=won.threshold)


def _ended(world: World, over: Tournament) -> Draft:
    payload = {"winner": over.winner, "unit": over.unit, "decision": over.decision, "cause": over.cause, "words": over.words}
    return draft(
        world.now(), "tournament.ended", f"job:{over.job}", payload, (put("tournament", over.job, over),), key=f"tournament:{over.job}"
    )  # fmt: skip


def _finished(world: World, job: Job) -> tuple[Draft, ...]:
    if job.status is not JobStatus.REGISTERED:
        return ()
    return (draft(world.now(), "job.finished", f"job:{job.id}", {"version": job.version, "unit": job.unit}),)

"""Traffic as state: the routing table follows from champion and release; gateways are told until they are seen to serve it."""

from contextlib import suppress

import msgspec

import flyball.release.decide as release_room
from flyball.control import questions
from flyball.control.keeping import keeping_of, kept_by
from flyball.control.units import UnitShelf
from flyball.control.world import World, draft, put
from flyball.errors import ArtifactDamaged, FlyballError, NotFound, StoreUnavailable, TrackingFailed
from flyball.records import codec
from flyball.records.bounds import Stop
from flyball.records.events import Draft, Put
from flyball.records.keeping import Keeping
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.records.routing import GatewayReport, Route, RoutingTable, ServedUnit
from flyball.release import state as states
from flyball.release.route import OLD_ALONE, divided, rehearsal, route, stopped, tolerant


def wanted(world: World) -> RoutingTable | None:
    """The table that control wants served; None: nothing was ever released."""
    return world.get("routing", world.model, RoutingTable)


def stop_of(world: World) -> Stop | None:
    """None: the model is not stopped."""
    last = world.get("stop", world.model, Stop)
    return last if last is not None and last.resumed_at is None else None


def routing_put(
    world: World,
    shelf: UnitShelf,
    champion: Champion | None,
    release: ReleaseState | None,
    *,
    rehearsed: str | None = None,
    stop: Stop | None = None,
) -> tuple[Put, ...]:
    """The routing that these states ask for, as part of their transaction; nothing when it stays as it is. `rehearsed`: a unit to hold ready;
    `stop`: as this transaction leaves it; None: as it is."""

    standing, stop = wanted(world), stop_of(world) if stop is None else stop

    def served(unit: str | None) -> ServedUnit | None:
        try:
            return shelf.served(unit) if unit else None
        except (ArtifactDamaged, NotFound, TrackingFailed) as error:
            return _without_package(unit or "", champion, release, standing, stop, error)

    made = route(
        world.model,
        release,
        served(champion.unit if champion else None),
        served(release.challenger if release else None),
        served(release.champion if release and release.phase is not Phase.SETTLED else None),
        release_room.policy_of(world.spec),
    )
    if made is not None and rehearsed is not None:
        made = rehearsal(world.model, made.champion, shelf.served(rehearsed))
    if made is not None and stop is not None and stop.resumed_at is None:
        made = stopped(made, served(stop.fallback), stop.words)
    if made is not None and standing is not None and standing.routes:
        made = tolerant(made, standing.routes[0])
    keeping = keeping_of(world.spec, kept_by(standing), shelf.packaged(made.units) if made is not None else ())
    routes = () if made is None else (msgspec.structs.replace(made, keeping=keeping),)
    if standing is None and not routes:
        return ()
    if standing is not None and standing.digest == codec.digest(routes):
        return ()
    return (_next(world, standing, routes),)


def _without_package(
    unit: str,
    champion: Champion | None,
    release: ReleaseState | None,
    standing: RoutingTable | None,
    stop: Stop | None,
    error: FlyballError,
) -> ServedUnit | None:
    """What a table says of a unit whose package is gone or damaged, or cannot be looked for; None: nothing, and it need not. Raises the error where it must."""
    # Gateways hold what the standing table names: a model must be possible to stop, and to resume, whatever has become of its files.
    if release is None or stop is not None:
        for served in units_of(standing) if standing is not None else ():
            if served.unit.id == unit:
                return served
    if release is None:
        raise error
    if release.phase in OLD_ALONE:
        if unit != release.champion:
            return None  # a challenger whose package is damaged must be possible to take back
        for each in standing.routes if standing is not None else ():
            if each.champion.unit.id == unit:
                return each.champion  # it answers from memory, and goes on when the challenger is taken back
    elif isinstance(error, ArtifactDamaged | NotFound) and champion is not None and unit != release.challenger == champion.unit:
        return None  # all traffic is another's already: without a fallback it can end, or be stopped
    raise error


def declare(world: World, shelf: UnitShelf) -> None:
    """Let the table say what flyball.yaml says of capture, once it says something else. Idempotent."""
    standing = wanted(world)
    if standing is None or not standing.routes:
        return
    keeping = keeping_of(world.spec, kept_by(standing), shelf.packaged(units_of(standing)))
    if keeping == kept_by(standing):
        return
    routes = tuple(msgspec.structs.replace(each, keeping=keeping) for each in standing.routes)
    payload = codec.plain(keeping or Keeping())
    world.record(draft(world.now(), "capture.declared", f"model:{world.model}", payload, (_next(world, standing, routes),)))


def divide(world: World, release: ReleaseState | None) -> None:
    """Let the table say what flyball.yaml says of the shares of the release under way, once it says something else. Idempotent."""
    standing = wanted(world)
    if release is None or standing is None or not standing.routes:
        return
    policy = release_room.policy_of(world.spec)
    routes = tuple(divided(each, release, policy) for each in standing.routes)
    if routes == standing.routes:
        return
    before, after, now = standing.routes[0], routes[0], world.now()
    puts, dead = [_next(world, standing, routes)], tuple[Draft, ...]()
    words = f"{after.shadow_share:.0%} of the keys are scored by both units"
    if before.canary_weight != after.canary_weight:
        # A share that a bandit found is none of this step's any more.
        anew = msgspec.structs.replace(states.again(release, now), weight=None, weighed_at=None)
        puts.append(put("release", release.id, anew))
        words = f"the step goes from {before.canary_weight:.0%} to {after.canary_weight:.0%} of the keys and begins anew"
        dead = questions.voided(world, release.id, f"flyball.yaml was changed: {words}")
    payload = {"words": f"flyball.yaml was changed: {words}"}
    world.record(draft(now, "release.divided", f"release:{release.id}", payload, puts), *dead)


def find_packages(world: World, shelf: UnitShelf) -> None:
    """Let the table say where packages lie, if that is elsewhere than it says: the project was moved or copied. Idempotent."""
    standing = wanted(world)
    if standing is None:
        return
    places: dict[str, str] = {}
    for served in units_of(standing):
        with suppress(ArtifactDamaged, NotFound, TrackingFailed):  # told where it is wanted
            places[served.unit.id] = shelf.served(served.unit.id).package
    routes = tuple(each.placed(places) for each in standing.routes)
    if routes == standing.routes:
        return
    payload = {"places": places}
    world.record(draft(world.now(), "packages.found", f"model:{world.model}", payload, (_next(world, standing, routes),)))


def outnumber(world: World) -> None:
    """Let the table have a larger number than the one that gateways were told last, if that is another one: the ledger was restored, and counts from where the
    backup was, while gateways go back to no smaller number. Idempotent."""
    standing, found = wanted(world), _published(world)
    if standing is None or found is None or found.revision < standing.revision:
        return
    if found.revision == standing.revision and found.digest == standing.digest:
        return
    table = RoutingTable(revision=found.revision + 1, written_at=world.now(), routes=standing.routes)
    payload = {"revision": table.revision, "found": found.revision}
    puts = (put("routing", world.model, table),)
    world.record(draft(world.now(), "routing.renumbered", f"model:{world.model}", payload, puts))
    world.say(
        "bad",
        f"Gateways were told a routing table that the ledger does not know (revision {found.revision}): they are told anew.",
    )


def _published(world: World) -> RoutingTable | None:
    with suppress(StoreUnavailable):  # told where a table is to be published
        return world.ports.gateways.published()
    return None


def not_monitored(world: World) -> tuple[str, ...]:
    """Features of the champion whose values capture hides: `email (dropped)`."""
    table = wanted(world)
    hidden = (kept_by(table) or Keeping()).unmonitored
    columns = table.routes[0].champion.signature.columns if table is not None and table.routes else ()
    return tuple(f"{column.name} ({hidden[column.name]})" for column in columns if column.name in hidden)


def _next(world: World, standing: RoutingTable | None, routes: tuple[Route, ...]) -> Put:
    """The table after the standing one."""
    # The first one: of a ledger that was restored to before it, gateways may know others.
    before = standing or _published(world)
    revision = (before.revision if before is not None else 0) + 1
    return put("routing", world.model, RoutingTable(revision=revision, written_at=world.now(), routes=routes))


STUCK_LOOKS = 15
"""Looks in a row at which a worker that answers does not serve what it should, before the switch is called failed and escalated: half a minute at
the usual tick, where loading a model takes a second or two. A worker that is away does not count: its absence is no fault of the unit."""
REFUSED_LOOKS = 5
"""The same where a worker says itself why it cannot serve it. Each look lets it try once more, so one file that is there a moment later is forgiven."""
LOADING_LOOKS = 60
"""The same where a worker that is behind says that it loads what it should serve: two minutes, where the process of a code model has one to start."""


class SwitchReading(msgspec.Struct, frozen=True):
    """What was seen of the gateways at one look."""

    state: str
    """`verified`: every worker serves the wanted table from the right bytes; `pending`; `none`: no gateway is there."""
    reports: tuple[GatewayReport, ...]
    words: str
    behind: tuple[GatewayReport, ...] = ()
    """Workers that do not serve the wanted table; `answers=False`: not heard."""
    astray: bool = False
    """One of them answers otherwise than the wanted table says, or is not heard; else they only have an older one with the same routes."""


class Unserved:
    """Looks in a row at which what is served is not what is wanted."""

    def __init__(self) -> None:
        self.looks = 0
        self._idle, self._loading, self._refused = 0, 0, 0

    def count(self, switch: SwitchReading) -> bool:
        """True: at this look patience ends."""
        before = self.stuck
        answering = [report for report in switch.behind if report.answers]
        self.looks += bool(answering)
        self._idle += any(report.loading is None for report in answering)
        self._loading += any(report.loading is not None for report in answering)
        self._refused = self._refused + 1 if any(report.error for report in answering) else 0
        return self.stuck and not before

    def forget(self) -> None:
        self.looks, self._idle, self._loading, self._refused = 0, 0, 0, 0

    @property
    def stuck(self) -> bool:
        return self._idle >= STUCK_LOOKS or self._refused >= REFUSED_LOOKS or self._loading >= LOADING_LOOKS


def serves(report: GatewayReport, table: RoutingTable) -> bool:
    """The worker has taken this table, and no earlier one with the same routes: behind that one may lie another, written and not read yet, which it
    would still take."""
    return report.revision == table.revision and routes_as(report, table)


def routes_as(report: GatewayReport, table: RoutingTable) -> bool:
    """It answers as this table says, from bytes that match the manifests: the digest alone would believe the worker's word."""
    units = {unit.unit.id: unit.unit.manifest_digest for unit in units_of(table)}
    return not report.error and report.digest == table.digest and all(report.fingerprints.get(k) == v for k, v in units.items())


def tripped(switch: SwitchReading, release: ReleaseState) -> str:
    """The first worker that leaves the challenger alone and not the unit before, with the kind of failure; empty: there is none. Where both fail, it is
    the machine and not the challenger."""
    for report in switch.reports:
        if release.challenger in report.tripped and release.champion is not None and release.champion not in report.tripped:
            return f"worker {report.worker}: {report.tripped[release.challenger]}"
    return ""


def units_of(table: RoutingTable) -> tuple[ServedUnit, ...]:
    """Every unit that a table names."""
    return tuple(unit for one in table.routes for unit in one.units)


def reconcile(world: World) -> SwitchReading:
    """Look; where what is served is not what is wanted, publish and look once more. Idempotent."""
    table = wanted(world)
    if table is None:
        return SwitchReading("none", (), "nothing is released yet")
    reading = _look(world, table)
    if reading.state == "verified":
        return reading
    world.ports.gateways.publish(table)
    return _look(world, table)


def _look(world: World, table: RoutingTable) -> SwitchReading:
    reports = world.ports.gateways.observe()
    if not reports:
        return SwitchReading("none", (), "no gateway is running")
    behind = [report for report in reports if not serves(report, table)]
    if not behind:
        return SwitchReading("verified", reports, f"{len(reports)} of {len(reports)} workers serve revision {table.revision}")
    first = behind[0]
    loads = "" if first.loading is None else f", and loads revision {first.loading}"
    why = first.error or f"serves revision {first.revision} instead of {table.revision}{loads}"
    words = f"{len(behind)} of {len(reports)} workers are behind; worker {first.worker}: {why}"
    astray = not all(routes_as(report, table) for report in behind)
    return SwitchReading("pending", reports, words, tuple(behind), astray)

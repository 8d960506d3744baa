"""Incidents of a project: a projection of its findings, of who acknowledged them, and of who was champion."""

from flyball.control.bounds import tenures
from flyball.control.standing import is_since, lasting
from flyball.control.world import World
from flyball.monitoring import incidents
from flyball.monitoring.incidents import Tenure
from flyball.records.findings import Acknowledgement, Finding, Incident
from flyball.records.release import Champion


def rows(world: World, *, open_only: bool) -> tuple[Incident, ...]:
    """Oldest first."""
    found = _of(world, tenures(world))
    return tuple(each for each in found if each.ended is None or not open_only)


def open_now(world: World, champion: Champion | None) -> tuple[Incident, ...]:
    """Of the present champion, or of an earlier one with an anomaly of the service that goes on: the others are over."""
    if champion is None:
        return ()
    present = Tenure(champion.unit, champion.since, None)
    outlast = any(not is_since(each, champion) for each in lasting(world))
    terms = (*(each for each in tenures(world) if each.until is not None), present) if outlast else (present,)
    return tuple(each for each in _of(world, terms) if each.ended is None)


def _of(world: World, terms: tuple[Tenure, ...]) -> tuple[Incident, ...]:
    said = {each.finding: each for each in world.all("acknowledgement", Acknowledgement)}
    return incidents.incidents(world.all("finding", Finding), said, terms, {each.id for each in lasting(world)})

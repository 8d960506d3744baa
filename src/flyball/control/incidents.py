"""Incidents of a project: a projection of its findings, of who acknowledged them, and of who was champion."""

from flyball.control.bounds import tenures
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
    """Of the present champion: the others are over."""
    if champion is None:
        return ()
    return tuple(each for each in _of(world, (Tenure(champion.unit, champion.since, None),)) if each.ended is None)


def _of(world: World, terms: tuple[Tenure, ...]) -> tuple[Incident, ...]:
    said = {each.finding: each for each in world.all("acknowledgement", Acknowledgement)}
    return incidents.incidents(world.all("finding", Finding), said, terms)

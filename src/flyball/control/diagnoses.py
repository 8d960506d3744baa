"""What was told of incidents, as people and policies see it. Reads only."""

from collections.abc import Mapping

from flyball.autopilot.situation import OpenIncident
from flyball.control import incidents
from flyball.control.world import World
from flyball.records.diagnosis import Diagnosis
from flyball.records.findings import Incident, IncidentKind
from flyball.records.release import Champion

Known = Mapping[int, Diagnosis]
"""By the incident's number."""


def known(world: World) -> Known:
    """All that were told, once for a whole list of incidents: there may be thousands of either."""
    return {each.incident: each for each in world.all("diagnosis", Diagnosis)}


def of(told: Known, incident: Incident) -> Diagnosis | None:
    """Told under its number; else the newest under one that it, or what has grown into it, had before. None: nothing was told of it."""
    return told.get(incident.number) or max(told_of(told, incident), key=lambda each: each.at, default=None)


def told_of(told: Known, incident: Incident) -> list[Diagnosis]:
    """Under any number that it had: a finding that reaches far back makes one incident of two."""
    return [told[number] for number in incident.findings if number in told]


def open_incidents(world: World, champion: Champion | None) -> tuple[OpenIncident, ...]:
    """As policies see them, each with what it is taken for."""
    told = known(world)
    return tuple(_as_policies_see(each, of(told, each)) for each in incidents.open_now(world, champion))


def _as_policies_see(incident: Incident, found: Diagnosis | None) -> OpenIncident:
    kind = IncidentKind.UNKNOWN if found is None else found.kind
    return OpenIncident(number=incident.number, standing=incident.standing, kind=kind, findings=incident.findings)

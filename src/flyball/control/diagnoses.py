"""What was told of incidents, as people and policies see it. Reads only."""

from collections.abc import Mapping

from flyball.autopilot.diagnosis import MANY_REFUSED, REQUESTS
from flyball.autopilot.situation import OpenIncident
from flyball.control import incidents
from flyball.control.world import World
from flyball.monitoring.quality import Fault
from flyball.records.diagnosis import Diagnosis
from flyball.records.findings import Finding, FindingKind, Incident, IncidentKind
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
    return tuple(_as_policies_see(world, each, of(told, each)) for each in incidents.open_now(world, champion))


def is_of_few_requests(finding: Finding) -> bool:
    """Whether it tells of requests that are refused, too few for the others to be a biased sample."""
    return finding.fault == Fault.SCHEMA and finding.effect < MANY_REFUSED


def _as_policies_see(world: World, incident: Incident, found: Diagnosis | None) -> OpenIncident:
    kind = IncidentKind.UNKNOWN if found is None else found.kind
    of_few = kind is IncidentKind.DATA_FAULT and _is_of_few(world, incident)
    return OpenIncident(number=incident.number, standing=incident.standing, kind=kind, findings=incident.findings, of_few=of_few)


def _is_of_few(world: World, incident: Incident) -> bool:
    """Whether nothing but requests that are refused, and are missing among those that are answered, makes it a fault of the data."""
    mine = [each for each in world.all("finding", Finding) if each.number in incident.findings]
    return any(map(is_of_few_requests, mine)) and all(
        is_of_few_requests(each) or (each.kind is FindingKind.OPERATIONS and each.subject == REQUESTS) for each in mine
    )

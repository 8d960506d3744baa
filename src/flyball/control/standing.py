"""Findings as states: numbered when they are recorded, which of them stand, and each by its name."""

from collections.abc import Sequence

import msgspec

from flyball.control.world import World, put
from flyball.errors import NotFound
from flyball.monitoring.operations import OperationsState
from flyball.records.events import Put
from flyball.records.findings import Acknowledgement, Finding, FindingKind
from flyball.records.release import Champion


def puts_of(world: World, findings: Sequence[Finding]) -> tuple[Put, ...]:
    """The states of new findings, each with its number: goes into the transaction of what raised them."""
    if not findings:
        return ()
    first, _ = world.number("finding")
    numbered = [msgspec.structs.replace(finding, number=first + place) for place, finding in enumerate(findings)]
    last = Put("counter", "finding", {"last": first + len(findings) - 1})
    return (*(put("finding", finding.id, finding) for finding in numbered), last)


def standing(world: World, champion: Champion | None) -> tuple[Finding, ...]:
    """Not acknowledged, and raised since the champion took over, on it or (a switch that was not seen) on everybody; or of a service that is still unusual."""
    if champion is None:
        return ()
    known, lasts = unacknowledged(world), {finding.id for finding in lasting(world)}
    return tuple(finding for finding in known if finding.id in lasts or is_since(finding, champion))


def is_since(finding: Finding, champion: Champion) -> bool:
    """Whether it concerns the champion since that took over."""
    mine = finding.unit == champion.unit or finding.kind is FindingKind.SERVING
    return mine and finding.window_end > champion.since


def lasting(world: World) -> tuple[Finding, ...]:
    """Not acknowledged, of anomalies of the service that go on, whoever was champion when they were told: a take-over ends no outage, and nobody tells it anew."""
    of_service = (finding for finding in world.all("finding", Finding) if finding.kind is FindingKind.OPERATIONS)
    newest = {finding.subject: finding for finding in sorted(of_service, key=lambda finding: finding.number)}
    seen = {each.finding for each in world.all("acknowledgement", Acknowledgement)}
    left = [finding for finding in newest.values() if finding.id not in seen]
    state = world.get("operations", world.model, OperationsState) if left else None
    tracks = state.tracks if state is not None else {}
    return tuple(finding for finding in left if finding.subject in tracks and tracks[finding.subject].told)


def unacknowledged(world: World) -> tuple[Finding, ...]:
    """Of whatever champion."""
    seen = {each.finding for each in world.all("acknowledgement", Acknowledgement)}
    return tuple(finding for finding in world.all("finding", Finding) if finding.id not in seen)


_LONGEST = 12
"""Digits of a finding's number; thousands of them are no number that Python would read."""


def find(world: World, which: str) -> Finding:
    """By number or id. Raises NotFound."""
    wanted = which.removeprefix("#")
    for finding in world.all("finding", Finding):
        if wanted == finding.id or (wanted.isdecimal() and len(wanted) <= _LONGEST and int(wanted) == finding.number):
            return finding
    raise NotFound(f"there is no finding {which[:60]!r}", next_step="flyball findings lists them")

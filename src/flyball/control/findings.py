"""What monitors found, as people look at it, and what they say of it."""

from flyball.control import decisions, diagnoses, incidents
from flyball.control.acknowledging import refuse_as_normal
from flyball.control.commands import Command, refuse_long
from flyball.control.finding_reports import FindingReport, FindingRow, IncidentRow, WindowPoint
from flyball.control.happenings import happenings
from flyball.control.queries import decision_row
from flyball.control.reports import CommandReport
from flyball.control.standing import find, standing
from flyball.control.telling import is_of_stream
from flyball.control.world import World, put
from flyball.errors import Conflict
from flyball.monitoring import declared, upstream
from flyball.monitoring.estimates.parts import LOSS
from flyball.records.events import Draft
from flyball.records.findings import Acknowledgement, Finding, FindingKind, WindowSummary
from flyball.records.release import Champion

SERIES_WINDOWS = 60
"""Half of them before the finding's own, the others after it."""
DECISIONS_SHOWN = 3


def rows(world: World, *, open_only: bool) -> tuple[FindingRow, ...]:
    """Oldest first; of those that stand, what is most urgent."""
    champion = world.get("champion", world.model, Champion)
    open_ids = {finding.id for finding in standing(world, champion)}
    seen = {each.finding: each for each in world.all("acknowledgement", Acknowledgement)}
    every = sorted(world.all("finding", Finding), key=lambda finding: finding.number)
    told = diagnoses.known(world)
    of = {number: diagnoses.of(told, each) for each in incidents.rows(world, open_only=False) for number in each.findings}
    found = [
        FindingRow(finding=each, open=each.id in open_ids, acknowledgement=seen.get(each.id), diagnosis=of.get(each.number))
        for each in every
    ]
    if not open_only:
        return tuple(found)
    tolerance = world.spec.monitor.tolerance
    return tuple(sorted((row for row in found if row.open), key=lambda row: _urgency(row.finding, tolerance)))


def incident_rows(world: World, *, open_only: bool) -> tuple[IncidentRow, ...]:
    """Oldest first, each with what it is taken for."""
    told, found = diagnoses.known(world), incidents.rows(world, open_only=open_only)
    return tuple(IncidentRow(incident=each, diagnosis=diagnoses.of(told, each)) for each in found)


def _urgency(finding: Finding, tolerance: float) -> tuple[int, float, int]:
    """First what is known to harm by more than is tolerated, the most harmful first; then what nobody knows the harm of and pages all the same (a column that
    is gone, a gateway that does not serve, traffic that stays away: any of it may be all of the harm); then what harms little; last what pages nobody."""
    harm = finding.harm if finding.harm is not None else 0.0
    if not finding.pages:
        tier = 3
    elif finding.harm is None:
        tier = 1
    else:
        tier = 0 if harm > tolerance else 2
    return (tier, -harm, finding.number)


def explain(world: World, which: str) -> FindingReport:
    """One finding with all that is known of it. `which`: its number or its id. Raises NotFound."""
    finding = find(world, which)
    others = [each for each in happenings(world) if each.subject != f"finding {finding.number}"]
    near = () if finding.kind in upstream.PIPE else upstream.near(finding, others, world.spec.monitor.window)
    shown = {each.subject for each in near}
    beside = (
        each for each in world.all("finding", Finding)
        if each.window_end == finding.window_end and each.id != finding.id and f"finding {each.number}" not in shown
    )  # fmt: skip
    made = [each for each in decisions.recorded(world) if each.room == "autopilot" and each.now >= finding.window_end]
    return FindingReport(
        finding=finding,
        acknowledgement=world.get("acknowledgement", finding.id, Acknowledgement),
        series=_series(world, finding),
        beside=tuple(sorted(beside, key=lambda each: each.number)),
        upstream=near,
        decided=tuple(decision_row(each) for each in made[:DECISIONS_SHOWN]),
        diagnosis=next(
            (row.diagnosis for row in incident_rows(world, open_only=False) if finding.number in row.incident.findings), None
        ),
    )


def _series(world: World, finding: Finding) -> tuple[WindowPoint, ...]:
    """The figure that the finding is about, window by window: the distance of its stream, the loss, or the loss as it was estimated."""
    mine = sorted((each for each in world.all("window", WindowSummary) if each.unit == finding.unit), key=lambda each: each.start)
    # What it is held against is a mean bounded loss: no other metric of the window is shown beside that.
    figure = _loss if finding.norm is not None and finding.subject in _OF_ALL_ROWS else _figure
    points = [WindowPoint(end=each.end, value=figure(each, finding)) for each in mine]
    place = next((place for place, point in enumerate(points) if point.end >= finding.window_end), len(points))
    shown = points[max(place - SERIES_WINDOWS // 2, 0) :][:SERIES_WINDOWS]
    return tuple(shown) if any(point.value is not None for point in shown) else ()


def _figure(window: WindowSummary, finding: Finding) -> float | None:
    """By the finding's kind first: a feature may be called `loss`."""
    if is_of_stream(finding):
        return window.drift.get(finding.subject)
    named = finding.subject.removeprefix(declared.subject_of(""))
    if finding.kind is FindingKind.PERFORMANCE and named != finding.subject:
        measured = window.slices.get(named)
    elif finding.kind is FindingKind.ESTIMATED_PERFORMANCE:
        measured = window.estimates.get(LOSS)
    elif finding.kind in _OF_LABELS:
        measured = next((window.metrics[name] for name in ("loss", "brier", "mae") if name in window.metrics), None)
    else:
        return None
    return None if measured is None else measured.value


def _loss(window: WindowSummary, _finding: Finding) -> float | None:
    return None if window.loss is None else window.loss.mean


_OF_ALL_ROWS = ("loss", "labels")
"""Subjects of findings of labels that are of no slice."""
_OF_LABELS = (FindingKind.PERFORMANCE, FindingKind.CONCEPT_DRIFT)


def acknowledge(world: World, which: str, actor: str, reason: str, *, as_normal: bool) -> CommandReport:
    """It stands no longer, and policies are told of it no more. Once; what was seen may still be taken as normal later. Raises RequestError, NotFound, Conflict."""
    refuse_long(reason)
    finding = find(world, which)
    before = world.get("acknowledgement", finding.id, Acknowledgement)
    if before is not None and (before.as_normal or not as_normal):
        raise _said_already(finding, before.by)
    if as_normal:
        refuse_as_normal(world, finding)
    # When it was seen first stays known: an incident that was over then does not take in what came since.
    first = before.first if before is not None else None
    said = Acknowledgement(finding=finding.id, by=actor, at=world.now(), reason=reason, as_normal=as_normal, before=first)
    order = Command(
        id=f"c-{finding.id}{'-normal' if as_normal else ''}", kind="acknowledge", actor=actor, reason=reason, ordered_at=said.at,
        arguments={"finding": finding.id, "as_normal": as_normal}, spec_digest=world.spec_digest,
    )  # fmt: skip
    made = Draft(
        at=said.at, kind="finding.acknowledged", subject=f"finding:{finding.id}", actor=actor,
        payload={"number": finding.number, "reason": reason, "as_normal": as_normal},
        puts=(put("acknowledgement", finding.id, said), put("command", order.id, order)),
        key=f"acknowledged:{finding.id}{':normal' if as_normal else ''}",
    )  # fmt: skip
    event = world.ports.ledger.transact([made])[0]  # not fenced: a door is not a controller
    if event.at != said.at or event.actor != actor:
        raise _said_already(finding, event.actor)
    told = "seen by" if not as_normal else "taken as normal by"
    return CommandReport(
        accepted=True, subject=f"finding:{finding.id}", words=f"finding {finding.number} ({finding.subject}) is {told} {actor}",
        next_step="flyball findings --open",
    )  # fmt: skip


def _said_already(finding: Finding, by: str) -> Conflict:
    return Conflict(f"finding {finding.number} was acknowledged by {by} already", next_step="flyball findings")

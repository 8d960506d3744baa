"""What an acknowledgement does: detectors begin anew, and what was found may be normal from now on. Carried out by the controller, once."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from flyball.control.estimating import EstimateState
from flyball.control.standing import find
from flyball.control.world import World, put
from flyball.errors import Conflict
from flyball.monitoring import concept, declared, drift, performance, quality, slice_watch, track
from flyball.monitoring.concept import ConceptState
from flyball.monitoring.declared import DeclaredState
from flyball.monitoring.drift import DriftState
from flyball.monitoring.estimates import Trust, begin_anew
from flyball.monitoring.operations import OperationsState
from flyball.monitoring.performance import PerformanceState
from flyball.monitoring.slice_watch import SliceState
from flyball.records.events import Put
from flyball.records.findings import Acknowledgement, Finding, FindingKind
from flyball.records.release import Champion

LABELS = "labels"
"""Subject of a concept that changed all over; others are slices that were found."""


def _never_normal(finding: Finding) -> str:
    """Why a finding cannot be taken as normal; empty: it can."""
    if finding.kind is FindingKind.CONCEPT_DRIFT and finding.subject != LABELS:
        return "a slice that was found is not kept apart from its neighbours; a version that is trained on it knows it"
    if finding.fault == quality.Fault.SCHEMA:
        return "what is refused is answered by nobody; mend what sends it, or train a version that takes it"
    if finding.kind is FindingKind.DATA_QUALITY and (_is_counted(finding) or finding.fault in quality.COUNTED):
        return f"{finding.subject} is gone, or cannot be read; mend it, or train a version without it"
    return _NEVER.get(finding.kind, "")


_NEVER: Mapping[FindingKind, str] = MappingProxyType({
    FindingKind.ESTIMATED_PERFORMANCE: "an estimate is no measurement; labels say what the loss is",
    FindingKind.SERVING: "what is not served is not served",
})  # fmt: skip


def _is_of_the_past(world: World, finding: Finding) -> bool:
    """Told of its unit before that became champion again: what is known of it now begins there. What operations are is the model's, whoever is champion."""
    champion = world.get("champion", world.model, Champion)
    if champion is None or champion.unit != finding.unit or finding.kind is FindingKind.OPERATIONS:
        return False
    return finding.window_end <= champion.since


def refuse_as_normal(world: World, finding: Finding) -> None:
    """Raises Conflict where `finding` cannot be taken as normal: for what it is, because it is of the past, or because its detector has told of a later change.
    What would be accepted is the detector's latest state, whichever finding is named."""
    why_not, later = _never_normal(finding), None
    if not why_not and _is_of_the_past(world, finding):
        why_not = f"it was found before {finding.unit} became champion again, and what was watched then is begun anew"
    elif not why_not and (later := _told_later(world, finding)) is not None:
        why_not = f"finding {later.number} tells what {finding.subject} has become since"
    if why_not:
        found = f"finding {finding.number} cannot be taken as normal: {why_not}"
        raise Conflict(found, expected="an acknowledgement", next_step=_possible_steps(world, finding, later))


def _possible_steps(world: World, finding: Finding, later: Finding | None) -> str:
    """None that would be refused as well."""
    steps = []
    if later is not None and not _never_normal(later) and later.id not in taken_as_normal(world):
        steps.append(f"flyball acknowledge {later.number} --as-normal")
    if world.get("acknowledgement", finding.id, Acknowledgement) is None:
        steps.append(f"{finding.number} without it" if steps else f"flyball acknowledge {finding.number}, without --as-normal")
    return ", or ".join(steps)


def _told_later(world: World, finding: Finding) -> Finding | None:
    """The newest that the same detector has told of the same subject since. What operations are is the model's, whoever is champion."""
    detector, of_model = _ANEW.get(finding.kind), finding.kind is FindingKind.OPERATIONS
    later = [
        each for each in world.all("finding", Finding)
        if each.number > finding.number and each.subject == finding.subject and (of_model or each.unit == finding.unit)
        and _ANEW.get(each.kind) is detector and not _is_counted(each)
    ]  # fmt: skip
    return max(later, key=lambda each: each.number, default=None)


def _is_counted(finding: Finding) -> bool:
    """A fault that was told without an alarm of a detector."""
    return finding.evidence.method == "counted"


def begun_anew(world: World, finding_id: str, *, as_normal: bool) -> tuple[tuple[Put, ...], str]:
    """The detectors' states after an acknowledgement, and that in words. From the next window that is judged on. Raises Conflict as `refuse_as_normal` does:
    a later finding, or another take-over, may have come since the order."""
    finding = find(world, finding_id)
    if as_normal:
        refuse_as_normal(world, finding)
    moves = finding.kind in _ANEW and finding.fault != quality.Fault.SCHEMA and not _is_of_the_past(world, finding)
    puts = _ANEW[finding.kind](world, finding, as_normal) if moves else ()
    if not puts:
        return (), f"nothing has to begin anew for finding {finding.number}"
    if as_normal:
        return puts, f"what {finding.subject} is since finding {finding.number} is normal from here on"
    return puts, f"the detector of {finding.subject} begins anew with its full budget"


def not_normal(world: World, finding_id: str) -> tuple[Put, ...]:
    """The acknowledgement of what the controller could not take as normal: it is seen, and may be taken as normal later."""
    said = world.get("acknowledgement", finding_id, Acknowledgement)
    return (put("acknowledgement", finding_id, msgspec.structs.replace(said, as_normal=False)),) if said is not None else ()


def _drift(world: World, finding: Finding, as_normal: bool) -> tuple[Put, ...]:  # noqa: FBT001 - all of one shape
    state = world.get("drift", finding.unit, DriftState) or DriftState()
    anew = (drift.accept if as_normal else drift.begin_anew)(state, finding.subject)
    return _moved("drift", finding.unit, state, anew)


def _performance(world: World, finding: Finding, as_normal: bool) -> tuple[Put, ...]:  # noqa: FBT001
    since = (finding.changed_since or finding.window_start) if as_normal else None
    named = finding.subject.removeprefix(declared.subject_of(""))
    if named != finding.subject:
        slices = world.get("declared", finding.unit, DeclaredState) or DeclaredState()
        return _moved("declared", finding.unit, slices, declared.acknowledged(slices, named, since))
    state = world.get("performance", finding.unit, PerformanceState) or PerformanceState()
    anew = performance.begin_anew(state) if since is None else performance.accept(state, since)
    return (*_moved("performance", finding.unit, state, anew), *_estimates(world, finding, as_normal))


def _concept(world: World, finding: Finding, as_normal: bool) -> tuple[Put, ...]:  # noqa: FBT001
    if finding.subject == LABELS:
        state = world.get("concept", finding.unit, ConceptState) or ConceptState()
        puts = _moved("concept", finding.unit, state, concept.begin_anew(state))
    else:
        slices = world.get("slices", finding.unit, SliceState) or SliceState()
        puts = _moved("slices", finding.unit, slices, slice_watch.acknowledged(slices, finding.subject))
    return (*puts, *_estimates(world, finding, as_normal))


def _estimates(world: World, finding: Finding, _as_normal: bool) -> tuple[Put, ...]:  # noqa: FBT001
    """Estimates that labels made void are tried again: if labels still disagree, two windows make them void again."""
    state = world.get("estimates", finding.unit, EstimateState) or EstimateState()
    trust = msgspec.structs.replace(Trust(), judged=state.trust.judged) if state.trust.void else state.trust
    return _moved("estimates", finding.unit, state, msgspec.structs.replace(state, alarm=begin_anew(state.alarm), trust=trust))


def _operations(world: World, finding: Finding, as_normal: bool) -> tuple[Put, ...]:  # noqa: FBT001
    state = world.get("operations", finding.model, OperationsState) or OperationsState()
    known = state.tracks.get(finding.subject)
    if known is None or not as_normal:
        return ()
    return _moved(
        "operations",
        finding.model,
        state,
        msgspec.structs.replace(state, tracks=state.tracks | {finding.subject: track.accept(known)}),
    )


def _moved(kind: str, key: str, before: msgspec.Struct, now: msgspec.Struct) -> tuple[Put, ...]:
    return () if now == before else (put(kind, key, now),)


_ANEW: Mapping[FindingKind, Callable[[World, Finding, bool], tuple[Put, ...]]] = MappingProxyType({
    FindingKind.FEATURE_DRIFT: _drift, FindingKind.PREDICTION_DRIFT: _drift, FindingKind.JOINT_DRIFT: _drift,
    FindingKind.DATA_QUALITY: _drift, FindingKind.PERFORMANCE: _performance, FindingKind.CONCEPT_DRIFT: _concept,
    FindingKind.ESTIMATED_PERFORMANCE: _estimates, FindingKind.OPERATIONS: _operations,
})  # fmt: skip


def taken_as_normal(world: World) -> frozenset[str]:
    """Findings by id."""
    return frozenset(each.finding for each in world.all("acknowledgement", Acknowledgement) if each.as_normal)


__all__ = ["begun_anew", "not_normal", "refuse_as_normal", "taken_as_normal"]

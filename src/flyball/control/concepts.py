"""What a mature window's labels say beyond its loss: whether they still follow the answers, in which slices they do not, and what a rise is put down to."""

from typing import Any, NamedTuple

import msgspec
import numpy as np

from flyball.control.declared_slices import DeclaredSlices, columns_of, losses_of
from flyball.control.observe import Observation
from flyball.control.samples import SampledRows
from flyball.control.world import MICROSECOND, World, micros, put
from flyball.monitoring import calibration, causes, concept, declared, slice_search, slice_watch, slices
from flyball.monitoring.allowance import allowance_of
from flyball.monitoring.concept import ConceptState
from flyball.monitoring.estimates import EstimationReference
from flyball.monitoring.loss_parts import Rows
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.reference import Reference
from flyball.monitoring.slice_search import Found
from flyball.monitoring.slice_watch import SliceState
from flyball.monitoring.slices import SliceReference, SliceRows
from flyball.monitoring.window import Window
from flyball.records.events import Put
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.stats.losses import bounded_loss

HALF = 0.5
"""Of concept's part of the budget: labels by score, and labels by slice."""
QUARTER = 0.25
"""Where slices are declared: for those, and for those that are found."""
PARTS = 8
"""A window's rows are searched for slices in every other stretch of it, and what is found is confirmed in the rest."""
ALPHA = 0.05
SLICES_SHOWN = 3
EXPLAINED = (FindingKind.PERFORMANCE, FindingKind.CONCEPT_DRIFT)


class Labelled(NamedTuple):
    """Of a mature window: everything that has a label, and the sampled rows with features."""

    scores: Any
    labels: Any
    sample: SampledRows
    sample_labels: Any
    """(n_sampled,) NaN: none."""


class Concepted(NamedTuple):
    findings: tuple[Finding, ...]
    puts: tuple[Put, ...]
    slices: dict[str, Evidence]
    """Declared slice → its loss in the window."""
    note: str


class Concepts:
    def __init__(self, world: World, observation: Observation, policy: MonitorPolicy) -> None:
        self._world = world
        self._observation = observation
        self._policy = policy
        self._declared = DeclaredSlices(world, observation, policy.slices)

    def judge(self, window: Window, found: Labelled) -> Concepted:
        """The champion's."""
        findings: list[Finding] = []
        puts: list[Put] = []
        expected = self._observation.files.calibration(window.unit)
        if expected is not None:
            state = self._world.get("concept", window.unit, ConceptState) or ConceptState()
            outcomes = calibration.outcomes_of(found.scores, found.labels)
            reading = concept.judge(expected, state, outcomes, window, allowance_of(self._policy, "concept", HALF))
            findings += reading.findings
            puts.append(put("concept", window.unit, reading.state))
        known = self._observation.files.slices(window.unit)
        if known is not None:
            watched = self._world.get("slices", window.unit, SliceState) or slice_watch.start()
            rows = self._slice_rows(known, found, window)
            part = QUARTER if self._policy.slices else HALF
            seen = slice_watch.judge(known, watched, rows, window, allowance_of(self._policy, "concept", part))
            findings += seen.findings
            puts.append(put("slices", window.unit, seen.state))
        told, more = self._declared.judge(
            found.sample, self._losses(found, window), window, allowance_of(self._policy, "concept", QUARTER)
        )
        notes = (f"{name} is {why}" for name, why in sorted(told.state.notes.items()))
        return Concepted((*findings, *told.findings), (*puts, *more), told.seen, "; ".join(notes))

    def explained(self, findings: tuple[Finding, ...], window: Window, found: Labelled) -> tuple[Finding, ...]:
        """Those of a worse loss with what it is put down to: features, a changed concept, slices."""
        if not any(finding.kind in EXPLAINED for finding in findings):
            return findings
        reference = self._observation.files.estimation(window.unit)
        if reference is None:
            return findings
        now = Rows(found.sample.columns, self._losses(found, window))
        return tuple(
            self._explained(finding, reference, now, found, window) if finding.kind in EXPLAINED else finding
            for finding in findings
        )

    def _explained(self, finding: Finding, reference: EstimationReference, now: Rows, found: Labelled, window: Window) -> Finding:
        common = {name: now.columns[name] for name in reference.columns if name in now.columns}
        if not common:
            return finding
        base = Rows(columns_of(reference, common), losses_of(reference))
        named = finding.subject.removeprefix(declared.subject_of(""))
        if named != finding.subject:  # of a declared slice: its rows alone
            before, placed = self._declared.holdout(window.unit, named), self._declared.placed(window.unit, found.sample)
            if before is None or named not in placed.chosen:
                return finding
            base, inside = _part(base, before), _part(Rows(common, now.losses), placed.chosen[named].inside)
            return causes.with_causes(finding, causes.attribute(base, inside, seed=finding.id))
        told = causes.with_causes(finding, causes.attribute(base, Rows(common, now.losses), seed=finding.id))
        return msgspec.structs.replace(told, causes=told.causes + slice_search.causes_of(self._where(found, window)))

    def _where(self, found: Labelled, window: Window) -> tuple[Found, ...]:
        """Slices in which the loss rose, declared and found: half of ALPHA each where there are both."""
        known, losses = self._observation.files.slices(window.unit), self._losses(found, window)
        alpha = ALPHA / 2 if self._policy.slices and known is not None else ALPHA
        blocks = _stretches(found.sample.at_us, window)
        named = self._declared.risen(window.unit, found.sample, losses, blocks, alpha)
        searched = () if known is None else slice_search.find(known, self._slice_rows(known, found, window, PARTS), alpha)
        return (*named, *searched[:SLICES_SHOWN])

    def _slice_rows(self, known: SliceReference, found: Labelled, window: Window, parts: int = 1) -> SliceRows:
        losses = self._losses(found, window)
        has = np.isfinite(losses)
        names = {feature.name for feature in known.features}
        if not has.any() or not names <= set(found.sample.columns):
            return SliceRows(np.zeros((0, len(known.features)), dtype=np.uint8), np.zeros(0), np.zeros(0, dtype=np.int64))
        columns = {name: found.sample.columns[name][has] for name in names}
        blocks = _stretches(found.sample.at_us[has], window, parts)
        return SliceRows(slices.codes_of(known.features, columns), losses[has], blocks)

    def _losses(self, found: Labelled, window: Window) -> Any:
        """(n_sampled,) NaN where there is no label."""
        reference: Reference = self._observation.files.reference(window.unit)
        return bounded_loss(reference.task, found.sample.scores, found.sample_labels, reference.scale)


def _part(rows: Rows, inside: Any) -> Rows:
    losses = None if rows.losses is None else np.asarray(rows.losses)[inside]
    return Rows({name: np.asarray(values)[inside] for name, values in rows.columns.items()}, losses)


def _stretches(at_us: Any, window: Window, parts: int = PARTS) -> Any:
    """Number of each row's stretch of the window."""
    begin, width = micros(window.start), (window.end - window.start) // MICROSECOND
    return ((at_us - begin) / width * parts).astype(np.int64)

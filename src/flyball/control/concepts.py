"""What a mature window's labels say beyond its loss: whether they still follow the answers, in which slices they do not, and what a rise is put down to."""

from typing import Any, NamedTuple

import msgspec
import numpy as np

from flyball.control.observe import Observation
from flyball.control.samples import SampledRows
from flyball.control.world import World, put
from flyball.monitoring import calibration, causes, concept, slice_search, slice_watch, slices
from flyball.monitoring.allowance import allowance_of
from flyball.monitoring.concept import ConceptState
from flyball.monitoring.estimates import EstimationReference
from flyball.monitoring.loss_parts import Rows
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.reference import Reference
from flyball.monitoring.slice_watch import SliceState
from flyball.monitoring.slices import SliceReference, SliceRows
from flyball.monitoring.window import Window
from flyball.records.events import Put
from flyball.records.findings import Finding, FindingKind
from flyball.stats.losses import bounded_loss

HALF = 0.5
"""Of concept's part of the budget: labels by score, and labels by slice."""
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


class Concepts:
    def __init__(self, world: World, observation: Observation, policy: MonitorPolicy) -> None:
        self._world = world
        self._observation = observation
        self._policy = policy

    def judge(self, window: Window, found: Labelled) -> tuple[tuple[Finding, ...], tuple[Put, ...]]:
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
            seen = slice_watch.judge(known, watched, rows, window, allowance_of(self._policy, "concept", HALF))
            findings += seen.findings
            puts.append(put("slices", window.unit, seen.state))
        return tuple(findings), tuple(puts)

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
        base = Rows(_columns(reference, common), _losses_of(reference))
        told = causes.with_causes(finding, causes.attribute(base, Rows(common, now.losses), seed=finding.id))
        known = self._observation.files.slices(window.unit)
        if known is None:
            return told
        where = slice_search.find(known, self._slice_rows(known, found, window, PARTS), ALPHA)
        return msgspec.structs.replace(told, causes=told.causes + slice_search.causes_of(where[:SLICES_SHOWN]))

    def _slice_rows(self, known: SliceReference, found: Labelled, window: Window, parts: int = 1) -> SliceRows:
        losses = self._losses(found, window)
        has = np.isfinite(losses)
        names = {feature.name for feature in known.features}
        if not has.any() or not names <= set(found.sample.columns):
            return SliceRows(np.zeros((0, len(known.features)), dtype=np.uint8), np.zeros(0), np.zeros(0, dtype=np.int64))
        columns = {name: found.sample.columns[name][has] for name in names}
        begin = int(window.start.timestamp() * 1e6)
        width = (window.end - window.start).total_seconds() * 1e6
        blocks = ((found.sample.at_us[has] - begin) / width * parts).astype(np.int64)
        return SliceRows(slices.codes_of(known.features, columns), losses[has], blocks)

    def _losses(self, found: Labelled, window: Window) -> Any:
        """(n_sampled,) NaN where there is no label."""
        reference: Reference = self._observation.files.reference(window.unit)
        return bounded_loss(reference.task, found.sample.scores, found.sample_labels, reference.scale)


def _columns(reference: EstimationReference, wanted: dict[str, Any]) -> dict[str, Any]:
    return {
        name: np.array(reference.columns[name], dtype=object)
        if name in reference.categories
        else np.array([np.nan if value is None else value for value in reference.columns[name]], dtype=np.float64)
        for name in wanted
    }


def _losses_of(reference: EstimationReference) -> Any:
    scores, labels = np.asarray(reference.scores, dtype=np.float64), np.asarray(reference.labels, dtype=np.float64)
    return bounded_loss(reference.task, scores, labels, reference.scale)

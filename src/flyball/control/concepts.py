"""What a mature window's labels say beyond its loss: whether they still follow the answers, in which slices they do not, and what a rise is put down to."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from flyball.control.declared_slices import DeclaredSlices, columns_of, losses_of
from flyball.control.labelled_rows import Sampled
from flyball.control.observe import Observation
from flyball.control.unforeseen import for_the_ledger
from flyball.control.world import MICROSECOND, World, micros, put
from flyball.errors import OperatorError
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
from flyball.monitoring.slices_told import Earlier
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
"""Rows are searched for slices in every other stretch of time, and what is found is confirmed in the rest: so many stretches at least."""
ALPHA = 0.05
SLICES_SHOWN = 3
LOOKED_BACK = 60
"""Windows in which the beginning of an alarm of a found slice is looked for, as far as their rows are kept."""
EXPLAINED = (FindingKind.PERFORMANCE, FindingKind.CONCEPT_DRIFT)


class Labelled(NamedTuple):
    """Of a mature window: everything that has a label, and the rows of its sample."""

    scores: Any
    labels: Any
    sampled: Sampled


class Concepted(NamedTuple):
    findings: tuple[Finding, ...]
    puts: tuple[Put, ...]
    slices: dict[str, Evidence]
    """Declared slice → its loss in the window."""
    note: str
    outlook: str = ""
    """As a reading of performance."""


class Concepts:
    def __init__(self, world: World, observation: Observation, policy: MonitorPolicy) -> None:
        self._world = world
        self._observation = observation
        self._policy = policy
        self._declared = DeclaredSlices(world, observation, policy.slices)

    def judge(self, window: Window, found: Labelled, since: Callable[[datetime], Sampled]) -> Concepted:
        """The champion's. `since`: rows since then, of this window too."""
        findings: list[Finding] = []
        puts: list[Put] = []
        notes: list[str] = []
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
            rows = self._slice_rows(known, found.sampled, window)
            part = QUARTER if self._policy.slices else HALF
            seen = slice_watch.judge(
                known,
                watched,
                rows,
                window,
                allowance_of(self._policy, "concept", part),
                lambda: self._earlier(known, window, since),
            )
            findings += seen.findings
            puts.append(put("slices", window.unit, seen.state))
            hidden = [each.name for each in known.features if each.name not in found.sampled.rows.columns]
            why = f"capture has not every value of {', '.join(hidden)}" if hidden else seen.note
            notes += [f"slices are not searched: {why}"] if why else []
        told, more = self._declared.judge(
            found.sampled.rows, self._losses(found.sampled, window), window, allowance_of(self._policy, "concept", QUARTER)
        )
        notes += [f"{name} is {why}" for name, why in sorted(told.state.notes.items())]
        return Concepted((*findings, *told.findings), (*puts, *more), told.seen, "; ".join(notes))

    def explained(
        self, findings: tuple[Finding, ...], window: Window, since: Callable[[datetime], Sampled]
    ) -> tuple[Finding, ...]:
        """Those of a worse loss with what it is put down to: features, a changed concept, slices. `since`: rows since then."""
        reference = self._observation.files.estimation(window.unit)
        if reference is None:
            return findings
        return tuple(
            self._tried(finding, reference, since(finding.changed_since or window.start), window)
            if finding.kind in EXPLAINED
            else finding
            for finding in findings
        )

    def _tried(self, finding: Finding, reference: EstimationReference, found: Sampled, window: Window) -> Finding:
        try:
            return self._explained(finding, reference, found, window)
        except OperatorError:
            raise
        except Exception as error:  # noqa: BLE001 - said of the finding: harm that cannot be explained is told all the same, and keeps no window
            return msgspec.structs.replace(finding, words=f"{finding.words}; no causes: {for_the_ledger(error)}")

    def _explained(self, finding: Finding, reference: EstimationReference, found: Sampled, window: Window) -> Finding:
        columns = {name: found.rows.columns[name] for name in reference.columns if name in found.rows.columns}
        if not columns:
            return finding
        base, now = Rows(columns_of(reference, columns), losses_of(reference)), Rows(columns, self._losses(found, window))
        named = finding.subject.removeprefix(declared.subject_of(""))
        if named != finding.subject:  # of a declared slice: its rows alone
            before, placed = self._declared.holdout(window.unit, named), self._declared.placed(window.unit, found.rows)
            if before is None or named not in placed.chosen:
                return finding
            inside = placed.chosen[named].inside
            return causes.with_causes(finding, causes.attribute(_part(base, before), _part(now, inside), seed=finding.id))
        told = causes.with_causes(finding, causes.attribute(base, now, seed=finding.id))
        return msgspec.structs.replace(told, causes=told.causes + slice_search.causes_of(self._where(found, window)))

    def _where(self, found: Sampled, window: Window) -> tuple[Found, ...]:
        """Slices in which the loss rose, declared and found: half of ALPHA each where there are both."""
        known, losses = self._observation.files.slices(window.unit), self._losses(found, window)
        alpha = ALPHA / 2 if self._policy.slices and known is not None else ALPHA
        named = self._declared.risen(window.unit, found.rows, losses, _stretches(found.rows.at_us, window), alpha)
        searched = () if known is None else slice_search.find(known, self._slice_rows(known, found, window), alpha)
        return (*named, *searched[:SLICES_SHOWN])

    def _earlier(self, known: SliceReference, window: Window, since: Callable[[datetime], Sampled]) -> Earlier:
        """Rows of other windows that are kept."""
        width = window.end - window.start
        found = since(window.start - LOOKED_BACK * width)
        # codes and losses of the rows with a label, as _slice_rows has them
        rows = self._slice_rows(known, found, window)
        if not len(rows.losses):
            return Earlier(rows, ())
        at_us = found.rows.at_us[np.isfinite(self._losses(found, window))]
        number = (at_us - micros(window.start)) // (width // MICROSECOND)
        others = number != 0
        places, blocks = np.unique(number[others], return_inverse=True)
        starts = tuple(window.start + int(place) * width for place in places)
        return Earlier(SliceRows(rows.codes[others], rows.losses[others], blocks.astype(np.int64)), starts)

    def _slice_rows(self, known: SliceReference, found: Sampled, window: Window) -> SliceRows:
        losses = self._losses(found, window)
        has = np.isfinite(losses)
        names = {feature.name for feature in known.features}
        if not has.any() or not names <= set(found.rows.columns):
            return SliceRows(np.zeros((0, len(known.features)), dtype=np.uint8), np.zeros(0), np.zeros(0, dtype=np.int64))
        columns = {name: found.rows.columns[name][has] for name in names}
        blocks = _stretches(found.rows.at_us, window)[has]
        return SliceRows(slices.codes_of(known.features, columns), losses[has], blocks)

    def _losses(self, found: Sampled, window: Window) -> Any:
        """(n_rows,) NaN where there is no label."""
        reference: Reference = self._observation.files.reference(window.unit)
        return bounded_loss(reference.task, found.rows.scores, found.labels, reference.scale)


def _part(rows: Rows, inside: Any) -> Rows:
    losses = None if rows.losses is None else np.asarray(rows.losses)[inside]
    return Rows({name: np.asarray(values)[inside] for name, values in rows.columns.items()}, losses)


def _stretches(at_us: Any, window: Window) -> Any:
    """Number of each row's stretch of time: the window it lies in, or a part of it where there are fewer than PARTS windows."""
    if not len(at_us):
        return np.zeros(0, dtype=np.int64)
    width = (window.end - window.start) // MICROSECOND
    begin = int(at_us.min()) - int(at_us.min()) % width
    parts = -(-PARTS // ((micros(window.end) - begin) // width))
    return ((at_us - begin) / width * parts).astype(np.int64)

"""Diagnoses of open incidents: gathered anew when a finding was raised or labels came, recorded when they say something else."""

from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np

from flyball.autopilot import diagnosis
from flyball.autopilot.case import Case, Labels, Symptom
from flyball.control import incidents
from flyball.control.declared_slices import columns_of
from flyball.control.diagnoses import Known, known, told_of
from flyball.control.effects import quantity
from flyball.control.happenings import happenings
from flyball.control.labelled_rows import sampled
from flyball.control.observe import Observation, WindowKey
from flyball.control.retrying import Retries
from flyball.control.standing import unacknowledged
from flyball.control.unforeseen import tell_first
from flyball.control.world import World, draft, micros, put
from flyball.errors import ArtifactDamaged
from flyball.monitoring import estimates, moved_labels, upstream
from flyball.monitoring.causes import REACH
from flyball.monitoring.estimates import Labelled
from flyball.monitoring.estimates.parts import LOSS
from flyball.monitoring.moved_labels import LabelFault, Sides
from flyball.monitoring.quality import Fault
from flyball.records import codec
from flyball.records.diagnosis import Diagnosis
from flyball.records.effects import Effect
from flyball.records.findings import Finding, FindingKind, Happening, Incident, WindowSummary
from flyball.records.release import Champion
from flyball.stats.table_shift import TableShift

SHOWN = 160
"""Characters of a finding's words: its first clause as a rule."""
SCORE_MOVED = 0.1
"""A diagnosis that says the same with a score that differs by less is not recorded again."""


class _Labelled(NamedTuple):
    moved: TableShift | None
    rows: int
    fault: LabelFault | None
    classes: bool = True
    """Of the unit's labels."""


class Diagnosing:
    """Of the champion's incidents."""

    def __init__(self, world: World, observation: Observation) -> None:
        self._world = world
        self._observation = observation
        self._seen: tuple[object, ...] | None = None
        """What there was at the last look: nothing is gathered while it is the same."""
        self._left: tuple[Incident, ...] = ()
        """Those of that look that are not diagnosed yet, since it failed."""
        self._retries: Retries[int] = Retries(world)

    def look(self, champion: Champion | None) -> None:
        """Every open incident, when something new came. Once more after a restart, which changes nothing. One that cannot be diagnosed keeps no other waiting."""
        counter = self._world.ports.ledger.state("counter", "finding")
        if champion is None or counter is None:
            return
        judged = self._observation.recent(champion.unit, micros(champion.since), micros(self._world.now()))
        seen, trouble = (champion.unit, champion.since, counter.value["last"], judged[-1:]), list[Exception]()
        if seen != self._seen:
            self._left = incidents.open_now(self._world, champion)
            self._retries.keep({each.number for each in self._left})
            self._seen = seen
        told = known(self._world) if self._left else {}
        self._left = tuple(
            each
            for each in self._left
            if not self._retries.tried(each.number, partial(self._tell, each, champion, told), trouble)
        )
        tell_first(trouble)

    def _tell(self, incident: Incident, champion: Champion, told: Known) -> None:
        before, now = told.get(incident.number), self._world.now()
        if before is not None and incident.unit != champion.unit:
            return  # it outlasts its champion: what it was taken for beside that one says more than what is seen beside another
        case = self._case(incident, champion)
        wrong = [each.wrong_labels for each in told_of(told, incident) if each.wrong_labels[0]]
        if wrong and not case.label_fault:
            case = msgspec.structs.replace(case, label_fault_in=wrong[0][0], label_fault=wrong[0][1])
        found = diagnosis.diagnose(case, now)
        if before is not None and _says_the_same(before, found):
            return
        payload = {"case": codec.plain(case), "diagnosis": codec.plain(found)}
        state = put("diagnosis", str(incident.number), found)
        self._world.record(draft(now, "incident.diagnosed", f"incident:{incident.number}", payload, (state,), actor="autopilot"))
        if before is None or before.kind is not found.kind:
            self._world.say("finding", found.words)

    def _case(self, incident: Incident, champion: Champion) -> Case:
        world = self._world
        found, near = self._near(incident)
        findings = [each for each in found if not _is_harmless(each)]
        files, unit = self._observation.files, incident.unit
        labelled, columns, watched = _Labelled(None, 0, None), tuple[str, ...](), False
        with suppress(ArtifactDamaged):  # its package cannot be read, which is a finding of its own
            columns = tuple(self._observation.files.types(unit))
            watched = files.norms(unit) is not None
            labelled = self._labelled(unit, _surely_after(findings))
        judged, missed = self._estimates(unit, incident.began)
        return Case(
            incident=incident.number, model=incident.model, unit=unit, began=incident.began, window=world.spec.monitor.window,
            symptoms=tuple(map(symptom_of, findings)), upstream=near, champion_since=champion.since,
            earlier_champion=any(each != champion.unit for each in champion.verified), columns=columns, columns_watched=watched,
            labels=_labels_of(labelled),
            label_fault=labelled.fault.words if labelled.fault else "", label_fault_in=labelled.fault.where if labelled.fault else "",
            estimates_judged=judged, estimates_missed=missed, harmless=tuple(each.subject for each in found if _is_harmless(each)),
            brought=_brought(world.get("effect", champion.release, Effect), champion.unit),
        )  # fmt: skip

    def _estimates(self, unit: str, began: datetime) -> tuple[int, int]:
        """Mature windows that lasted beyond then, whose loss had been estimated; of them those whose labels said otherwise."""
        windows = [each for each in self._world.all("window", WindowSummary) if each.unit == unit and each.end > began]
        least = self._world.spec.monitor.min_rows  # fewer say nothing of how much their mean may lie beside that of all rows
        told = [
            (each.loss, estimates.interval_of(each.estimates[LOSS], each.loss_within, Labelled(each.loss, each.predictions)))
            for each in windows
            if each.loss and each.loss.n >= least and LOSS in each.estimates
        ]
        judged = [not within[0] <= loss.mean <= within[1] for loss, within in told if loss is not None and within is not None]
        return len(judged), sum(judged)

    def _near(self, incident: Incident) -> tuple[list[Finding], tuple[Happening, ...]]:
        """Its findings, with faults of columns at the time of their beginning (one that pages nobody by itself is in no incident), and what else happened then."""
        every, window = {each.number: each for each in self._world.all("finding", Finding)}, self._world.spec.monitor.window
        mine = [every[number] for number in incident.findings]
        others = [
            each for each in happenings(self._world) if each.subject not in {f"finding {number}" for number in incident.findings}
        ]
        near = {(each.at, each.subject): each for finding in mine for each in upstream.near(finding, others, window)}
        beside = {int(each.subject.removeprefix("finding ")) for each in near.values() if each.subject.startswith("finding ")}
        faults = [
            every[number]
            for number in beside
            if every[number].kind is FindingKind.DATA_QUALITY and every[number].unit == incident.unit
        ]
        if any(each.fault == Fault.SCHEMA for each in faults):
            # Requests that are known to be refused are no evidence of rows that are answered.
            unseen = {each.number for each in unacknowledged(self._world)}
            faults = [each for each in faults if each.fault != Fault.SCHEMA or each.number in unseen]
        mine += faults
        return sorted(mine, key=lambda each: each.number), tuple(near[place] for place in sorted(near))

    def _labelled(self, unit: str, since: datetime) -> _Labelled:
        """Judged rows since then, beside the holdout's."""
        join, reference = self._observation.join, self._observation.files.estimation(unit)
        keys = self._observation.recent(unit, micros(since), micros(self._world.now()))
        if join is None or reference is None or not keys:
            return _Labelled(None, 0, None)
        rows = sampled(self._observation, keys, join)
        sides = Sides(rows.rows.columns, rows.rows.scores, rows.labels, _window_of(keys, rows.rows.at_us))
        known = self._observation.files.slices(unit)
        before = msgspec.structs.replace(reference, columns=columns_of(reference, reference.columns))
        fault = moved_labels.label_fault(before, known.features, sides) if known is not None else None
        told = int(np.isfinite(rows.labels).sum())
        return _Labelled(moved_labels.moved(reference, sides), told, fault, classes=reference.task != "regression")


def _brought(effect: Effect | None, unit: str) -> str:
    """What an act is measured to have bettered is no bad release, however its loss compares with that of a version's first days: a map goes by those."""
    if effect is None or effect.new != unit or effect.realised is None:
        return ""
    value, upper, n = effect.realised.value, effect.realised.upper, effect.realised.n
    if value is None or upper is None or upper >= 0.0:
        return ""
    return f"on {n} rows that both answered the {quantity(effect.realised)} of this champion is {-value:.4f} a row less than that of the unit before"


def _is_harmless(finding: Finding) -> bool:
    """Of a column whose fault costs the model nothing that counts (monitoring/harm.py): it makes no answers worse. Of refused requests that is not asked."""
    return finding.kind is FindingKind.DATA_QUALITY and finding.fault != Fault.SCHEMA and not finding.pages


def _window_of(keys: tuple[WindowKey, ...], at_us: "np.typing.NDArray[np.int64]") -> "np.typing.NDArray[np.int64]":
    starts = np.asarray([start for _, start in keys], dtype=np.int64)
    return np.asarray(np.searchsorted(starts, at_us, side="right"), dtype=np.int64)


def _surely_after(findings: list[Finding]) -> datetime:
    """From when on all rows are of the changed world: the latest that the loss may have changed; else anything."""
    worse = [each for each in findings if each.kind in (FindingKind.PERFORMANCE, FindingKind.CONCEPT_DRIFT)]
    return min(upstream.interval_of(each)[1] if each.changed_between else each.window_start for each in worse or findings)


def symptom_of(finding: Finding) -> Symptom:
    """A finding as a diagnosis sees it."""
    words = finding.words if len(finding.words) <= SHOWN else f"{finding.words[: SHOWN - 1]}…"
    return Symptom(
        number=finding.number, kind=finding.kind, subject=finding.subject, words=words.partition("; ")[0], effect=finding.effect,
        between=finding.changed_between, window=(finding.window_start, finding.window_end),
        fault=finding.fault, shares={each.subject: each.share for each in finding.causes if each.share is not None},
        reaches={each.subject: (each.interval[1] - each.interval[0]) / 2.0 for each in finding.causes if each.interval is not None},
        alone={each.subject: REACH * each.error for each in finding.causes if each.error is not None},
    )  # fmt: skip


def _labels_of(found: _Labelled) -> Labels | None:
    moved = found.moved
    if moved is None:
        return None
    p = {
        "answers": moved.a.p,
        "labels": moved.b.p,
        "labels_given_answers": moved.b_given_a.p,
        "answers_given_labels": moved.a_given_b.p,
    }
    return Labels(
        rows=found.rows, share_of_answers=_short(moved.share_of_a), share_of_labels=_short(moved.share_of_b), classes=found.classes,
        **{name: float(f"{value:.3g}") for name, value in p.items()},
    )  # fmt: skip


def _short(share: float | None) -> float | None:
    return None if share is None else round(share, 3)


def _says_the_same(before: Diagnosis, now: Diagnosis) -> bool:
    return (before.kind, before.features, before.slices, before.between) == (
        now.kind,
        now.features,
        now.slices,
        now.between,
    ) and abs(before.score - now.score) < SCORE_MOVED

"""The faults: what goes wrong, what it is, and one life of a project with it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.faults import worlds
from bench.faults.model import Fitted
from bench.faults.project import DAY, STEP, Project, Sent, spec_of
from bench.faults.tables import Table
from bench.faults.worlds import Rows, Source
from flyball.control import findings, incidents
from flyball.control.decisions import recorded
from flyball.records import codec
from flyball.records.diagnosis import Diagnosis
from flyball.records.findings import Incident, IncidentKind
from flyball.records.release import Phase, ReleaseState

SHIFTS = (IncidentKind.COVARIATE_SHIFT, IncidentKind.LABEL_SHIFT, IncidentKind.CONCEPT_SHIFT)
A_DAY = 300
"""Rows."""
HISTORY, QUIET, AFTER = 30, 8, 16
"""Days: of rows before the first version, of quiet traffic, and after something went wrong."""
SERVICE_LEARNS = 50
"""Days: three weeks for a baseline, twenty windows of residuals, and some more to know their tail."""
MENDED_AFTER = 2 * DAY
"""A person mends upstream so long after being told."""
SETTLED_WITHIN = 0.35
"""Of the harm, beyond what a model can reach that has seen much of the changed world: a loss that stays below is repaired."""

RELEASE: dict[str, Any] = {
    "shadow": {"at_least": "6h", "at_most": "3d", "min_labels": 100}, "steps": [{"traffic": "50%", "at_least": "6h", "at_most": "3d", "min_requests": 50}],
    "watch": "1d", "margin": 0.05,
}  # fmt: skip
AT_ONCE: dict[str, Any] = {"shadow": None, "steps": [], "watch": "6h", "margin": 0.05, "labels": "never"}
POLICIES: list[dict[str, Any]] = [
    {"name": "labels-changed", "when": "incident.concept_shift || incident.label_shift", "for": 2, "do": {"action": "retrain", "history": "8d"},
     "cooldown": "4d", "budget": "3 per 30d"},
    {"name": "rows-changed", "when": "incident.covariate_shift && performance.alarm", "for": 2, "do": {"action": "retrain", "history": "12d"},
     "cooldown": "6d", "budget": "2 per 30d"},
    {"name": "mend-upstream", "when": "incident.data_fault", "do": {"action": "notify", "message": "a column or its labels are broken upstream"}},
    {"name": "take-back", "when": "incident.bad_release", "do": "roll_back", "cooldown": "10d"},
    {"name": "look-at-the-service", "when": "incident.infrastructure", "do": {"action": "notify", "message": "gateways, traffic or labels"}},
    {"name": "what-is-it", "when": "incident.unknown", "for": 4, "do": {"action": "ask", "message": "its kind is not known"}},
]  # fmt: skip
"""One policy a kind: what the documentation shows."""
BY_ALARM: list[dict[str, Any]] = [
    {"name": "any-alarm", "when": "performance.alarm || concept.alarm || drift.alarm || quality.alarm", "do": {"action": "retrain", "history": "8d"},
     "cooldown": "4d", "budget": "3 per 30d"},
]  # fmt: skip
"""What is usual: an alarm retrains."""


class Fault(NamedTuple):
    name: str
    kind: IncidentKind
    world: Callable[[Source], Rows]
    strike: Callable[[Project], None] = lambda _project: None
    """At the moment of the fault, beside what happens to rows."""
    mend: Callable[[Project], None] | None = None
    """What a person does upstream; None: rows go back to what they were, if they are broken."""
    quiet: int = QUIET
    release: dict[str, Any] = RELEASE
    category: bool = False
    """Only of tables with one."""


def _slower_labels(project: Project) -> None:
    project.delay *= 3


def _deaf(project: Project) -> None:
    project.gateways.deaf.add("0")
    project.version()


def _hears(project: Project) -> None:
    project.delay = timedelta(hours=24)
    project.gateways.deaf.clear()
    project.gateways.look()


def _bad_version(project: Project) -> None:
    """Its gates are passed; where it is served one column reaches it in another form than in training."""
    before = {job.unit for job in project.jobs()}
    project.version()
    project.broken_unit = next(job.unit or "" for job in project.jobs() if job.unit not in before)


FAULTS = (
    Fault("another unit upstream", IncidentKind.DATA_FAULT, worlds.other_unit),
    Fault("a column gone null", IncidentKind.DATA_FAULT, worlds.emptied),
    Fault("categories renamed", IncidentKind.DATA_FAULT, worlds.renamed, category=True),
    Fault("labels poisoned in one slice", IncidentKind.DATA_FAULT, worlds.poisoned),
    Fault("label delay tripled", IncidentKind.INFRASTRUCTURE, worlds.quiet, _slower_labels, _hears, quiet=SERVICE_LEARNS),
    Fault("a release that silently does nothing", IncidentKind.INFRASTRUCTURE, worlds.quiet, _deaf, _hears),
    Fault("a bad release", IncidentKind.BAD_RELEASE, worlds.quiet, _bad_version, release=AT_ONCE),
    Fault("sudden concept shift", IncidentKind.CONCEPT_SHIFT, worlds.changed_concept),
    Fault("gradual concept shift", IncidentKind.CONCEPT_SHIFT, lambda source: worlds.changed_concept(source, gradual=True)),
    Fault("a regime that comes back", IncidentKind.CONCEPT_SHIFT, lambda source: worlds.regimes(source).back),
    Fault("label shift", IncidentKind.LABEL_SHIFT, worlds.label_shift),
    Fault("covariate shift that harms", IncidentKind.COVARIATE_SHIFT, worlds.harmful_rows),
)


class Outcome(NamedTuple):
    """What came of one life."""

    table: str
    start: int
    fault: str
    kind: IncidentKind
    told: IncidentKind | None
    """The diagnosis by which policies acted first, else the last; None: no incident was found."""
    score: float
    first_told_days: float | None
    """From the fault to the first diagnosis of that kind."""
    since_within: bool | None
    """Whether the interval of `since when` holds the fault; None: there is none."""
    actions: tuple[str, ...]
    """Of policies, in order."""
    faulty_rows_trained: int
    repaired_days: float | None
    """From the fault until the loss stayed near what it was; None: it did not, or there was no harm."""
    harmed: bool
    words: str

    @property
    def right(self) -> bool:
        return self.told is self.kind

    def document(self) -> dict[str, Any]:
        return {
            **self._asdict(),
            "kind": self.kind.value,
            "told": None if self.told is None else self.told.value,
            "right": self.right,
        }


def live(root: Path, table: Table, fault: Fault, start: int, policies: list[dict[str, Any]]) -> Outcome:
    """One project, one fault."""
    source, draw = Source(table, start, HISTORY * A_DAY), np.random.default_rng([start, 2])
    project = Project(root, spec_of(policies, source.table.columns, fault.release), start)
    rows = fault.world(source)
    begun = _quiet_life(project, source, fault, rows, draw)
    _acknowledged(project)
    _strike(project, table, fault)
    mended, told_at = False, None
    for quarter in range(4 * AFTER):
        sent = source.sent(source.take(A_DAY // 4)) if mended else rows(A_DAY // 4, quarter / 4, draw)
        project.live(sent)
        if project.gateways.deaf:
            _look_often(project)
        told_at = told_at or (project.clock.now() if project.told.heard else None)
        if told_at is not None and not mended and _is_broken(fault) and project.clock.now() >= told_at + MENDED_AFTER:
            mended = True
            _mended(project, fault)
    attained = _attainable(fault, start, rows)
    return _outcome(project, (table.name, start, fault), begun, attained)


def _mended(project: Project, fault: Fault) -> None:
    """Upstream, with what was broken taken out of the history; and what was found is acknowledged."""
    if fault.mend is not None:
        fault.mend(project)
    project.known = [(at, known) for at, known in project.known if not known.faulty.any()]
    _acknowledged(project)


def _attainable(fault: Fault, start: int, rows: Rows) -> float | None:
    """The loss of a model that has seen much of the changed world; None: the world is as it was."""
    if fault.kind not in SHIFTS:
        return None
    draw = np.random.default_rng([start, 3])
    seen, judged = (rows(n, float(AFTER), draw) for n in (20 * A_DAY, 10 * A_DAY))
    return float(((Fitted(seen.columns, seen.truth)(judged.columns) - judged.truth) ** 2).mean())


def _is_broken(fault: Fault) -> bool:
    return fault.kind in (IncidentKind.DATA_FAULT, IncidentKind.INFRASTRUCTURE)


def _quiet_life(project: Project, source: Source, fault: Fault, rows: Rows, draw: np.random.Generator) -> datetime:
    """First version, quiet traffic; answers with the moment of the fault."""
    now = project.clock.now()
    if "regime" in fault.name:
        project.learn(source.sent(source.take(HISTORY * A_DAY)), now - 2 * HISTORY * DAY, now - HISTORY * DAY)
        project.version()
        for _ in range(8):
            project.live(source.sent(source.take(A_DAY // 4)))
        project.known.clear()
        source.from_the_start()
    project.learn(rows(HISTORY * A_DAY, -1.0, draw), now - HISTORY * DAY, now)
    project.version()
    for _ in range(4 * fault.quiet):
        project.live(rows(A_DAY // 4, -1.0, draw))
    return project.clock.now()


def _strike(project: Project, table: Table, fault: Fault) -> None:
    project.told.heard.clear()
    if fault.name == "a bad release":
        name, factor, offset = table.unit
        wrong = table.emptied

        def skewed(columns: dict[str, Any]) -> dict[str, Any]:
            of = columns[wrong]
            return {
                **columns,
                name: columns[name] * factor + offset,
                wrong: np.full_like(of, "" if of.dtype == object else np.nan),
            }

        project.broken_in = skewed
    fault.strike(project)


def _look_often(project: Project) -> None:
    """As a controller does: every second or so, and not four times a day."""
    for _ in range(40):
        project.clock.sleep(timedelta(seconds=60))
        project.engine.tick()


def _acknowledged(project: Project) -> None:
    """A person has seen what was found before."""
    for row in findings.rows(project.world, open_only=True):
        findings.acknowledge(project.world, str(row.finding.number), "user:bench", "seen", as_normal=False)
    project.tick()


def _outcome(project: Project, of: tuple[str, int, Fault], begun: datetime, attained: float | None) -> Outcome:
    table, start, fault = of
    told = _diagnosed(project, begun)
    acts = [
        (made.now, action.kind, str(action.arguments.get("policy", "")))
        for made in recorded(project.world) if made.room == "autopilot" and made.now >= begun for action in made.plan.actions if action.kind != "nothing"
    ]  # fmt: skip
    first_act = min((at for at, _, _ in acts), default=None)
    chosen = next((each for at, each in reversed(told) if first_act is None or at <= first_act), told[-1][1] if told else None)
    same = [at for at, each in told if chosen is not None and each.kind is chosen.kind]
    harmed, repaired = _repaired(project, begun, attained, harmful=fault.kind is not IncidentKind.INFRASTRUCTURE)
    return Outcome(
        table=table, start=start, fault=fault.name, kind=fault.kind, told=None if chosen is None else chosen.kind,
        score=0.0 if chosen is None else chosen.score, first_told_days=None if not same else (same[0] - begun) / DAY,
        since_within=None if chosen is None or chosen.between is None else chosen.between[0] - DAY <= begun <= chosen.between[1] + DAY,
        actions=tuple(f"{kind} {(at - begun) / DAY:.1f}d" for at, kind, _ in acts),
        faulty_rows_trained=sum(faulty for at, _, faulty in project.trained if at > begun), repaired_days=repaired, harmed=harmed,
        words="" if chosen is None else chosen.words,
    )  # fmt: skip


def _diagnosed(project: Project, begun: datetime) -> list[tuple[datetime, Diagnosis]]:
    """Of the first incident of which a finding came after the fault."""
    every: list[Incident] = [*incidents.rows(project.world, open_only=False)]
    after = {each.number for each in project.world.all("finding", findings.Finding) if each.window_end > begun}
    mine = next((each.number for each in every if after & {*each.findings}), None)
    return [
        (event.at, codec.revive(event.payload["diagnosis"], Diagnosis))
        for event in project.ledger.events(kinds=("incident.diagnosed",), subject=f"incident:{mine}") if event.at > begun
    ]  # fmt: skip


def _repaired(project: Project, begun: datetime, attained: float | None, *, harmful: bool) -> tuple[bool, float | None]:
    """Whether the true loss rose, and from when on it stayed near what it was."""
    before = np.asarray([loss for at, loss in project.losses if begun - 6 * DAY <= at < begun])
    after = [(at, loss) for at, loss in project.losses if at >= begun]
    days = [after[k : k + 4] for k in range(0, len(after) - 3, 4)]
    daily = np.asarray([np.mean([loss for _, loss in day]) for day in days])
    normal, spread = before.mean(), before.std() / 2.0
    if not harmful:
        return False, None
    best = normal if attained is None else attained
    harm = float(daily[:6].max(initial=0.0)) - best
    if harm < max(0.015, 3.0 * spread):
        return False, None
    well = daily <= best + max(SETTLED_WITHIN * harm, 2.0 * spread)
    last_bad = int(np.flatnonzero(~well)[-1]) if (~well).any() else -1
    return True, float(last_bad + 1) if last_bad + 1 < len(daily) else None


def released(project: Project) -> int:
    """Releases that settled."""
    return sum(each.phase is Phase.SETTLED for each in project.world.all("release", ReleaseState))


__all__ = ["BY_ALARM", "FAULTS", "POLICIES", "STEP", "Fault", "Outcome", "Sent", "live", "released"]

"""What a person asks: how is it now, which versions are there, what was decided and why. Reads only."""

from flyball.control import bounds, capture_told, decisions, diagnoses, incidents, jobs, openings, traffic, window_words
from flyball.control.decision_reports import DecisionRow, Waiting
from flyball.control.reports import GatewayRow, SliceRow, StatusReport, VersionRow
from flyball.control.standing import standing
from flyball.control.telling_events import action_words
from flyball.control.trouble import Trouble
from flyball.control.waiting import waiting
from flyball.control.world import World
from flyball.monitoring.declared import DeclaredState
from flyball.monitoring.operations import OperationsState
from flyball.monitoring.window import of_unit
from flyball.records.decisions import Approval, Decision
from flyball.records.diagnosis import Diagnosis
from flyball.records.effects import EffectTrack
from flyball.records.findings import WindowSummary
from flyball.records.jobs import FINISHED, Job
from flyball.records.release import TERMINAL, Champion, ReleaseState
from flyball.records.routing import GatewayReport
from flyball.records.unit import Unit, Version
from flyball.spec.monitor import SliceSpec
from flyball.stats.metrics import DECIDED, HALF

WINDOWS_SHOWN = 7
STAYS_BACK = (
    "what was taken back is not released again by itself."
    " Next: change what is trained or how it is released (another train.seed in flyball.yaml is enough), then flyball run"
)


def status(world: World, *, controller_alive: bool) -> StatusReport:
    """The project now."""
    champion = world.get("champion", world.model, Champion)
    releases = [release for release in world.all("release", ReleaseState) if release.phase not in TERMINAL]
    head = world.ports.ledger.head()
    version = _version_of(world, champion.unit) if champion else None
    every_job = world.all("job", Job)
    finished = [job for job in every_job if job.status in FINISHED]
    windows = _windows(world, champion)
    known = _with_labels(world, champion, windows)
    found = standing(world, champion)
    trouble = world.get("trouble", world.model, Trouble)
    return StatusReport(
        project=world.spec.project,
        model=world.model,
        at=world.now(),
        controller_alive=controller_alive,
        ticks_failed_since=trouble.since if trouble else None,
        champion_unit=champion.unit if champion else None,
        champion_version=version,
        champion_since=champion.since if champion else None,
        release=releases[-1] if releases else None,
        next_version=openings.waits(world),
        given_up=given_up(world) if champion is None and not releases else "",
        gateways=_gateways(world),
        windows=windows,
        judged=next((window for window in reversed(known) if window.mature), None),
        findings=found,
        diagnoses=_diagnoses(world, champion),
        approvals=tuple(approval for approval in world.all("approval", Approval) if approval.answer is None),
        questions=tuple(each for questions in waiting(world).values() for each in questions if each.approval),
        jobs=(*finished[-1:], *jobs.active(world)),
        ledger_seq=head.seq,
        ledger_hash=head.hash,
        capture_lost=world.ports.capture.lost(),
        capture_damage=capture_told.damage_told(world),
        labels_astray=capture_told.labels_told(world),
        not_monitored=traffic.not_monitored(world),
        unjudged=window_words.unjudged(known, world.spec.monitor.min_rows),
        label_notes=window_words.label_notes(known, world.spec.data.label_delay),
        slices=_slices(world, champion),
        outlook=window_words.outlook(known, found),
        learning=_learning(world),
        breaker=bounds.open_breaker(world),
        autonomy=bounds.levels(world),
        stop=traffic.stop_of(world),
        effects=_effects(world),
        trouble=trouble.words if trouble else "",
    )


def _effects(world: World) -> str:
    tracks = world.all("effects", EffectTrack)
    judged, missed, worse, harmed, unforetold = (
        sum(getattr(each, name) for each in tracks) for name in ("judged", "missed", "worse", "harmed", "unforetold")
    )
    if not judged:
        return ""
    acts = f"{judged} act{'' if judged == 1 else 's'} measured"
    if not missed and not worse and not unforetold:
        return f"{acts}, all within the 95 % interval that was foretold"
    none = f", {unforetold} of which nothing was foretold" if unforetold else ""
    within = f"{judged - unforetold - missed} within the 95 % interval that was foretold"
    return f"{acts}, {within}{none}, {worse} worse than it{f' or harmful ({harmed} did harm)' if harmed else ''}"


def _diagnoses(world: World, champion: Champion | None) -> tuple[Diagnosis, ...]:
    told = diagnoses.known(world)
    found = (diagnoses.of(told, each) for each in incidents.open_now(world, champion))
    return tuple(each for each in found if each is not None)


def given_up(world: World) -> str:
    """Where nobody is champion: how the last release ended, and what comes of that; empty: there was none."""
    over = world.all("release", ReleaseState)
    if not over or over[-1].superseded:  # by the next one, which is not opened yet
        return ""
    return f"{over[-1].id} was taken back ({over[-1].reason or 'no reason is kept'}), and {STAYS_BACK}"


def _windows(world: World, champion: Champion | None) -> tuple[WindowSummary, ...]:
    if champion is None:
        return ()
    return world.last("window", of_unit(world.model, champion.unit), WindowSummary, WINDOWS_SHOWN)


def _with_labels(world: World, champion: Champion | None, shown: tuple[WindowSummary, ...]) -> tuple[WindowSummary, ...]:
    """Those that are shown, with as many before them as it takes to the newest that has its labels, or is given up: labels may take longer than all that are shown."""
    count, found = len(shown), shown
    while champion is not None and len(found) == count and not any(window.mature or window.given_up for window in found):
        count = 4 * max(count, 1)
        found = world.last("window", of_unit(world.model, champion.unit), WindowSummary, count)
    return found


def _learning(world: World) -> str:
    state = world.get("operations", world.model, OperationsState)
    return "" if state is None else state.learning


def _slices(world: World, champion: Champion | None) -> tuple[SliceRow, ...]:
    if champion is None:
        return ()
    state = world.get("declared", champion.unit, DeclaredState) or DeclaredState()
    return tuple(_slice_row(each, state) for each in world.spec.monitor.slices)


def _slice_row(declared: SliceSpec, state: DeclaredState) -> SliceRow:
    track, note = state.slices.get(declared.name), state.notes.get(declared.name, "")
    if track is None or track.where != declared.where:
        waits = note or "no mature window has been judged since it was declared"
        return SliceRow(name=declared.name, where=declared.where, rows=0, loss=None, holdout=None, note=waits)
    n = track.judged.n
    loss = round(track.judged.loss_sum / n, 6) if n else None
    return SliceRow(name=declared.name, where=declared.where, rows=n, loss=loss, holdout=track.holdout, note=note)


def _gateways(world: World) -> tuple[GatewayRow, ...]:
    table = traffic.wanted(world)
    return tuple(
        _gateway_row(report, table is not None and traffic.serves(report, table)) for report in world.ports.gateways.observe()
    )


def _gateway_row(report: GatewayReport, verified: bool) -> GatewayRow:  # noqa: FBT001 - one of the row's fields
    return GatewayRow(
        worker=report.worker, pid=report.pid, revision=report.revision, units=tuple(report.fingerprints),
        verified=verified, canary_suspended=report.canary_suspended, error=report.error,
    )  # fmt: skip


def _version_of(world: World, unit_id: str) -> int | None:
    unit = world.get("unit", unit_id, Unit)
    return unit.version if unit else None


def versions(world: World) -> tuple[VersionRow, ...]:
    """Registered versions by number."""
    champion = world.get("champion", world.model, Champion)
    releases = [release for release in world.all("release", ReleaseState) if release.phase not in TERMINAL]
    first = jobs.waits_to_be_first(world)
    coming = {*(release.challenger for release in releases if not release.superseded), *([first.id] if first else [])}
    ranked = [(ROLES.index(_role(unit, champion, coming)), unit) for unit in world.all("unit", Unit) if unit.model == world.model]
    made = {job.version: job.id for job in reversed(world.all("job", Job)) if job.version is not None}  # the first one made it
    rows = []
    for version in world.all("version", Version):
        # One version has a unit for every policy that it was registered under: the one that matters most speaks for it.
        mine = sorted(((rank, unit) for rank, unit in ranked if unit.version == version.number), key=lambda item: item[0])
        rank, unit = mine[0] if mine else (len(ROLES) - 1, None)
        rows.append(_version_row(version, unit, ROLES[rank], made.get(version.number)))
    return tuple(rows)


ROLES = ("champion", "challenger", "previous", "")
"""From what matters most."""


def _role(unit: Unit, champion: Champion | None, coming: set[str]) -> str:
    if champion is not None and champion.unit == unit.id:
        return "champion"
    if unit.id in coming:
        return "challenger"
    return "previous" if champion is not None and unit.id in champion.verified else ""


def _version_row(version: Version, unit: Unit | None, role: str, job: str | None) -> VersionRow:
    lineage = version.lineage
    metrics, note = _as_answered(version, unit)
    return VersionRow(
        number=version.number, role=role, unit=unit.id if unit else None, format=version.format.value, created_at=version.created_at,
        metrics=metrics, snapshot_rows=lineage.snapshot.rows, snapshot_until=lineage.snapshot.until, git_commit=lineage.git_commit,
        git_dirty=lineage.git_dirty, manifest_digest=version.manifest_digest, note=note, parameters=lineage.parameters,
        job=job,
    )  # fmt: skip


def _as_answered(version: Version, unit: Unit | None) -> tuple[dict[str, float], str]:
    """The holdout's metrics of what the unit answers, and what is left out: beside its windows accuracy and F1 at another threshold would be another model's."""
    answers, measured = (HALF if each is None else each for each in (unit.threshold if unit else None, version.lineage.threshold))
    left_out = sorted(DECIDED & version.metrics.keys())
    if unit is None or unit.threshold is None or answers == measured or not left_out:
        return version.metrics, ""
    metrics = {name: value for name, value in version.metrics.items() if name not in DECIDED}
    return metrics, f"{' and '.join(left_out)} were measured at the threshold {measured:g}, and it answers at {answers:g}"


def decision_rows(world: World, *, open_only: bool = False, newest: int | None = None) -> tuple[DecisionRow, ...]:
    """Oldest first. `newest`: of all that were made no more than so many of the last."""
    found = waiting(world)
    # Of what waits only those: all that was ever decided may be thousands.
    made = (
        (decisions.find(world, each) for each in sorted(found, key=lambda each: (len(each), each)))
        if open_only
        else decisions.recorded(world, newest)
    )
    return tuple(decision_row(decision, found.get(decision.id, ())) for decision in made if decision is not None)


def decision_row(decision: Decision, waits: tuple[Waiting, ...] = ()) -> DecisionRow:
    plan = decision.plan
    return DecisionRow(
        id=decision.id, at=decision.now, room=decision.room, rule=plan.rule, actions=tuple(action_words(action) for action in plan.actions),
        rationale=plan.rationale, outcome=plan.outcome.value if plan.outcome else "", open=bool(waits), waiting=waits,
    )  # fmt: skip


def first_question(world: World) -> str | None:
    """The decision that waits for a person before the first version answers anybody; None: no such one does."""
    if not is_on_its_way(world):
        return None
    waits = (each for each in world.all("approval", Approval) if each.answer is None and each.requested_by == "release")
    return next((each.decision for each in waits), None)


def is_on_its_way(world: World) -> bool:
    """A first release is under way and not seen at the gateways yet: a moment more, and there is a champion."""
    if world.get("champion", world.model, Champion) is not None:
        return False
    releases = world.all("release", ReleaseState)
    return any(release.phase not in TERMINAL for release in releases) or (bool(releases) and releases[-1].superseded)

"""Whether what is recorded and what is served hold, as far as a person who looks in passing should be told."""

import time
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import structs

from flyball.adapters import doctor
from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.adapters.room import lack_of_room
from flyball.control import queries
from flyball.control.capture_told import LabelsTold, damage_words
from flyball.control.ports import LedgerFault, Registry
from flyball.control.reports import Check, StatusReport
from flyball.control.trouble import Trouble
from flyball.control.waiting import TOKEN_OF_THEIR_OWN, waiting
from flyball.control.world import World
from flyball.errors import FlyballError, StoreUnavailable
from flyball.records import codec
from flyball.records.captured import CaptureDamage
from flyball.records.findings import WindowSummary
from flyball.records.jobs import FINISHED, Job
from flyball.records.release import Champion
from flyball.records.unit import Version
from flyball.wiring.worlds import Home

BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
T = TypeVar("T", bound=msgspec.Struct)

SERVING_SECONDS = 20.0
"""Until the champion answers after a start: the controller's start, one tick, and the loading of a model."""
LOOK_SECONDS = 0.1
SUSPICION_SECONDS = 3.0
"""A gateway that serves nothing for so long may lie before damaged bytes: they are looked at, once."""


def ledger_is_there(state_dir: Path) -> bool:
    """In whole or in part: to open one makes one. Raises StoreUnavailable when nobody can tell."""
    try:
        return any(_is_there(state_dir / name) for name in ("flyball.db", "HEAD"))
    except OSError as error:
        raise StoreUnavailable(f"{state_dir}: {error.strerror or error}", next_step="let this account look there") from error


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def ledger_faults(state_dir: Path) -> tuple[LedgerFault, ...] | None:
    """None: there is no ledger yet. Looks at its end and its newest entries only."""
    try:
        if not ledger_is_there(state_dir):
            return None
        ledger = SqliteLedger(state_dir)
    except FlyballError as error:
        return (LedgerFault("unopened", None, error.found),)
    try:
        return ledger.look()
    finally:
        ledger.close()


def ledger_trouble(state_dir: Path) -> str:
    """In a sentence; empty: it holds, as far as that is seen at a look."""
    faults = ledger_faults(state_dir)
    if not faults:
        return ""
    return f"The ledger does not hold, so nothing can be decided or written: {faults[0].words}. Next: flyball doctor"


def checks(home: Home) -> tuple[Check, ...]:
    """Of the ledger and the versions, for `flyball doctor`."""
    from flyball.control.forgetting import Horizon

    faults = ledger_faults(home.state_dir)
    if faults:
        return doctor.records(faults, (), ())
    registry = MlflowRegistry(home.state_dir, server_url=home.spec.tracking_url)
    ledger = SqliteLedger(home.state_dir) if faults is not None else None
    known = _states(ledger, "version", Version)
    jobs = _states(ledger, "job", Job)
    since = max((each.until for each in _states(ledger, "horizon", Horizon)), default=BEGINNING)
    held = sum(window.predictions for window in _states(ledger, "window", WindowSummary) if window.start >= since)
    places = [each for each in _states(ledger, "damage", CaptureDamage) if (home.state_dir / "capture" / each.segment).exists()]
    damage, labels = damage_words(places), _states(ledger, "labels_told", LabelsTold)
    if ledger is not None:
        ledger.close()
    damaged = [*_damaged(registry, known), *_strangers(home, registry, known, jobs)]
    told = doctor.captured(held, home.state_dir, home.spec.capture.keep, damage)
    return (*doctor.records(faults, [str(version.number) for version in known], damaged), told, *doctor.labels(labels))


def strangers(home: Home, world: World) -> tuple[str, ...]:
    """Versions that MLflow has and the ledger does not know, a sentence each: a ledger that was lost begins anew as if nothing had been."""
    registry = MlflowRegistry(home.state_dir, server_url=home.spec.tracking_url)
    return _strangers(home, registry, world.all("version", Version), world.all("job", Job))


def await_serving(world: World) -> str:
    """Wait until what is released answers; empty, or why it does not after 20 s."""
    began, suspected = time.monotonic(), False
    while True:
        words = _not_served(world)
        waited = time.monotonic() - began
        if not words:
            return _taken_back(world)
        asked = queries.first_question(world)
        if asked is not None:
            return f"Nothing is served yet: {asked} asks whether the first version may answer{_next(world, asked)}"
        if waited > SUSPICION_SECONDS and not suspected:
            suspected = True
            damaged = _damaged(world.ports.registry, world.all("version", Version))
            if damaged:
                return f"Nothing is served: {damaged[0]}"
        if waited > SERVING_SECONDS:
            return f"Nothing is served: {words}"
        time.sleep(LOOK_SECONDS)


def _next(world: World, asked: str) -> str:
    who = next((each.who for each in waiting(world).get(asked, ()) if each.who), "")
    if who:
        return f", and waits for {who}. Next: {TOKEN_OF_THEIR_OWN}, who answers with it"
    return f". Next: flyball approve {asked}, or flyball refuse {asked}"


def with_trouble(report: StatusReport, state_dir: Path, untold: Trouble | None, *, lives: bool) -> StatusReport:
    """The report with all that `flyball status` must not leave to be found out. `untold`: of the control process, whom the ledger fails; `lives`: whether a
    process runs the ticks."""
    untold = untold if lives else None
    words = status_trouble(
        report if untold is None else structs.replace(report, trouble=f"{untold.words} Nor can that be recorded."), state_dir
    )
    since = untold.since if untold is not None else report.ticks_failed_since
    return structs.replace(report, trouble=words, ticks_failed_since=since if lives else None)


def disk_trouble(state_dir: Path) -> str:
    """In a sentence; empty: there is room, or nobody can tell."""
    words = lack_of_room(state_dir)
    return (
        words
        and f"{words[0].upper()}{words[1:]}: answers are lost to the capture, and orders may not be taken, a rollback neither. Next: free space"
    )


def status_trouble(report: StatusReport, state_dir: Path) -> str:
    """What `flyball status` must not leave to be found out."""
    silent = [row for row in report.gateways if not row.units]
    released = report.champion_unit is not None or (report.release is not None and not report.questions)
    nothing, ledger = "", ledger_trouble(state_dir)
    if released and report.gateways and len(silent) == len(report.gateways):
        nothing = f"Nothing is served: {silent[0].error or 'no gateway has a model'}"
    elif report.given_up and not ledger:  # what helps is a run, which writes
        nothing = f"Nothing is served: {report.given_up}"
    ticks = f"The controller's ticks fail: {report.trouble}" if report.trouble else ""
    return "\n".join(words for words in (disk_trouble(state_dir), ledger, nothing, ticks) if words)


def _not_served(world: World) -> str:
    """Empty: all workers serve something, or nothing is released yet."""
    waits = queries.is_on_its_way(world)
    if not waits and world.get("champion", world.model, Champion) is None:
        return ""
    reports = world.ports.gateways.observe()
    silent = [report for report in reports if not report.fingerprints]
    if silent or not reports:
        return (silent[0].error or "it has no model") if silent else "no gateway is running"
    return "the first release has not been seen at the gateways" if waits else ""


def _taken_back(world: World) -> str:
    """Why nobody answers though a model was registered; empty: somebody does, or nothing was ever released."""
    if world.get("champion", world.model, Champion) is not None:
        return ""
    damaged, over = _damaged(world.ports.registry, world.all("version", Version)), queries.given_up(world)
    return f"Nothing is served: {damaged[0] if damaged else over}" if over else ""


def _damaged(registry: Registry, versions: tuple[Version, ...]) -> list[str]:
    found = []
    for version in versions:
        try:
            registry.fetch(version.model, version.number, version.manifest_digest)
        except FlyballError as error:
            found.append(f"version {version.number}: {error.message.rstrip('.')}")
    return found


def _strangers(home: Home, registry: MlflowRegistry, known: tuple[Version, ...], jobs: tuple[Job, ...]) -> tuple[str, ...]:
    if home.spec.tracking_url is not None or not (home.state_dir / "mlflow.db").exists():
        return ()  # a server is shared: others' versions are no fault
    numbers = {version.number for version in known}
    # Between MLflow's commit and the ledger's, a version is on its way: its job says so.
    coming = {job.run_key for job in jobs if job.status not in FINISHED}
    # One whose package was lost in between was packaged anew, and is a version of its own: the first one is nobody's.
    coming |= {version.lineage.run_key for version in known}
    try:
        there = registry.versions(home.spec.model)
    except FlyballError as error:  # a tag that somebody changed: told, with all the others
        return (error.message.rstrip("."),)
    return tuple(
        f"version {found.number} is in MLflow and not in the ledger: was flyball.db replaced or deleted?"
        for found in there
        if found.number not in numbers and found.lineage.run_key not in coming
    )


def _states(ledger: SqliteLedger | None, kind: str, record: type[T]) -> tuple[T, ...]:
    if ledger is None:
        return ()
    return tuple(codec.revive(stored.value, record) for stored in ledger.states(kind))

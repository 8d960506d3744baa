"""What of this machine and this project would keep Flyball from working: looked at, not guessed."""

import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from flyball.control.capture_told import LabelsTold, labels_words
from flyball.control.ports import LedgerFault
from flyball.control.reports import Check
from flyball.machine.token_file import read_token
from flyball.spec import ProjectSpec
from flyball.spec.fields import format_duration

LEAST_FREE_BYTES = 1 << 30
"""A gigabyte: a snapshot, a few packages and a day of capture of a middling project."""
WAL_RESET_FIXED = (3, 51, 3)
"""SQLite before it can, rarely, damage a database when several connections reset its write-ahead log at once."""
RESTORE = "keep the files as they are and restore a backup beside them (docs/operations.md)"
RESTORE_SEGMENTS = "restore those segments from a backup, or delete them: what is in none is in no window (docs/operations.md)"
RESTORE_HEAD = "restore only .flyball/HEAD, from any backup of this ledger (docs/operations.md); then `flyball verify`"
MOST_TOLD = 3
MANY = 5_000_000
"""Predictions that are worth a word."""
BYTES_EACH, SECONDS_EACH = 300, 25e-6
"""Of control's memory and of its start, for a prediction and its label (docs/operations.md)."""


def machine(state_dir: Path) -> tuple[Check, ...]:
    """Questions about the machine."""
    return (_python(), _sqlite(), _disk(state_dir), stored(state_dir), _writable(state_dir))


def project(spec: ProjectSpec, state_dir: Path, running: Callable[[], bool]) -> tuple[Check, ...]:
    """Questions about this project's doors and secrets. `running`: whether its supervisor is up."""
    return (_token(state_dir), *_other_tokens(state_dir), *_ports(spec, up=running()))


def records(faults: Sequence[LedgerFault] | None, versions: Sequence[str], damaged: Sequence[str]) -> tuple[Check, ...]:
    """Of the ledger (None: there is none yet) and of the versions' bytes, as looked at."""
    return _ledger(faults), _versions(faults, versions, damaged)


def captured(predictions: int, state_dir: Path, keep: timedelta | None, damage: str = "") -> Check:
    """`predictions`: in closed windows, as far as they are held. Tells what they cost; many are no fault. `damage`: what of the segments control could not read."""
    sizes = []
    for path in (state_dir / "capture").glob("*.seg"):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    words = f"{predictions:,} predictions are held; {len(sizes)} segments of {sum(sizes) / 1e9:.1f} GB"
    if predictions > MANY:
        bound = "capture.keep in flyball.yaml would bound it" if keep is None else f"capture.keep is {format_duration(keep)}"
        words += f". Control takes about {predictions * BYTES_EACH / 1e9:.1f} GB for them, and {predictions * SECONDS_EACH:.0f} s to start: {bound}"
    return Check(
        name="capture",
        ok=not damage,
        words=f"{damage}. {words}" if damage else words,
        next_step=RESTORE_SEGMENTS if damage else "",
    )


def labels(found: Sequence[LabelsTold]) -> tuple[Check, ...]:
    """What they came to, of each model; those that join nothing may be of rows that were asked elsewhere, and are a fault only where most of the last are."""
    told = [(each, labels_words(each)) for each in found]
    return tuple(
        Check(
            name="labels", ok=not each.mostly_unknown, words=f"{words}; of the last {each.received_lately:,} {each.unknown_lately:,} join nothing",
            next_step="send the ids that the predictions were answered with (docs/monitoring/late-labels.md)" if each.mostly_unknown else "",
        ) for each, words in told if words
    )  # fmt: skip


def stored(state_dir: Path) -> Check:
    """What trainings leave. None is a fault: snapshots are what versions are made again from, and replays what further ones find their trainings in."""
    snapshots, cache, replays = (_bytes_below(state_dir / name) / 1e9 for name in ("snapshots", "cache", "replays"))
    words = (
        f"snapshots {snapshots:.1f} GB, which grow with each training on new data and are kept; cache {cache:.1f} GB, of which old results go; "
        f"replays {replays:.1f} GB, which are kept until you delete them"
    )
    return Check(name="stored", ok=True, words=words)


def _bytes_below(root: Path) -> int:
    total = 0
    for path in root.rglob("*"):
        with suppress(OSError):  # taken away this moment
            total += path.stat().st_size if path.is_file() else 0
    return total


def _ledger(faults: Sequence[LedgerFault] | None) -> Check:
    if faults is None:
        return Check(name="ledger", ok="skipped", words="nothing is recorded yet")
    if faults:
        words = "; ".join(f"{fault.kind}: {fault.words}" for fault in faults[:MOST_TOLD])
        step = RESTORE_HEAD if all(fault.kind == "head" for fault in faults) else RESTORE
        return Check(name="ledger", ok=False, words=f"{words}: nothing can be written", next_step=step)
    return Check(name="ledger", ok=True, words="its end and its newest entries hold (`flyball verify` reads all of it)")


def _versions(faults: Sequence[LedgerFault] | None, versions: Sequence[str], damaged: Sequence[str]) -> Check:
    if damaged:
        words = "; ".join(damaged[:MOST_TOLD])
        return Check(name="versions", ok=False, words=words, next_step="" if "Next: " in words else RESTORE)
    if faults:
        return Check(name="versions", ok="skipped", words="not looked at: the ledger says which there are, and it does not hold")
    if not versions:
        return Check(name="versions", ok="skipped", words="no version is registered yet")
    return Check(name="versions", ok=True, words=f"every byte of {len(versions)} is as it was registered")


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Check(name="python", ok=good, words=f"Python {found}", next_step="" if good else "use Python 3.11 or newer")


def _sqlite() -> Check:
    """A warning, not a refusal: Flyball has one writer and one checkpointer per database, which the fault does not meet."""
    fixed = sqlite3.sqlite_version_info >= WAL_RESET_FIXED
    words = f"SQLite {sqlite3.sqlite_version}"
    if not fixed:
        words += ": has the WAL-reset fault; Flyball writes through one connection at a time, so keep other programs from writing to .flyball/flyball.db"
    return Check(name="sqlite", ok=True, words=words)


def _disk(state_dir: Path) -> Check:
    free = shutil.disk_usage(_existing(state_dir)).free
    good = free >= LEAST_FREE_BYTES
    words = f"{free / 1e9:.1f} GB free at {state_dir}"
    return Check(
        name="disk", ok=good, words=words, next_step="" if good else f"free {(LEAST_FREE_BYTES - free) / 1e9:.1f} GB more"
    )


def _writable(state_dir: Path) -> Check:
    place = _existing(state_dir)
    try:
        # Under no name of ours: a project that comes from elsewhere may hold a link of that name, and what it leads to would be emptied.
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check(name="writable", ok=False, words=f"{place}: {error.strerror}", next_step="let this account write there")
    return Check(name="writable", ok=True, words=f"{place} can be written")


def _token(state_dir: Path) -> Check:
    path = state_dir / "token"
    try:
        wrong, next_step = _wrong_with(path)
    except FileNotFoundError:
        return Check(name="token", ok="skipped", words="no token yet: the first `flyball up` makes one")
    helps = next_step or "delete it and start again: a new token is made"
    words = f"{path} {wrong or 'is for this account alone'}"
    return Check(name="token", ok=not wrong, words=words, next_step=helps if wrong else "")


def _other_tokens(state_dir: Path) -> tuple[Check, ...]:
    """Only what keeps one from counting is told."""
    found = []
    for path in sorted(state_dir.glob("token.*")):
        with suppress(FileNotFoundError):  # taken away this moment
            wrong, next_step = _wrong_with(path)
            if wrong:
                words = f"{path} {wrong}: neither the control process nor a gateway takes it"
                found.append(
                    Check(name=path.name, ok=False, words=words, next_step=f"replace it{next_step and f', then {next_step}'}")
                )
    return tuple(found)


def _wrong_with(path: Path) -> tuple[str, str]:
    """(what keeps a token from counting, what helps); empty: nothing. Raises FileNotFoundError."""
    try:
        found = read_token(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        return f"cannot be read: {error.strerror}", "let this account read it"
    return found.wrong, f"chmod 600 {path}" if found.exposed else ""


def _ports(spec: ProjectSpec, *, up: bool) -> tuple[Check, ...]:
    if up:
        return (Check(name="ports", ok=True, words="this project is up and holds its ports"),)
    ports = [
        _port("gateway port", spec.serve.host, spec.serve.port, "serve.port"),
        _port("control port", "127.0.0.1", spec.serve.control_port, "serve.control_port"),
    ]
    if spec.serve.grpc_port is not None:
        ports.append(_port("gRPC port", spec.serve.host, spec.serve.grpc_port, "serve.grpc_port"))
    return tuple(ports)


def _port(name: str, host: str, port: int, key: str) -> Check:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Check(
                name=name,
                ok=False,
                words=f"{host}:{port}: {error.strerror}",
                next_step=f"end who holds it, or set {key} in flyball.yaml",
            )
    return Check(name=name, ok=True, words=f"{host}:{port} is free")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path

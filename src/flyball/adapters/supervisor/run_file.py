"""`DIR/run/supervisor.json`: who supervises, what runs, and how to end it from another terminal."""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from flyball.adapters.durable import opened_if_there, place_of, replace_file, was_written_in
from flyball.adapters.known_process import KnownProcess
from flyball.adapters.supervisor.child import kill_family
from flyball.errors import Conflict, OperatorError, StoreUnavailable
from flyball.records import codec

LEFTOVER_SECONDS = 5.0
"""The kernel ends a killed process within milliseconds; one that waits for a broken disk takes longer."""
END_SECONDS = 45.0
"""Longer than the gateways take to answer what they have accepted (30 s)."""


HOLD_SECONDS = 0.2
"""Whoever asks who supervises (`flyball down`) shares the lock for microseconds, which must not look like another supervisor; one that ends is awaited by nobody."""


class RunFile(KnownProcess, frozen=True, kw_only=True):
    """The supervisor, and what it says of itself."""

    gateway_url: str
    control_url: str | None
    """None: no control process is supervised."""
    grpc_target: str | None = None
    """HOST:PORT; None: no gRPC."""
    children: dict[str, KnownProcess] = {}
    failing: tuple[str, ...] = ()
    """Children whose budget of restarts is spent."""
    workers: int = 0
    """Gateway workers that are to run, also while one of them is not there: a scrape tells it as down. 0: an earlier release's, which did not say."""
    device: int | None = None
    inode: int | None = None
    """Of the directory in which it was written: in a copy of a project it speaks of the original's processes. None: an earlier release's."""


def read(state_dir: Path) -> RunFile | None:
    """What the last supervisor of this very directory wrote, alive or not. Raises StoreUnavailable when nobody can tell whether one did."""
    path = _path(state_dir)
    try:
        found = codec.decode(path.read_bytes(), RunFile)
        return found if was_written_in(path.parent, found.device, found.inode) else None
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: {error.strerror or error}", next_step="try as the account that started the project, or mend the disk"
        ) from error


def write(state_dir: Path, run: RunFile) -> None:
    """Raises StoreUnavailable."""
    path = _path(state_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        device, inode = place_of(path.parent)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}", next_step="mend the disk, then try again") from error
    replace_file(path, codec.encode(msgspec.structs.replace(run, device=device, inode=inode)))


def forget(state_dir: Path) -> None:
    """When all has ended. A killed worker leaves its card; without this it would be missed for ever."""
    for card in (state_dir / "gateways").glob("*.json"):
        card.unlink(missing_ok=True)
    with suppress(OSError):  # of a process that has ended, it misleads nobody
        _path(state_dir).unlink()


def running(state_dir: Path) -> RunFile | None:
    """The supervisor that runs now; None: none does. Raises StoreUnavailable."""
    found = read(state_dir)
    return found if found is not None and found.lives else None


def stop(state_dir: Path) -> bool:
    """End the supervisor and all that it runs, and leftovers of one that was killed. False: nothing ran.

    Raises StoreUnavailable, also where a supervisor runs that cannot be told from what is written: what it runs is not forgotten then.
    """
    found = read(state_dir)
    ended = found is not None and found.lives
    if found is not None and ended:
        _signal(found.pid, signal.SIGTERM)
        if not _gone(found, END_SECONDS):
            raise StoreUnavailable(
                f"the supervisor (process {found.pid}) does not end", next_step=f"kill -9 {found.pid}, then `flyball down`"
            )
    holder = _holder(state_dir)
    if holder is not None and not ended:
        raise StoreUnavailable(
            f"process {holder} holds {_lock(state_dir)}, and {_path(state_dir)} does not tell who it is",
            next_step=f"`flyball down` again in a moment, when it has started; after that end process {holder} by hand",
        )
    if found is None or holder is not None:  # a holder now is one that has come meanwhile: what lies there is its own
        return ended
    ended = end_leftovers(found) or ended
    forget(state_dir)
    return ended


def end_leftovers(run: RunFile) -> bool:
    """Children of a supervisor that was killed would hold the port and serve on unwatched. Whether there were any. Raises StoreUnavailable."""
    left = [child for child in run.children.values() if child.lives]
    for child in left:
        with _ours(child.pid):
            kill_family(child.pid)
    # Killed is not gone: until then they hold the port that is bound next.
    pause, deadline = threading.Event(), time.monotonic() + LEFTOVER_SECONDS
    while any(child.lives for child in left) and time.monotonic() < deadline:
        pause.wait(0.02)
    return bool(left)


def hold(state_dir: Path) -> int:
    """The descriptor of the lock that only one supervisor of a project has. Raises Conflict when another one runs."""
    path = _lock(state_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror or error}") from error
    if not _locked(descriptor):
        os.close(descriptor)
        found = read(state_dir)
        who = f"process {found.pid}, {found.gateway_url}" if found else "it is just starting"
        raise Conflict(
            f"{state_dir} has its supervisor already ({who})",
            next_step="end it: `flyball down` in a project, kill its process elsewhere",
        )
    with suppress(OSError):  # only words for who meets it: a full disk keeps nobody from serving
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _locked(descriptor: int) -> bool:
    pause, deadline = threading.Event(), time.monotonic() + HOLD_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            pause.wait(0.01)
        else:
            return True


def _holder(state_dir: Path) -> str | None:
    """The number of the process that supervises, as far as it is known; None: nobody does. Raises StoreUnavailable."""
    descriptor = opened_if_there(_lock(state_dir), os.O_RDONLY)
    if descriptor is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        found = read(state_dir)
        told = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        return told or (str(found.pid) if found is not None else "?")
    finally:
        os.close(descriptor)
    return None


@contextmanager
def _ours(pid: int) -> Iterator[None]:
    """Around a signal to a process. Raises StoreUnavailable where it is another account's."""
    try:
        yield
    except PermissionError as error:
        raise StoreUnavailable(
            f"process {pid} is another account's, and this one may not end it",
            next_step="`flyball down` as the account that started it",
        ) from error


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError), _ours(pid):
        os.kill(pid, number)


def _gone(run: RunFile, seconds: float) -> bool:
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while run.lives:
        if time.monotonic() > deadline:
            return False
        pause.wait(0.05)
    return True


def _path(state_dir: Path) -> Path:
    return state_dir / "run" / "supervisor.json"


def _lock(state_dir: Path) -> Path:
    return state_dir / "run" / "supervisor.lock"

"""One process runs the ticks of a project: a lock that the kernel frees when its holder dies."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from flyball.adapters.durable import opened_if_there
from flyball.errors import EngineBusy, StoreUnavailable

PID_BYTES = 32
"""Of the file, where the process stands; behind them, for what it holds the lock."""
OWNER_BYTES = 64


def engine_is_held(state_dir: Path) -> bool:
    """Whether a process runs the ticks now. Raises StoreUnavailable when nobody can tell."""
    return engine_owner(state_dir) is not None


def engine_owner(state_dir: Path) -> str | None:
    """For what the process that runs the ticks now holds the lock (empty: it did not say); None: nobody holds it.

    The lock is only touched when the process that took it last still lives: a look must not keep one out. Raises StoreUnavailable when nobody can tell."""
    descriptor = opened_if_there(state_dir / "engine.lock", os.O_RDWR)
    if descriptor is None:
        return None
    try:
        if not _lives(os.pread(descriptor, PID_BYTES, 0)):
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, OWNER_BYTES, PID_BYTES).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
    return None


def _lives(holder: bytes) -> bool:
    try:
        os.kill(int(holder), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


class EngineLock:
    """`with EngineLock(DIR):` raises EngineBusy naming the process that holds it. The file stays: deleting it would let two hold "the" lock."""

    def __init__(self, state_dir: Path, owner: str = "", *, replays: bool = False) -> None:
        """`owner`: what whoever meets the lock is told that it is held for. `replays`: of a project's replays, which `flyball down` does not end."""
        self._path = state_dir / "engine.lock"
        self._owner = owner
        self._replays = replays
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises EngineBusy, StoreUnavailable."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error.strerror or error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, PID_BYTES, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise self._busy(holder) from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}".ljust(PID_BYTES).encode() + self._owner.encode()[:OWNER_BYTES], 0)
        except OSError as error:
            os.close(descriptor)
            raise StoreUnavailable(
                f"{self._path}: {error.strerror or error}", next_step="mend the disk, then try again"
            ) from error
        self._descriptor = descriptor

    def _busy(self, holder: str) -> EngineBusy:
        if self._replays:
            return EngineBusy(
                f"process {holder} replays this project already",
                next_step=f"wait for it, or end process {holder}; the same command goes on where it was",
            )
        return EngineBusy(
            f"process {holder} runs the ticks of this project already", next_step="use it, or end it with `flyball down`"
        )

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

"""The ledger's head outside the database: two fixed slots, written in turn."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flyball.adapters.two_slots import Newest, TwoSlots
from flyball.errors import LedgerDamaged, StoreUnavailable
from flyball.records.events import GENESIS, Head

SLOT_BYTES = 4096
"""One sector of the largest kind in use: a torn write spoils only the slot that it writes, and that is never the newest one."""
LOCK_SECONDS = 20.0
"""A writer holds the lock for milliseconds; who waits this long waits for a stopped process."""
RESTORE = "restore only HEAD, from any backup of this ledger: it may be older than the database; then `flyball verify`"
_FIRST_WAIT, _LONGEST_WAIT = 0.0002, 0.004


class HeadFile:
    """(seq, hash) of the last commit: `{"hash":…,"seq":…} crc32`.

    One `pwrite` and one `fdatasync` in place of write, fsync, rename, fsync of the directory.
    A ledger ahead of its head is normal after a crash, so losing the newest slot is, too.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Not `durable`: a head outlives a killed process, and not a power cut."""
        self._path = path
        self._durable = durable
        self._threads = threading.Lock()
        self._slots = TwoSlots(path, SLOT_BYTES, Head, "seq")

    def create(self) -> None:
        """Lay down a head of nothing, durably, before the first entry is committed. Raises StoreUnavailable."""
        with _speaking(self._path):
            temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
            temporary.write_bytes(self._slots.image(Head(0, GENESIS)))
            _sync(temporary)
            try:
                os.link(temporary, self._path)
            except FileExistsError:
                pass  # another process came first: its head counts
            finally:
                temporary.unlink()
            _sync(self._path.parent)

    def read(self) -> Head:
        """Raises LedgerDamaged when the file is missing or neither slot is whole, StoreUnavailable when it cannot be read."""
        with _speaking(self._path):
            try:
                return self._newest().record
            except FileNotFoundError:
                raise LedgerDamaged(f"the ledger's head file {self._path} is missing", next_step=RESTORE) from None

    def is_whole(self) -> bool:
        """Whether `read` has an answer. Raises StoreUnavailable."""
        try:
            self.read()
        except LedgerDamaged:
            return False
        return True

    def write(self, head: Head) -> None:
        """Move forward to `head`, durably; a head that is not ahead is left alone. Only inside `locked()`."""
        with _speaking(self._path):
            present, slot = self._newest()
            if head.seq > present.seq:
                self._slots.write(head, 1 - slot, durable=self._durable)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time, of all threads and processes. Raises StoreUnavailable after 20 s."""
        if not self._threads.acquire(timeout=LOCK_SECONDS):
            raise StoreUnavailable(f"{self._path}: another thread has been writing for {LOCK_SECONDS:g} s")
        try:
            with _speaking(self._path):
                descriptor = self._slots.descriptor()
                self._wait_for(descriptor)
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        self._slots.close()

    def _wait_for(self, descriptor: int) -> None:
        # Polled, because a blocking flock has no time-out and a stopped process may hold it for ever.
        pause, wait, deadline = threading.Event(), _FIRST_WAIT, time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnavailable(
                        f"{self._path}: another process has been writing for {LOCK_SECONDS:g} s",
                        next_step="look for a stopped flyball process",
                    ) from None
                pause.wait(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                return

    def _newest(self) -> Newest[Head]:
        found = self._slots.newest()
        if found is None:
            raise LedgerDamaged("the ledger's head file is unreadable: neither of its two slots is whole", next_step=RESTORE)
        return found


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _speaking(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise LedgerDamaged(f"the ledger's head file {path} is missing", next_step=RESTORE) from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}", next_step="mend the disk, then try again") from error

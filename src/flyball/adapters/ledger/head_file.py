"""The ledger's head outside the database: two fixed slots, written in turn."""

import fcntl
import os
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flyball.errors import LedgerDamaged, StoreUnavailable
from flyball.records import codec
from flyball.records.events import GENESIS, Head

SLOT_BYTES = 4096
"""One sector of the largest kind in use: a torn write spoils only the slot that it writes, and that is never the newest one."""
LOCK_SECONDS = 20.0
"""A writer holds the lock for milliseconds; who waits this long waits for a stopped process."""
_FIRST_WAIT, _LONGEST_WAIT = 0.0002, 0.004


class HeadFile:
    """(seq, hash) of the last commit. A slot is `{"hash":…,"seq":…} crc32` and blanks up to 4096 bytes; the valid one with the larger seq counts.

    One `pwrite` and one `fdatasync` in place of write, fsync, rename, fsync of the directory: the file never grows, so no metadata change, and the older
    slot stays whole whatever happens to the write. A ledger ahead of its head is normal after a crash, so losing the newest slot is, too.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Not `durable`: a head outlives a killed process, and not a power cut."""
        self._path = path
        self._durable = durable
        self._threads = threading.Lock()
        self._fd = -1

    def create(self) -> None:
        """Lay down a head of nothing, durably, before the first entry is committed. Raises StoreUnavailable."""
        with _speaking(self._path):
            temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
            temporary.write_bytes(_slot(Head(0, GENESIS)) * 2)
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
                return _newest(self._slots())[1]
            except FileNotFoundError:
                raise LedgerDamaged(f"the ledger's head file {self._path} is missing") from None

    def write(self, head: Head) -> None:
        """Move forward to `head`, durably; a head that is not ahead is left alone. Only inside `locked()`."""
        with _speaking(self._path):
            slots = self._slots()
            newest, present = _newest(slots)
            if head.seq <= present.seq:
                return
            data, offset = _slot(head), (1 - newest) * SLOT_BYTES
            if os.pwrite(self._descriptor(), data, offset) != len(data):
                raise StoreUnavailable(f"{self._path}: the head was written in part", next_step="free space on the disk")
            if self._durable:
                os.fdatasync(self._descriptor())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time, of all threads and processes. Raises StoreUnavailable after 20 s."""
        if not self._threads.acquire(timeout=LOCK_SECONDS):
            raise StoreUnavailable(f"{self._path}: another thread has been writing for {LOCK_SECONDS:g} s")
        try:
            with _speaking(self._path):
                descriptor = self._descriptor()
                self._wait_for(descriptor)
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

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

    def _slots(self) -> tuple[bytes, bytes]:
        data = os.pread(self._descriptor(), 2 * SLOT_BYTES, 0)
        return data[:SLOT_BYTES], data[SLOT_BYTES:]

    def _descriptor(self) -> int:
        # A file that was put in place of ours (a restored backup) must be the one that is read.
        if self._fd >= 0 and _is_other(self._fd, self._path):
            self.close()
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        return self._fd


def _is_other(descriptor: int, path: Path) -> bool:
    mine, there = os.fstat(descriptor), path.stat()
    return (mine.st_ino, mine.st_dev) != (there.st_ino, there.st_dev)


def _slot(head: Head) -> bytes:
    body = codec.encode(head)
    return (body + b" %08x" % zlib.crc32(body)).ljust(SLOT_BYTES - 1) + b"\n"


def _newest(slots: tuple[bytes, bytes]) -> tuple[int, Head]:
    whole = [(number, head) for number, head in enumerate(map(_head_in, slots)) if head is not None]
    if not whole:
        raise LedgerDamaged("the ledger's head file is unreadable: neither of its two slots is whole")
    return max(whole, key=lambda pair: pair[1].seq)


def _head_in(slot: bytes) -> Head | None:
    body, _, check = slot.rstrip().rpartition(b" ")
    if check != b"%08x" % zlib.crc32(body):
        return None
    try:
        return codec.decode(body, Head)
    except ValueError:
        return None


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
        raise LedgerDamaged(f"the ledger's head file {path} is missing") from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}", next_step="mend the disk, then try again") from error

"""A small record that is replaced in place: a file of two fixed slots, written in turn, so that the one before outlives a torn write."""

import os
import zlib
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from flyball.errors import StoreUnavailable
from flyball.records import codec

T = TypeVar("T", bound=msgspec.Struct)


class Newest(NamedTuple, Generic[T]):
    record: T
    slot: int
    """0 or 1: the next record goes into the other."""


class TwoSlots(Generic[T]):
    """A slot is the record as JSON, a blank, its CRC-32 in hexadecimal, blanks, and a newline at its end; the whole one with the larger number counts.

    One `pwrite` in place of write, rename and a change of the directory: the file never grows. OSErrors are the owner's to translate; not thread safe.
    """

    def __init__(self, path: Path, slot_bytes: int, record: type[T], number: str) -> None:
        """`number`: the record's field that rises with every write."""
        self._path = path
        self._slot_bytes = slot_bytes
        self._record = record
        self._number = number
        self._fd = -1

    def image(self, record: T) -> bytes:
        """Of a whole file with this record in both slots."""
        return self._slot(record) * 2

    def newest(self) -> Newest[T] | None:
        """None: neither slot is whole. Raises FileNotFoundError."""
        data = os.pread(self.descriptor(), 2 * self._slot_bytes, 0)
        slots = (data[: self._slot_bytes], data[self._slot_bytes :])
        whole = [Newest(record, slot) for slot, each in enumerate(slots) if (record := self._read(each)) is not None]
        return max(whole, key=lambda found: int(getattr(found.record, self._number)), default=None)

    def write(self, record: T, slot: int, *, durable: bool) -> None:
        """Raises StoreUnavailable when it does not fit, or was written in part: the other slot still stands. Not `durable`: outlives a killed process alone."""
        data = self._slot(record)
        written = os.pwrite(self.descriptor(), data, slot * self._slot_bytes)
        if written != len(data):
            raise StoreUnavailable(
                f"{self._path}: {written} of {len(data)} bytes were written", next_step="free space on the disk, then try again"
            )
        if durable:
            os.fdatasync(self.descriptor())

    def descriptor(self) -> int:
        """Of the file that has the path now: a restored backup that was put in place of ours must be the one that counts."""
        if self._fd >= 0 and _is_other(self._fd, self._path):
            self.close()
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _slot(self, record: T) -> bytes:
        body = codec.encode(record)
        data = body + b" %08x" % zlib.crc32(body)
        if len(data) >= self._slot_bytes:
            raise StoreUnavailable(
                f"{self._path}: a record of {len(data)} bytes", expected=f"fewer than {self._slot_bytes}, the size of a slot"
            )
        return data.ljust(self._slot_bytes - 1) + b"\n"

    def _read(self, slot: bytes) -> T | None:
        body, _, check = slot.rstrip().rpartition(b" ")
        if check != b"%08x" % zlib.crc32(body):
            return None
        try:
            return codec.decode(body, self._record)
        except ValueError:
            return None


def _is_other(descriptor: int, path: Path) -> bool:
    mine, there = os.fstat(descriptor), path.stat()
    return (mine.st_ino, mine.st_dev) != (there.st_ino, there.st_dev)

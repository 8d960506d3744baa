"""Hands records to the kernel before their answer leaves.

One `write` a request: what it took survives a `kill -9` of this process. It does not survive a power cut until the next fsync, which
comes every second and when a segment is ended. A failing disk never costs an answer: what was not taken is counted exactly.
"""

import contextlib
import fcntl
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Protocol

import msgspec

from flyball.capture.framing import MAGIC, frame
from flyball.records.captured import Captured, FailureBatch, PredictionBatch, RefusalBatch

SEGMENT_BYTES = 64 * 1024 * 1024
"""Small enough to be read and archived in one piece, large enough that a busy worker starts one a minute, not one a second."""

SEGMENT_SECONDS = 6 * 3600.0
"""A segment that is not full is ended after this: where little is asked it would hold months, and could not be removed before the last of them is old. Four a
day are few enough to be looked at every second."""

DOUBTFUL_SECONDS = 60.0
"""And after this where the disk did not take what was written: it says so once, and what follows would lie behind a hole. A disk that always fails gets a file a
minute, not one a second."""

PAUSE_SECONDS = 0.25
"""After a failure the next segment is tried this much later: a full disk must not be asked at every request."""

TIMELESS_US = 1_000
"""A call of any model, on a simulated clock. Not 0: ratios of latencies stay defined."""


class Sink(Protocol):
    """Where records go. Used from the event loop only."""

    lost_records: int
    lost_rows: int
    failed_syncs: int
    records: int
    bytes: int

    def hand_over(self, records: Sequence[Captured]) -> bool:
        """True: all of them are kept. False: those that are not were counted as lost."""
        ...

    def pending_sync(self) -> Callable[[], None] | None:
        """What brings all that was handed over so far to the disk (slow: run it in a thread); None: nothing is pending."""
        ...

    def close(self) -> None: ...


class NoCapture:
    """Keeps nothing and loses nothing: somebody chose that (`--no-capture`)."""

    lost_records = lost_rows = failed_syncs = records = bytes = 0

    def hand_over(self, records: Sequence[Captured]) -> bool:  # noqa: ARG002
        return True

    def pending_sync(self) -> None:
        return None

    def close(self) -> None: ...


class CaptureWriter:
    """The segments of one worker. Used from the event loop only."""

    def __init__(
        self,
        directory: Path,
        worker: str,
        now_us: Callable[[], int],
        segment_bytes: int = SEGMENT_BYTES,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        """`now_us`: names segments. `elapsed`: seconds that no setting of a clock changes."""
        self._directory = directory
        self._worker = worker
        self._elapsed = elapsed
        self._segment_bytes = segment_bytes
        self._started_us = now_us()
        self._number = 0
        self._descriptor: int | None = None
        self._size = 0
        self._opened = 0.0
        self._retry = 0.0
        self._dirty = False
        self._full: list[int] = []
        """Descriptors of ended segments that still wait for their fsync."""
        self._refusals: list[str] = []
        """What the disk said to fsyncs, which another thread asked it for, until it is noted."""
        self._doubtful = False
        """Whether that was said since the segment was opened."""
        self._encode = msgspec.msgpack.Encoder().encode
        self.records = 0
        self.lost_records = 0
        self.lost_rows = 0
        self.failed_syncs = 0
        self.bytes = 0
        self.last_error = ""

    def hand_over(self, records: Sequence[Captured]) -> bool:
        """One write for all of them: the kernel has them, or they are counted as lost."""
        frames = [frame(self._encode(record)) for record in records]
        if not self._ready():
            self._lose(records, self.last_error)
            return False
        data = b"".join(frames)
        written = self._write(data)
        if written == len(data):
            self.records += len(records)
            if self._size >= self._segment_bytes:
                self._end_segment()
            return True
        kept = _complete(frames, written)
        self.records += kept
        self._lose(records[kept:], self.last_error or f"the kernel took {written} of {len(data)} bytes")
        self._abandon()
        return False

    def pending_sync(self) -> Callable[[], None] | None:
        self._note_refusals()
        limit = DOUBTFUL_SECONDS if self._doubtful else SEGMENT_SECONDS
        if self._descriptor is not None and self._elapsed() - self._opened >= limit:
            self._end_segment()
        full, self._full = self._full, []
        if self._dirty and self._descriptor is not None:
            with contextlib.suppress(OSError):  # clients hold every descriptor there is: the next look tries again
                full.append(os.dup(self._descriptor))  # a duplicate: this segment may be ended meanwhile
                self._dirty = False
        return functools.partial(_sync_and_close, full, self._refusals) if full else None

    def close(self) -> None:
        """Bring everything to the disk and end the segment."""
        self._end_segment()
        sync = self.pending_sync()
        if sync:
            sync()
        self._note_refusals()

    def _note_refusals(self) -> None:
        while self._refusals:
            self.last_error = self._refusals.pop()
            self.failed_syncs += 1
            self._doubtful = True

    def _ready(self) -> bool:
        """Whether a segment is open, opening one if it is time."""
        if self._descriptor is not None:
            return True
        if self._elapsed() < self._retry:
            return False
        self._number += 1
        path = self._directory / f"{self._worker}-{self._started_us}-{self._number:06d}.seg"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as failed:
            self._failed(f"{path.name}: {failed.strerror}")
            return False
        # Who removes old segments sees that this one is written to, however long nothing comes.
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        self._size, self._opened, self._doubtful = 0, self._elapsed(), False
        if self._write(MAGIC) != len(MAGIC):
            self._abandon()
            path.unlink(missing_ok=True)
            return False
        return True

    def _write(self, data: bytes) -> int:
        """Bytes that the kernel took: fewer than asked is an answer too, not an exception."""
        if self._descriptor is None:
            return 0
        try:
            written = os.write(self._descriptor, data)
        except OSError as failed:
            self._failed(f"write: {failed.strerror}")
            return 0
        self._size += written
        self.bytes += written
        self._dirty = True
        return written

    def _end_segment(self) -> None:
        if self._descriptor is not None:
            self._full.append(self._descriptor)
            self._descriptor = None

    def _abandon(self) -> None:
        """After a failure: a torn frame may stand at the end, so nothing may follow it in this segment."""
        self._failed(self.last_error or "short write")
        self._end_segment()

    def _failed(self, words: str) -> None:
        self.last_error = words
        self._retry = self._elapsed() + PAUSE_SECONDS

    def _lose(self, records: Sequence[Captured], words: str) -> None:
        self.last_error = words
        self.lost_records += len(records)
        self.lost_rows += sum(map(_rows_of, records))


class TimelessWriter(CaptureWriter):
    """Of a worker on a simulated clock, where no time passes while a model answers: what this machine needs for it says nothing of then, and would let
    the same history be told in other words each time."""

    def hand_over(self, records: Sequence[Captured]) -> bool:
        return super().hand_over(
            [
                msgspec.structs.replace(record, latency_us=TIMELESS_US) if isinstance(record, PredictionBatch) else record
                for record in records
            ]
        )


def _rows_of(record: Captured) -> int:
    if isinstance(record, RefusalBatch):
        return sum(each.rows for each in record.refused)
    return record.n if isinstance(record, FailureBatch) else len(record.ids)


def _complete(frames: Sequence[bytes], written: int) -> int:
    """How many of the frames lie wholly within the first `written` bytes."""
    count = 0
    for each in frames:
        written -= len(each)
        if written < 0:
            break
        count += 1
    return count


def _sync_and_close(descriptors: Sequence[int], refusals: list[str]) -> None:
    """`refusals`: gets what the disk says. It says so once: asked again it would answer that all is well."""
    for descriptor in descriptors:
        for step in (os.fsync, os.close):
            try:
                step(descriptor)
            except OSError as failed:
                refusals.append(f"{step.__name__}: {failed.strerror}")

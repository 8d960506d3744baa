"""Reads the segments that gateways wrote."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import msgspec

from flyball.adapters.capture_removal import newest_us, remove_unwritten
from flyball.capture.framing import HEADER_BYTES, MAGIC, frame_bytes, unframe
from flyball.control.ports import Portion
from flyball.errors import StoreUnavailable
from flyball.records.captured import Captured, CaptureDamage, RemovedSegments
from flyball.records.routing import GatewayReport

CHUNK_BYTES = 4 * 1024 * 1024
"""Read at once of one segment, unless a single frame is longer."""
READ_BYTES = 4 * 1024 * 1024
"""Read by one call over all segments: what is left comes with the next call, so memory is bounded however far behind the reader is. Small records take
fourteen times their bytes while they are decoded; with 64 MiB a start took 800 MB more than what it then held."""


class CaptureFiles:
    """`DIR/capture/*.seg`. A cursor's entry is the offset of the first byte that was not read. A damaged frame is passed over, with all behind it (and
    the entry is the segment's size) unless lengths lead to a whole one. `damaged()` lists what this reader came to."""

    def __init__(
        self,
        state_dir: Path,
        reports: Callable[[], Iterable[GatewayReport]] = tuple,
        at_once: int | None = None,
    ) -> None:
        """`reports`: what gateways said last of themselves, for `lost`. `at_once`: bytes that one call reads, about; None: READ_BYTES."""
        self._at_once = at_once
        self._directory = state_dir / "capture"
        self._reports = reports
        self._decoder = msgspec.msgpack.Decoder(Captured)
        self._damaged: dict[tuple[str, int], CaptureDamage] = {}
        self._refused: dict[str, CaptureDamage] = {}
        """Segments that could not be opened or read when they were tried last."""
        self._lost: dict[tuple[str, int], int] = {}

    def read(self, cursor: Mapping[str, int], since_us: int = 0) -> Portion:
        found = _Found()
        unread: list[tuple[str, str]] = []
        following, budget = dict(cursor), self._at_once or READ_BYTES
        paths = self._listed()
        found.ended.update(_followed(paths))
        for path in paths:
            if budget <= 0:
                break
            start = size = following.get(path.name, 0)
            try:
                status = path.stat()
                size = status.st_size
                if start < size and (start or newest_us(status) >= since_us):
                    end, trouble = self._segment(path, start, min(size, start + budget), found)
                    budget -= end - start
                    start = following[path.name] = end
                    if trouble is not None:
                        raise trouble
                    self._refused.pop(path.name, None)
            except FileNotFoundError:  # it was old, and removed since it was listed
                self._refused.pop(path.name, None)
            except OSError as error:
                self._refused[path.name] = CaptureDamage(segment=path.name, offset=start, bytes=size - start)
                unread.append((path.name, error.strerror or type(error).__name__))
        damaged = tuple(each for each in found.damaged if (each.segment, each.offset) not in self._damaged)
        self._damaged.update(((each.segment, each.offset), each) for each in found.damaged)
        return Portion(tuple(found.records), following, more=budget <= 0, unread=tuple(unread), damaged=damaged)

    def segments(self) -> tuple[str, ...]:
        """Names of the segments that are there, in the order in which they are read."""
        return tuple(path.name for path in self._paths())

    def remove(self, before_us: int) -> RemovedSegments:
        try:
            return remove_unwritten(self._paths(), before_us)
        except OSError as error:
            raise StoreUnavailable(
                f"old segments cannot be removed: {error.filename or self._directory}: {error.strerror or error}",
                next_step="let this account delete in capture/, or leave capture.keep out",
            ) from error

    def lost(self) -> int:
        """The sum over workers that are known to this reader; each counts from its own start, so a restarted one is another."""
        for report in self._reports():
            if report.capture_lost:
                self._lost[report.worker, report.pid] = report.capture_lost
        return sum(self._lost.values())

    def damaged(self) -> tuple[CaptureDamage, ...]:
        """By name and place; those that may be read another time are among them."""
        return tuple(sorted([*self._damaged.values(), *self._refused.values()], key=lambda each: (each.segment, each.offset)))

    def torn(self, cursor: Mapping[str, int]) -> tuple[CaptureDamage, ...]:
        """What lies behind `cursor` in segments whose worker has gone on to another: records that a killed writer began. Their answers never left."""
        found = []
        for path in _followed(self._paths()):
            at = cursor.get(path.name, 0)
            with suppress(FileNotFoundError):
                if at < (size := path.stat().st_size):
                    found.append(CaptureDamage(segment=path.name, offset=at, bytes=size - at))
        return tuple(found)

    def _listed(self) -> list[Path]:
        try:
            return self._paths()
        except OSError as error:
            raise StoreUnavailable(f"captured records cannot be read: {error}", next_step="look at the disk") from error

    def _paths(self) -> list[Path]:
        return sorted(self._directory.glob("*.seg"), key=_order)

    def _segment(self, path: Path, start: int, until: int, found: "_Found") -> tuple[int, OSError | None]:
        """Read complete frames from `start`, at most to `until` or one frame beyond it; returns where to go on, and what kept it from reading so far. Raises
        OSError where it cannot be opened."""
        chunk = min(CHUNK_BYTES, self._at_once or CHUNK_BYTES)
        at, want = start, chunk
        with path.open("rb") as file:
            while at < until:
                try:
                    file.seek(at)
                    data = file.read(want)
                except OSError as error:
                    return at, error  # what was read counts; the next look comes to the same place
                seen = unframe(data)
                damaged = seen.damaged or _no_magic(at, data)
                at += seen.consumed
                self._decode(path.name, at, seen.payloads, found)
                if damaged:
                    begun = at
                    try:
                        at = _pass_over(path, file, at, found)
                    except OSError as error:
                        return at, error
                    if at == begun:
                        break  # what it leads to is still being written: left for later
                    continue
                if seen.consumed:
                    want = chunk
                elif len(data) < want:
                    break  # a torn tail: left for later
                else:
                    want *= 4  # one frame is longer than the chunk
        return at, None

    def _decode(self, segment: str, end: int, payloads: list[bytes], found: "_Found") -> None:
        """One that is no record costs only itself: its checksum is right, so its length is. `end`: of the last one's frame."""
        at = end - sum(HEADER_BYTES + len(payload) for payload in payloads)
        for payload in payloads:
            size = HEADER_BYTES + len(payload)
            try:
                found.records.append(self._decoder.decode(payload))
            except msgspec.DecodeError:
                found.note(segment, at, size)
            at += size


class _Found:
    """What one call came to."""

    def __init__(self) -> None:
        self.records: list[Captured] = []
        self.damaged: list[CaptureDamage] = []
        self.ended: set[Path] = set()
        """Segments whose worker has gone on to another: no more bytes are waited for."""

    def note(self, segment: str, offset: int, size: int) -> None:
        """Places without a gap are one, so that a whole segment of them is not an event for each frame."""
        last = self.damaged[-1] if self.damaged else None
        if last is not None and (last.segment, last.offset + last.bytes) == (segment, offset):
            self.damaged.pop()
            offset, size = last.offset, last.bytes + size
        self.damaged.append(CaptureDamage(segment=segment, offset=offset, bytes=size))


def _pass_over(path: Path, file: BinaryIO, offset: int, found: _Found) -> int:
    """Where to go on behind a damaged frame; `offset`: it cannot be said yet. Raises OSError."""
    size = file.seek(0, 2)
    end = behind(file, offset, size)
    if end == offset and path in found.ended:
        end = size
    if end > offset:
        found.note(path.name, offset, end - offset)
    return end


def behind(file: BinaryIO, offset: int, size: int) -> int:
    """Where the first whole frame behind a damaged one begins, as lengths lead to it; the segment's end where they lead to none: no other place is known.
    `offset` where they lead to a frame that is not all there: were the end taken, the rest of that frame would be read as damage, and all behind it."""
    if offset < len(MAGIC):
        return size
    file.seek(offset)
    length = frame_bytes(file.read(HEADER_BYTES))
    after = offset + length
    while length and after < size:
        file.seek(after)
        head = file.read(HEADER_BYTES)
        length = frame_bytes(head)
        if size - after < HEADER_BYTES or after + length > size:
            return offset
        if length and unframe(head + file.read(length - HEADER_BYTES)).payloads:
            return after
        after += length
    return size


def _followed(paths: list[Path]) -> list[Path]:
    """Segments whose worker has gone on to another."""
    return [path for path, following in pairwise(paths) if _order(path)[0] == _order(following)[0]]


def _order(path: Path) -> tuple[str, int, str]:
    """`<worker>-<started_us>-<number>.seg`: oldest first, whatever the length of the worker's name."""
    worker, _, rest = path.stem.partition("-")
    started = rest.partition("-")[0]
    return worker, int(started) if started.isdigit() else 0, path.stem


def _no_magic(at: int, data: bytes) -> bool:
    return at == 0 and len(data) >= len(MAGIC) and not data.startswith(MAGIC)

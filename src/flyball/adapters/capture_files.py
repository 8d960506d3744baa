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
    the entry is the segment's size) unless its length leads to a whole one. `damaged()` lists what this reader came to."""

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
        found: list[Captured] = []
        unread: list[tuple[str, str]] = []
        following, budget, before = dict(cursor), self._at_once or READ_BYTES, len(self._damaged)
        for path in self._listed():
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
        damaged = tuple(self._damaged.values())[before:]
        return Portion(tuple(found), following, more=budget <= 0, unread=tuple(unread), damaged=damaged)

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
        for path in self._followed():
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

    def _followed(self) -> list[Path]:
        """Segments whose worker has gone on to another."""
        return [path for path, following in pairwise(self._paths()) if _order(path)[0] == _order(following)[0]]

    def _segment(self, path: Path, start: int, until: int, found: list[Captured]) -> tuple[int, OSError | None]:
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
                whole = self._decode(seen.payloads, found)
                if seen.damaged or whole < len(seen.payloads) or _no_magic(at, data):
                    at += _length(seen.payloads[:whole], data, at)
                    try:
                        at = self._pass_over(path, file, at)
                    except OSError as error:
                        return at, error
                    continue
                at += seen.consumed
                if seen.consumed:
                    want = chunk
                elif len(data) < want:
                    break  # a torn tail: left for later
                else:
                    want *= 4  # one frame is longer than the chunk
        return at, None

    def _decode(self, payloads: list[bytes], found: list[Captured]) -> int:
        """How many could be read, from the first on."""
        for number, payload in enumerate(payloads):
            try:
                found.append(self._decoder.decode(payload))
            except msgspec.DecodeError:
                return number
        return len(payloads)

    def _pass_over(self, path: Path, file: BinaryIO, offset: int) -> int:
        """Where to go on behind a damaged frame. Raises OSError."""
        size = file.seek(0, 2)
        end = behind(file, offset, size)
        self._damaged[path.name, offset] = CaptureDamage(segment=path.name, offset=offset, bytes=end - offset)
        return end


def behind(file: BinaryIO, offset: int, size: int) -> int:
    """Where the frame behind a damaged one begins, if its length leads to one that is whole; else the segment's end: no other place is known."""
    if offset < len(MAGIC):
        return size
    file.seek(offset)
    after = offset + frame_bytes(file.read(HEADER_BYTES))
    if not offset < after < size:
        return size
    file.seek(after)
    head = file.read(HEADER_BYTES)
    rest = file.read(max(frame_bytes(head) - HEADER_BYTES, 0))
    return after if unframe(head + rest).payloads else size


def _order(path: Path) -> tuple[str, int, str]:
    """`<worker>-<started_us>-<number>.seg`: oldest first, whatever the length of the worker's name."""
    worker, _, rest = path.stem.partition("-")
    started = rest.partition("-")[0]
    return worker, int(started) if started.isdigit() else 0, path.stem


def _no_magic(at: int, data: bytes) -> bool:
    return at == 0 and len(data) >= len(MAGIC) and not data.startswith(MAGIC)


def _length(payloads: list[bytes], data: bytes, at: int) -> int:
    """Bytes of the frames of `payloads`, with the magic at the beginning of a segment."""
    head = len(MAGIC) if at == 0 and data.startswith(MAGIC) else 0
    return head + sum(8 + len(payload) for payload in payloads)

"""What a replay keeps beside the state that it makes, so that one that was killed goes on.

begun.json      what it is lived from, part by part as digests (Begun)
position        where it stands (Standing): two slots, written in turn, so that the one before outlives a torn write
report.json     what it found, once it is over

Whole or not there, and handed to the kernel: they outlive a killed process, not a power cut. A replay can be lived again.
"""

import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from flyball.control.replay_position import Position
from flyball.control.replay_report import ReplayReport
from flyball.errors import StoreUnavailable
from flyball.records import codec

POSITION = "position"
SLOT_BYTES = 32 * 1024
"""For the names of some seven hundred segments. Written in place twice an hour of a year: a file made anew each time took a third of a replay's time."""

T = TypeVar("T", bound=msgspec.Struct)


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    parts: dict[str, str]
    """What a person would call it → digest: sections of flyball.yaml, the code, the data, …"""

    def changed(self, parts: Mapping[str, str]) -> tuple[str, ...]:
        """Names of parts that are others now."""
        return tuple(name for name in {**self.parts, **parts} if self.parts.get(name) != parts.get(name))


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    position: Position
    wall_seconds: float
    training_seconds: float


class ReplayFiles:
    """The journal of one replay. `elapsed`: seconds since this process took it up."""

    def __init__(self, directory: Path, elapsed: Callable[[], float]) -> None:
        self._directory = directory
        self._elapsed = elapsed
        self._before = 0.0
        self._number = 0
        self._descriptor = -1
        self.training_seconds = 0.0

    @property
    def wall_seconds(self) -> float:
        """With what it took before it was interrupted."""
        return self._before + self._elapsed()

    def begun(self) -> Begun | None:
        """None: there is no replay, or one of an earlier Flyball."""
        return self._read("begun.json", Begun)

    def begin(self, begun: Begun) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._write("begun.json", codec.encode(begun))

    def take_up(self) -> Position | None:
        """Where it stood. None: it had not come to its first version."""
        try:
            data = (self._directory / POSITION).read_bytes()
        except FileNotFoundError:
            return None
        whole = [standing for at in (0, SLOT_BYTES) if (standing := _standing_in(data[at : at + SLOT_BYTES])) is not None]
        if not whole:
            return None
        newest = max(whole, key=lambda standing: standing.number)
        self._number, self._before, self.training_seconds = newest.number, newest.wall_seconds, newest.training_seconds
        return newest.position

    def keep(self, position: Position) -> None:
        self._number += 1
        standing = Standing(
            number=self._number, position=position, wall_seconds=round(self.wall_seconds, 3), training_seconds=round(self.training_seconds, 3)
        )  # fmt: skip
        data = codec.encode(standing)
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._directory / POSITION, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            slot = b"%08x %s" % (zlib.crc32(data), data)
            os.pwrite(self._descriptor, slot.ljust(SLOT_BYTES), self._number % 2 * SLOT_BYTES)
        except OSError as error:
            raise StoreUnavailable(
                f"{self._directory / POSITION}: {error.strerror or error}", next_step="mend the disk"
            ) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def report(self) -> ReplayReport | None:
        """None: it is not over."""
        return self._read("report.json", ReplayReport)

    def finish(self, report: ReplayReport) -> None:
        self._write("report.json", codec.encode(report))

    def _read(self, name: str, record: type[T]) -> T | None:
        try:
            return codec.decode((self._directory / name).read_bytes(), record)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreUnavailable(
                f"{self._directory / name} cannot be read: {error}", next_step="flyball replay --fresh begins anew"
            ) from error

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._directory / f".{name}.new"
        try:
            temporary.write_bytes(data)
            temporary.replace(self._directory / name)
        except OSError as error:
            raise StoreUnavailable(f"{self._directory / name}: {error.strerror or error}", next_step="mend the disk") from error


def _standing_in(slot: bytes) -> Standing | None:
    check, _, data = slot.rstrip().partition(b" ")
    if check != b"%08x" % zlib.crc32(data):
        return None
    try:
        return codec.decode(data, Standing)
    except ValueError:
        return None


def rewind(capture: Path, cursor: Mapping[str, int]) -> None:
    """Take away what was captured behind `cursor`: nobody has looked at it yet, and it is asked for again. Only while no gateway writes there."""
    for segment in capture.glob("*.seg"):
        seen = cursor.get(segment.name, 0)
        if seen == 0:
            segment.unlink()
        elif segment.stat().st_size > seen:
            os.truncate(segment, seen)

"""What a replay keeps beside the state that it makes, so that one that was killed goes on.

begun.json      what it is lived from, part by part as digests (Begun)
position        where it stands (Standing), in two slots; there before begun.json
report.json     what it found, once it is over

Whole or not there, and handed to the kernel: they outlive a killed process, not a power cut. A replay can be lived again.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from flyball.adapters.two_slots import TwoSlots
from flyball.control.ports import SCHEMA
from flyball.control.replay_position import Position
from flyball.control.replay_report import ReplayReport
from flyball.errors import StoreUnavailable
from flyball.records import codec

BEGUN, POSITION, REPORT = "begun.json", "position", "report.json"
SLOT_BYTES = 32 * 1024
"""For the names of some seven hundred segments of 64 MiB. Written in place twice an hour of a year: a file made anew each time took a third of a replay's time."""
ANEW = "flyball replay --fresh begins anew"

T = TypeVar("T", bound=msgspec.Struct)


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    parts: dict[str, str]
    """What a person would call it → digest: sections of flyball.yaml, the code, the data, …"""

    def changed(self, parts: Mapping[str, str]) -> tuple[str, ...]:
        """Names of parts that are others now. A schema.yaml that it was begun without is none: it has its own."""
        names = (name for name in {**self.parts, **parts} if self.parts.get(name) != parts.get(name))
        return tuple(name for name in names if name != SCHEMA or SCHEMA in self.parts)


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
        self._slots = TwoSlots(directory / POSITION, SLOT_BYTES, Standing, "number")
        self.training_seconds = 0.0

    @property
    def wall_seconds(self) -> float:
        """With what it took before it was interrupted."""
        return self._before + self._elapsed()

    def begun(self) -> Begun | None:
        """None: there is no replay, or one that was taken away in part."""
        return self._read(BEGUN, Begun)

    def clear(self) -> None:
        """Take away the replay that was there. What it was begun from goes first: what a kill leaves half of is never gone on with."""
        try:
            (self._directory / BEGUN).unlink(missing_ok=True)
            if self._directory.exists():
                shutil.rmtree(self._directory)
        except OSError as error:
            raise StoreUnavailable(
                f"the replay before cannot be taken away: {error.filename or self._directory}: {error.strerror or error}",
                next_step=f"delete {self._directory} by hand",
            ) from error

    def begin(self, begun: Begun, position: Position) -> None:
        """From here on there is a replay to be gone on with."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._write(POSITION, self._slots.image(self._standing(position)))
        self._write(BEGUN, codec.encode(begun))

    def take_up(self) -> Position:
        """Where it stands. Raises StoreUnavailable when that cannot be read: the ledger may be far behind any beginning."""
        with self._speaking(POSITION):
            newest = self._slots.newest()
        if newest is None:
            raise StoreUnavailable(
                f"{self._directory / POSITION}: neither of its two slots is whole, so where the replay stands is not known",
                next_step=ANEW,
            )
        found = newest.record
        self._number, self._before, self.training_seconds = found.number, found.wall_seconds, found.training_seconds
        return found.position

    def keep(self, position: Position) -> None:
        self._number += 1
        with self._speaking(POSITION):
            self._slots.write(self._standing(position), self._number % 2, durable=False)

    def close(self) -> None:
        self._slots.close()

    def report(self) -> ReplayReport | None:
        """None: it is not over."""
        return self._read(REPORT, ReplayReport)

    def finish(self, report: ReplayReport) -> ReplayReport:
        """With the seconds that it took."""
        told = msgspec.structs.replace(
            report, wall_seconds=round(self.wall_seconds, 1), training_seconds=round(self.training_seconds, 1)
        )
        self._write(REPORT, codec.encode(told))
        return told

    def _standing(self, position: Position) -> Standing:
        return Standing(
            number=self._number, position=position, wall_seconds=round(self.wall_seconds, 3), training_seconds=round(self.training_seconds, 3)
        )  # fmt: skip

    def _read(self, name: str, record: type[T]) -> T | None:
        try:
            return codec.decode((self._directory / name).read_bytes(), record)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreUnavailable(f"{self._directory / name} cannot be read: {error}", next_step=ANEW) from error

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._directory / f".{name}.new"
        with self._speaking(name):
            temporary.write_bytes(data)
            temporary.replace(self._directory / name)

    @contextmanager
    def _speaking(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnavailable(f"{self._directory / name} is missing", next_step=ANEW) from error
        except OSError as error:
            raise StoreUnavailable(f"{self._directory / name}: {error.strerror or error}", next_step="mend the disk") from error


def rewind(capture: Path, cursor: Mapping[str, int]) -> None:
    """Take away what was captured behind `cursor`: nobody has looked at it yet, and it is asked for again. Only while no gateway writes there."""
    for segment in capture.glob("*.seg"):
        seen = cursor.get(segment.name, 0)
        if seen == 0:
            segment.unlink()
        elif segment.stat().st_size > seen:
            os.truncate(segment, seen)

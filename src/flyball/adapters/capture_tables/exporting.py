"""Segments → tables, exactly once: as far as each table says that it has come, in portions that bound the memory."""

import fcntl
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from flyball.adapters.capture_files import CaptureFiles
from flyball.adapters.capture_tables.frames import TABLES, Rows, Served, Shape
from flyball.adapters.capture_tables.stores import FORMATS, Cursor, Table
from flyball.adapters.durable import replace_file
from flyball.adapters.places import NAMED_BY_URLS, TABLE, letters_in
from flyball.control.ports import Say
from flyball.control.reports import ExportReport
from flyball.errors import Conflict, StoreUnavailable, UserError
from flyball.records import codec

PORTION_BYTES = 1024 * 1024
"""Of segments, decoded at once: a few thousand records. More are more objects for the collector to look through, and slower."""
COMMIT_BYTES = 32 * 1024 * 1024
"""Of segments in one file of a table: a hundred small commits cost seconds to make, and every reader time."""

_FILE = "_flyball.json"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the tables in a directory hold: decided by the first export into it."""

    format: Literal["delta", "parquet"]
    since: datetime | None = None
    """Of what was captured from here on; None: from the beginning."""
    until: datetime | None = None
    """Not included; None: whatever comes."""


def export(state_dir: Path, target: Path, wanted: Wanted, units: Mapping[str, Served], say: Say) -> ExportReport:
    """Bring the tables in `target` up to what is captured now; run again, it adds what came since. `units`: all, oldest first.

    Raises Conflict when `target` holds something else, UserError when `wanted` can hold nothing or no Delta table can lie there, StoreUnavailable.
    """
    if wanted.format == "delta" and (found := letters_in(target, TABLE)):
        raise UserError(
            f"{target} has {found} in its path, and Delta {NAMED_BY_URLS}",
            next_step="name another place with --to, or take --format parquet",
        )
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise UserError(
            f"since {wanted.since:%Y-%m-%d %H:%M:%S} until {wanted.until:%Y-%m-%d %H:%M:%S}", expected="an until that is later"
        )
    with _held(target, wanted):
        reader = CaptureFiles(state_dir, at_once=PORTION_BYTES)
        work = _Work(reader, {name: FORMATS[wanted.format](target / name) for name in TABLES}, Shape(units), wanted)
        with _uncollected():
            for cursor, names in work.standing():
                work.advance(cursor, names, say)
    return ExportReport(
        directory=str(target), format=wanted.format, rows=work.rows, bytes_read=work.read_bytes,
        damaged_bytes=sum(damage.bytes for damage in reader.damaged()), torn=len(reader.torn(work.end)), renamed=work.shape.names.changed(),
    )  # fmt: skip


class _Work:
    """One call of `export`."""

    def __init__(self, reader: CaptureFiles, tables: Mapping[str, Table], shape: Shape, wanted: Wanted) -> None:
        self._reader = reader
        self._tables = tables
        self._since = None if wanted.since is None else _micros(wanted.since)
        self._until = None if wanted.until is None else _micros(wanted.until)
        self.shape = shape
        self.rows = dict.fromkeys(tables, 0)
        self.read_bytes = 0
        self.end: Cursor = {}
        """How far was read."""

    def standing(self) -> list[tuple[Cursor, tuple[str, ...]]]:
        """How far the tables have come, and which have come equally far: all, unless an export was killed between two of them."""
        segments = self._reader.segments()
        together: dict[bytes, list[str]] = {}
        for name, table in self._tables.items():
            together.setdefault(codec.encode(table.cursor(segments)), []).append(name)
        return [(codec.decode(cursor, Cursor), tuple(names)) for cursor, names in together.items()]

    def advance(self, cursor: Cursor, names: Sequence[str], say: Say) -> None:
        """Bring these tables from `cursor` to the end of what is there; what is captured meanwhile is the next export's."""
        rows, waiting, at = Rows(self.shape, names), 0, cursor
        while True:
            found = self._reader.read(at)
            rows.add(record for record in found.records if self._is_wanted(record.at_us))
            waiting, at = waiting + _bytes(found.cursor) - _bytes(at), found.cursor
            if waiting and (not found.more or waiting >= COMMIT_BYTES):
                self._write(rows, at)
                say("step", f"{', '.join(f'{n:,} {name}' for name, n in self.rows.items())} written")
                self.read_bytes += waiting
                rows, waiting = Rows(self.shape, names), 0
            if not found.more:
                self.end = at
                return

    def _write(self, rows: Rows, cursor: Cursor) -> None:
        for name, frame in rows.frames().items():
            self._tables[name].append(frame, cursor)
            self.rows[name] += frame.height

    def _is_wanted(self, at_us: int) -> bool:
        return (self._since is None or at_us >= self._since) and (self._until is None or at_us < self._until)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Records make no cycles; a collector that looks through a million of their lists again and again takes two thirds of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _held(target: Path, wanted: Wanted) -> Iterator[None]:
    """For one export at a time, and for the same thing every time."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target / ".export.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{target}: {error.strerror or error}", next_step="name another place with --to DIR") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _claim(target, wanted)
        yield
    except BlockingIOError:
        raise Conflict(
            f"another export writes to {target}", next_step="wait for it, or name another place with --to DIR"
        ) from None
    finally:
        os.close(descriptor)


def _claim(target: Path, wanted: Wanted) -> None:
    path = target / _FILE
    try:
        standing = codec.decode(path.read_bytes(), Wanted)
    except FileNotFoundError:
        if any(child.name != ".export.lock" for child in target.iterdir()):
            raise Conflict(
                f"{target} is not empty, and holds no export", next_step="name an empty directory with --to DIR"
            ) from None
        replace_file(path, codec.encode(wanted))
        return
    except (OSError, ValueError) as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}", next_step="name another place with --to DIR") from error
    if standing != wanted:
        raise Conflict(
            f"{target} holds {_words(standing)}", expected=_words(wanted), next_step="name another place with --to DIR, or ask for the same"
        )  # fmt: skip


def _words(wanted: Wanted) -> str:
    since = f" since {wanted.since:%Y-%m-%d %H:%M:%S}" if wanted.since else ""
    return wanted.format + since + (f" until {wanted.until:%Y-%m-%d %H:%M:%S}" if wanted.until else "")


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _bytes(cursor: Cursor) -> int:
    return sum(cursor.values())

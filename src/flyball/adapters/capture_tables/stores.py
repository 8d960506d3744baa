"""Two forms of a table that remembers, in the commit of its rows, how far it has come: a kill leaves both or neither."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import polars as pl

from flyball.errors import Conflict, StoreUnavailable
from flyball.records import codec

Cursor = dict[str, int]
"""Segment → offset of the first byte whose records are not in the table."""

_CURSOR = "flyball.cursor"
_AGAIN = "look at the disk; if the table is damaged, delete its directory and export again: it is made anew from the segments"


class Table(Protocol):
    """Append-only. Used by one process at a time."""

    def cursor(self, segments: Iterable[str]) -> Cursor:
        """How far it has come in each of `segments`. Raises StoreUnavailable."""
        ...

    def append(self, rows: pl.DataFrame, cursor: Cursor) -> None:
        """Add the rows (none is possible, too) and stand at `cursor`, in one step: both or neither, whenever the process ends."""
        ...


class DeltaTableOf:
    """A Delta table. How far it has come are transactions of its log: the segment is the application, the offset its version."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: Cursor = {}

    def cursor(self, segments: Iterable[str]) -> Cursor:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            table = DeltaTable(str(self._path))
            found = {name: table.transaction_version(_application(name)) for name in segments}
        except TableNotFoundError:
            return {}
        except (DeltaError, OSError) as error:
            raise StoreUnavailable(f"{self._path} cannot be read: {error}", next_step=_AGAIN) from error
        self._known = {name: int(offset) for name, offset in found.items() if offset is not None}
        return self._known

    def append(self, rows: pl.DataFrame, cursor: Cursor) -> None:
        from deltalake import CommitProperties, Transaction, WriterProperties, write_deltalake
        from deltalake.exceptions import CommitFailedError, DeltaError

        moved = [Transaction(_application(name), to) for name, to in sorted(cursor.items()) if self._known.get(name) != to]
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            write_deltalake(
                str(self._path), rows, mode="append", schema_mode="merge", commit_properties=CommitProperties(app_transactions=moved),
                writer_properties=WriterProperties(compression="ZSTD"),
            )  # fmt: skip
        except CommitFailedError as error:
            raise Conflict(
                f"{self._path} was written to by somebody else meanwhile: {error}", next_step="run the same again"
            ) from error
        except (DeltaError, OSError) as error:
            raise StoreUnavailable(f"{self._path} cannot be written: {error}", next_step=_AGAIN) from error
        self._known = dict(cursor)


class ParquetFiles:
    """Numbered Parquet files in one directory; each says in its footer how far the table has come with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def cursor(self, segments: Iterable[str]) -> Cursor:
        newest = self._newest()
        if newest is None:
            return {}
        try:
            footer = pl.read_parquet_metadata(newest)
            found = codec.decode(footer[_CURSOR].encode(), Cursor)
        except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
            raise StoreUnavailable(f"{newest} cannot be read: {error}", next_step=_AGAIN) from error
        return {name: found[name] for name in segments if name in found}

    def append(self, rows: pl.DataFrame, cursor: Cursor) -> None:
        newest = self._newest()
        number = 1 if newest is None else int(newest.stem) + 1
        path = self._path / f"{number:08d}.parquet"
        # Hidden: readers of `*.parquet` must not meet half a file. The same name every time, so that a killed one is replaced.
        draft = self._path / f".{path.name}.new"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            rows.write_parquet(draft, metadata={_CURSOR: codec.encode(cursor).decode()})
            _sync(draft)
            draft.rename(path)
            _sync(self._path)
        except (OSError, pl.exceptions.PolarsError) as error:
            draft.unlink(missing_ok=True)
            raise StoreUnavailable(
                f"{path} cannot be written: {error}", next_step="mend the disk, then run the same again"
            ) from error

    def _newest(self) -> Path | None:
        numbered = [path for path in self._path.glob("*.parquet") if path.stem.isdigit()]
        return max(numbered, key=lambda path: int(path.stem), default=None)


FORMATS: Mapping[str, type[DeltaTableOf] | type[ParquetFiles]] = {"delta": DeltaTableOf, "parquet": ParquetFiles}


def _application(segment: str) -> str:
    return f"flyball/{segment}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

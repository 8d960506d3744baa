"""What SQLite and the file system say, in our words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy.exc

from flyball.errors import LedgerDamaged, OperatorError, StoreUnavailable

DAMAGED = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_FORMAT}
)
"""Primary result codes of a file that is not what was written. SQLITE_ERROR: a table or column is missing, a text is not UTF-8."""

OUR_OWN = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError)
"""Mistakes of our own, not the machine's: nobody is told to try again."""

NEXT_STEP: dict[int, str] = {
    sqlite3.SQLITE_BUSY: "another process holds the database: end it, then try again",
    sqlite3.SQLITE_LOCKED: "another connection holds the table: try again",
    sqlite3.SQLITE_FULL: "free space on the disk, then try again",
    sqlite3.SQLITE_IOERR: "look at the disk and its free space, then try again",
    sqlite3.SQLITE_READONLY: "give this user the right to write there",
    sqlite3.SQLITE_PERM: "give this user the right to write there",
    sqlite3.SQLITE_CANTOPEN: "look whether the directory exists and this user may write there",
    sqlite3.SQLITE_NOMEM: "free memory, then try again",
    sqlite3.SQLITE_PROTOCOL: "the file lies on a file system without locks: move it to a local disk",
    sqlite3.SQLITE_NOLFS: "the file lies on a file system with small files only: move it",
}


def translate(error: sqlite3.Error, path: Path) -> OperatorError:
    """Every database error becomes LedgerDamaged (the file is not what was written) or StoreUnavailable (not now)."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = sqlite3.SQLITE_ERROR if code is None and isinstance(error, sqlite3.OperationalError) else (code or 0) & 0xFF
    if primary in DAMAGED:
        return LedgerDamaged(f"{path}: {error}", next_step="run `flyball verify`, then restore the last good copy")
    return StoreUnavailable(f"{path}: {error}", next_step=NEXT_STEP.get(primary, "try again; nothing was written"))


@contextmanager
def translating(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        if isinstance(error.orig, OUR_OWN):
            raise
        if isinstance(error.orig, sqlite3.Error):
            raise translate(error.orig, path) from error
        raise
    except sqlalchemy.exc.TimeoutError as error:
        raise StoreUnavailable(f"{path}: no free connection", next_step="try again") from error
    except OUR_OWN:
        raise
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}", next_step="mend the disk, then try again") from error

"""One event with one state, committed: the ledger, beside sqlite3 with the same pragmas and one fdatasync for the head."""

import os
import sqlite3
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Row, interleaved
from flyball.adapters.ledger import SqliteLedger
from flyball.records import codec
from flyball.records.events import GENESIS, Draft, Put

COMMITS = 100
AT = datetime(2026, 11, 22, tzinfo=UTC)
STATE = {"id": "w", "predictions": 1000, "labels": 900, "mature": False, "words": "x" * 200}


def draft(number: int) -> Draft:
    return Draft(
        at=AT, kind="window.closed", subject=f"window:{number}", actor="control", payload={"predictions": 1000},
        puts=(Put("window", f"{number % 50}", STATE),), key=f"closed:{number}",
    )  # fmt: skip


class Raw:
    """What any durable append of a row and a state costs here."""

    def __init__(self, directory: Path) -> None:
        self._connection = sqlite3.connect(directory / "raw.db", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "mmap_size=0"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, body TEXT, key TEXT UNIQUE, prev TEXT UNIQUE)")
        self._connection.execute("CREATE TABLE states (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID")
        self._head = os.open(directory / "HEAD", os.O_RDWR | os.O_CREAT)
        os.pwrite(self._head, b" " * 8192, 0)
        self._body = codec.encode(draft(0)).decode()
        self._value = codec.encode(STATE).decode()
        self._number = 0

    def commit(self) -> None:
        self._number += 1
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            (self._number, self._body, f"closed:{self._number}", f"{GENESIS}{self._number}"),
        )
        execute(
            "INSERT INTO states VALUES ('window', ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (f"{self._number % 50}", self._value),
        )
        execute("COMMIT")
        os.pwrite(self._head, b" " * 4096, self._number % 2 * 4096)
        os.fdatasync(self._head)

    def close(self) -> None:
        self._connection.close()
        os.close(self._head)


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        ledger, raw, number = SqliteLedger(directory / "ledger"), Raw(directory), 0

        def ours() -> float:
            nonlocal number
            begun = time.perf_counter()
            for _ in range(COMMITS):
                number += 1
                ledger.transact([draft(number)])
            return COMMITS / (time.perf_counter() - begun)

        def floor() -> float:
            begun = time.perf_counter()
            for _ in range(COMMITS):
                raw.commit()
            return COMMITS / (time.perf_counter() - begun)

        try:
            return [
                interleaved("ledger: one event, one state", "commits/s", ours, ("sqlite3, same pragmas, one fdatasync", floor))
            ]
        finally:
            ledger.close()
            raw.close()

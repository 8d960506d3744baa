"""Ways to spoil a ledger, by a plain sqlite3 connection that knows nothing of the product."""

import sqlite3
from pathlib import Path


def execute(directory: Path, *statements: str) -> None:
    connection = sqlite3.connect(directory / "flyball.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()

"""MLflow writes into its tables where artifacts lie, as absolute paths. A project that was moved, renamed, copied or restored elsewhere takes them along."""

import sqlite3
from contextlib import closing
from pathlib import Path

from flyball.errors import StoreUnavailable

WAIT_SECONDS = 30.0
"""For whoever else writes to it."""
DEFAULT = "mlruns"
"""Beside the database, where MLflow's own first experiment would keep its artifacts. No other path says where the database was made."""

_MADE_AT = "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
_LED_HOME = (
    "UPDATE experiments SET artifact_location = led_home(artifact_location)",
    "UPDATE runs SET artifact_uri = led_home(artifact_uri)",
    "UPDATE model_versions SET source = led_home(source), storage_location = led_home(storage_location)",
)


def lead_home(database: Path) -> None:
    """Lead every path below the directory in which `database` was made to the one in which it lies: all of them or none. Paths to elsewhere stay as they
    are. Raises StoreUnavailable."""
    now = database.parent.as_uri()
    try:
        with closing(sqlite3.connect(database, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
            if _made_at(connection) in ("", now):
                return
            connection.execute("BEGIN IMMEDIATE")
            made_at = _made_at(connection)  # once more: another process may have been here first

            def led(place: str | None) -> str | None:
                return f"{now}{place.removeprefix(made_at)}" if place is not None and place.startswith(f"{made_at}/") else place

            connection.create_function("led_home", 1, led, deterministic=True)
            for statement in _LED_HOME if made_at != now else ():
                connection.execute(statement)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"MLflow's store cannot be used: {error}", next_step=f"look at {database}") from error


def _made_at(connection: sqlite3.Connection) -> str:
    """Empty: nothing says so."""
    found = connection.execute(_MADE_AT).fetchone()
    return str(found[0]).rpartition(f"/{DEFAULT}/")[0] if found else ""

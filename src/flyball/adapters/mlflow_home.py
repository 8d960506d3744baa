"""MLflow writes into its tables where artifacts lie, as absolute paths. A project that was moved, renamed, copied or restored elsewhere takes them along."""

import sqlite3
from contextlib import closing
from pathlib import Path

from flyball.errors import StoreUnavailable

WAIT_SECONDS = 30.0
"""For whoever else writes to it."""
DEFAULT = "mlruns"
"""Beside the database, where MLflow's own first experiment would keep its artifacts: says where the database was made."""
ARTIFACTS = "mlartifacts"
"""Beside the database, where a project's experiment keeps them: says so of a database whose first experiment MLflow made by itself."""

_PLACES = "SELECT artifact_location FROM experiments ORDER BY experiment_id"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
_LED_HOME = {
    "experiments": "UPDATE experiments SET artifact_location = led_home(artifact_location)",
    "runs": "UPDATE runs SET artifact_uri = led_home(artifact_uri)",
    "model_versions": "UPDATE model_versions SET source = led_home(source), storage_location = led_home(storage_location)",
    "logged_models": "UPDATE logged_models SET artifact_location = led_home(artifact_location)",
}


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
            tables = {name for (name,) in connection.execute(_TABLES)}
            for table in _LED_HOME.keys() & tables if made_at != now else ():
                connection.execute(_LED_HOME[table])
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"MLflow's store cannot be used: {error}", next_step=f"look at {database}") from error


def _made_at(connection: sqlite3.Connection) -> str:
    """Empty: nothing says so."""
    places = [str(place) for (place,) in connection.execute(_PLACES) if str(place).startswith("file://")]
    for end in (f"/{DEFAULT}/0", f"/{ARTIFACTS}"):
        found = next((place for place in places if place.endswith(end)), "")
        if found:
            return found.removesuffix(end)
    return ""

"""The versions of an embedded MLflow, read from its tables: MLflow itself takes seconds to be imported, and who only looks asks it nothing else."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

REVISION = "dc11669786a5"
"""Of the tables of MLflow 3.17, which alone are read here: of others MLflow is asked."""

_ELSEWHERE = "SELECT 1 FROM registered_models WHERE workspace != 'default' LIMIT 1"
_VERSIONS = "SELECT version FROM model_versions WHERE name = ? AND workspace = 'default' AND current_stage != 'Deleted_Internal'"
_TAGS = "SELECT version, key, value FROM model_version_tags WHERE name = ? AND workspace = 'default'"


class Tagged(NamedTuple):
    """As much of MLflow's own ModelVersion as Flyball reads."""

    version: int
    tags: Mapping[str, str]


def tagged_versions(database: Path, model: str) -> tuple[Tagged, ...] | None:
    """None: MLflow has to be asked, which says what is wrong in its own words; nothing was made or changed."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")  # versions and tags of one moment
            if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(REVISION,)]:
                return None
            if connection.execute(_ELSEWHERE).fetchone() is not None:
                return None
            found: dict[int, dict[str, str]] = {number: {} for (number,) in connection.execute(_VERSIONS, (model,))}
            for number, name, value in connection.execute(_TAGS, (model,)):
                if number in found:
                    found[number][name] = value
    except sqlite3.Error:
        return None
    return tuple(Tagged(number, tags) for number, tags in found.items())


def remove_empty(database: Path) -> None:
    """Where no table is in it: who only opens a file that is not there makes one, and MLflow never makes its tables in a file that is there."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
                return
    except sqlite3.Error:
        return  # it is not there, or no database: whoever uses it says so
    for leftover in (database, *(database.with_name(f"{database.name}-{end}") for end in ("wal", "shm", "journal"))):
        leftover.unlink(missing_ok=True)

"""What a person asks for who brings labels."""

from pathlib import Path
from typing import NamedTuple


class LabelImport(NamedTuple):
    """Either a file or a query, and the columns to take."""

    file: Path | None
    sql: str | None
    """Name of the environment variable that holds the database's URL."""
    query: str | None
    id: str = "id"
    label: str = "label"
    observed_at: str | None = None
    """None: the column `observed_at`, if there is one; otherwise an outcome counts as known when its file was last written, one of a query when it is received."""
    reward: str | None = None
    """None: the column `reward`, if there is one that holds numbers. Empty: none."""

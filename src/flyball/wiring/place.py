"""Where a project may lie."""

import os
from pathlib import Path

from flyball.adapters.places import DATABASE, NAMED_BY_URLS, TABLE, letters_in
from flyball.errors import OperatorError

NO_PLACE = "".join(dict.fromkeys(DATABASE + TABLE))
"""Not in the path of a project."""


def place_of(project_dir: Path) -> Path:
    """Its whole path. Raises OperatorError where databases and tables of it would lie elsewhere, or could not be named."""
    directory = project_dir.resolve()
    found = letters_in(directory, NO_PLACE)
    if found:
        raise OperatorError(f"{directory} has {found} in its path", next_step=f"rename it: databases and {NAMED_BY_URLS}")
    try:
        str(directory).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(directory).decode(errors="backslashreplace")
        raise OperatorError(f"{shown} is no UTF-8", next_step="rename it: what is stored names it as text") from None
    return directory

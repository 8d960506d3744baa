"""Letters that no path may have, because a library takes the path for a URL."""

from pathlib import Path

DATABASE = "?#%"
"""MLflow's SQLite would make and read another file."""
TABLE = "%\\^|[]"
"""Delta Lake would write elsewhere (`%41` is an A to it), or panics."""
TABLE_READ = "%\\"
"""It would read elsewhere; with the others it reads what lies there."""
NAMED_BY_URLS = "tables are named by URLs, where that means something else"
"""Why, for a person."""


def letters_in(path: Path, letters: str) -> str:
    """Those of `letters` that its path has, as they are told to a person; empty: none."""
    return " ".join(letter for letter in letters if letter in str(path))

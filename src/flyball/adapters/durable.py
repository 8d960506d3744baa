"""A file that is replaced as a whole, or not at all, also through a power cut."""

import os
from pathlib import Path

from flyball.errors import StoreUnavailable


def replace_file(path: Path, data: bytes) -> None:
    """Write beside, fsync, rename, fsync the directory. Raises StoreUnavailable; the old file then still stands."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreUnavailable(f"{path}: {error.strerror or error}", next_step="mend the disk, then try again") from error

"""A file that is replaced as a whole, or not at all, also through a power cut."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from flyball.errors import StoreUnavailable

PRIVATE_UMASK = 0o077
"""Of every process that writes state: predictions, labels and snapshots are people's data."""


def replace_file(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write beside, fsync, rename, fsync the directory. Raises StoreUnavailable; the old file then still stands. `mode` None: by the umask."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
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
        with suppress(OSError):  # a read-only file system says so before it says that there is no such file
            temporary.unlink(missing_ok=True)
        raise StoreUnavailable(f"{path}: {error.strerror or error}", next_step="mend the disk, then try again") from error


def write_over(path: Path, text: bytes) -> None:
    """In one call and in place, which a full disk allows: whoever reads it meanwhile finds the one or the other. Raises OSError, of a link as well: what it
    leads to is not ours to write over."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def make_if_missing(path: Path) -> None:
    """An empty file, which only its owner reads; one that is there stays as it is. Raises OSError, of a link as well."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def opened_if_there(path: Path, flags: int) -> int | None:
    """A descriptor of a file that others may have made; None: nobody has. Raises StoreUnavailable when nobody can tell."""
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error


def place_of(directory: Path) -> tuple[int, int]:
    """Device and inode: a directory that is moved keeps them, its copy has others. Raises OSError."""
    found = directory.stat()
    return found.st_dev, found.st_ino


def was_written_in(directory: Path, device: int | None, inode: int | None) -> bool:
    """Whether what says so of itself was written in this very directory, and not in one that it is a copy of. None: an earlier release's, which says
    nothing and is believed. Raises OSError."""
    return (device, inode) in ((None, None), place_of(directory))


def project_mode(project_dir: Path) -> int | None:
    """The mode for a file that belongs to the project and not to its state: who may read flyball.yaml may read it, too. None: there is no flyball.yaml."""
    try:
        return stat.S_IMODE((project_dir / "flyball.yaml").stat().st_mode) & 0o666
    except OSError:
        return None

"""Files of a package, read on the guess that whoever made it means harm: a pipe is waited for for ever, a device has no end, a link leads anywhere."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath

from flyball.errors import ArtifactDamaged


def plain_files(package: Path) -> tuple[str, ...]:
    """Names of all files below it. Raises ArtifactDamaged for what is neither a file nor a directory, and so before any of it is read: what lies behind a link to
    a directory is not looked through."""
    names = []
    for path in sorted(package.rglob("*")):
        try:
            kind, name = path.lstat().st_mode, path.relative_to(package).as_posix()
        except OSError as gone:
            raise ArtifactDamaged(f"{path} cannot be read: {gone.strerror}") from gone
        if stat.S_ISREG(kind):
            names.append(name)
        elif not stat.S_ISDIR(kind):
            what = "link" if stat.S_ISLNK(kind) else "pipe, socket or device"
            raise ArtifactDamaged(f"{package} holds the {what} {name!r}", expected="plain files and directories")
    return tuple(names)


def whole(package: Path, name: str) -> bytes:
    """Raises ArtifactDamaged, OSError."""
    with opened(package, name) as file:
        return file.read()


def digest_of(package: Path, name: str) -> str:
    """Its SHA-256, with none of it kept. Raises ArtifactDamaged, OSError."""
    with opened(package, name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(package: Path, name: str) -> Iterator[BufferedReader]:
    """A file of a package; nothing is waited for. Raises ArtifactDamaged for what is none, or lies outside; OSError."""
    place = PurePosixPath(name)
    try:
        if place.is_absolute() or ".." in place.parts:
            raise ValueError("it leads out of the package")
        descriptor = os.open(package / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as no_name:  # or one that no file can have
        raise ArtifactDamaged(f"{name!r} is no name of a file in {package}: {no_name}") from no_name
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArtifactDamaged(f"{package / name} is no file", expected="plain files and directories")
    with os.fdopen(descriptor, "rb") as file:
        yield file

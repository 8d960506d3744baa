"""What a run's code and surroundings are, as digests: the part of a cache key that nobody writes down."""

import hashlib
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from flyball.records import codec

_SKIPPED = frozenset(
    {".flyball", ".venv", "venv", ".git", "__pycache__", "node_modules", ".tox", ".nox", ".mypy_cache", ".ruff_cache"}
)
"""Folders that hold results or other people's code."""


class GitState(NamedTuple):
    """Of the project's directory."""

    commit: str | None
    """None: no git, or not in a repository."""
    dirty: bool
    diff_digest: str | None
    """SHA-256 of what differs from the commit below the project's directory; None: clean, or no git."""


class Surroundings(NamedTuple):
    """All that decides what the same code gives, beside data and parameters."""

    code_digest: str
    environment_digest: str
    git: GitState


def surroundings(project_dir: Path) -> Surroundings:
    return Surroundings(code_digest(project_dir), environment_digest(), git_state(project_dir))


def code_files(project_dir: Path) -> tuple[Path, ...]:
    """Every *.py of the project, relative to its directory, sorted."""
    found = []
    for path in project_dir.rglob("*.py"):
        relative = path.relative_to(project_dir)
        if not _SKIPPED.intersection(relative.parts) and path.is_file():
            found.append(relative)
    return tuple(sorted(found))


def code_digest(project_dir: Path) -> str:
    """Of every *.py of the project, by name and bytes."""
    files = {path.as_posix(): hashlib.sha256((project_dir / path).read_bytes()).hexdigest() for path in code_files(project_dir)}
    return codec.digest(files)


def environment_digest() -> str:
    """Of the Python version, the platform and all installed distributions."""
    installed = sorted({f"{item.name.lower()}=={item.version}" for item in distributions() if item.name})
    return codec.digest([platform.python_version(), sys.implementation.name, platform.system(), platform.machine(), installed])


def git_state(project_dir: Path) -> GitState:
    """Asks git; without it everything is None."""
    commit = _git(project_dir, "rev-parse", "HEAD")
    if commit is None:
        return GitState(None, dirty=False, diff_digest=None)
    status = _git(project_dir, "status", "--porcelain", "--untracked-files=all", "--", ".") or b""
    if not status.strip():
        return GitState(commit.decode().strip(), dirty=False, diff_digest=None)
    diff = _git(project_dir, "diff", "--no-ext-diff", "--binary", "HEAD", "--", ".") or b""
    return GitState(commit.decode().strip(), dirty=True, diff_digest=hashlib.sha256(status + b"\0" + diff).hexdigest())


def _git(project_dir: Path, *arguments: str) -> bytes | None:
    """What git says; None: it is absent, too slow, or refuses."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=project_dir, capture_output=True, check=False, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

"""What a run's code and surroundings are, as digests: the part of a cache key that nobody writes down."""

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from flyball.errors import CodeChanged
from flyball.records import codec
from flyball.spec import DataSpec

_SKIPPED = frozenset(
    {".flyball", ".venv", "venv", ".git", "__pycache__", "node_modules", ".tox", ".nox", ".mypy_cache", ".ruff_cache"}
)
"""Folders that hold results or other people's code."""
_READ = frozenset(
    {".cfg", ".csv", ".ini", ".j2", ".jinja", ".json", ".jsonl", ".sql", ".toml", ".tsv", ".txt", ".xml", ".yaml", ".yml"}
)
"""Texts that code reads beside its rows: parameters, vocabularies, queries."""
_TABLES = frozenset({".csv", ".jsonl", ".tsv"})
_LARGEST_BYTES = 1_000_000
"""What is larger are rows, which the snapshot knows."""
_OWN = frozenset({"flyball.yaml", "schema.yaml"})
"""Flyball's, each part of which is in the key of the step that goes by it."""
_WRITES = re.compile(rb"write|dump|save|to_csv|to_json|[\"'][wax][bt]?\+?[\"']")


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
    modules_digest: str
    """Of the modules alone."""


def surroundings(project_dir: Path, data: DataSpec | None = None) -> Surroundings:
    return Surroundings(
        code_digest(project_dir, data),
        environment_digest(),
        git_state(project_dir),
        _digest(project_dir, code_files(project_dir)),
    )


def refuse_change(project_dir: Path, around: Surroundings) -> None:
    """Raises CodeChanged where a module is another than when the run began: what was made may be of either, and would be kept under the key of the first."""
    if _digest(project_dir, code_files(project_dir)) != around.modules_digest:
        raise CodeChanged(
            "the project's code changed while it ran", expected="the same *.py from beginning to end", next_step="run again"
        )


def code_files(project_dir: Path) -> tuple[Path, ...]:
    """Every *.py of the project, relative to its directory, sorted."""
    return tuple(sorted(path for path in _files(project_dir) if path.suffix == ".py"))


def read_files(project_dir: Path, data: DataSpec | None = None) -> tuple[Path, ...]:
    """Small texts that a module names and does not only write, relative to the project's directory, sorted: what it reads decides what it gives.

    None of them: what lies in `data/` or is hidden, and the rows of `data`: the snapshot says whether those changed. Of a loader they are taken to be the
    tables that its module names.
    """
    modules = {path: (project_dir / path).read_bytes().splitlines() for path in code_files(project_dir)}
    source = data.source if data is not None else None
    pattern = source.files if source is not None and source.files and not Path(source.files).is_absolute() else None
    rows = {path.relative_to(project_dir) for path in project_dir.glob(pattern)} if pattern else set()
    loader = (
        Path(*source.loader.partition(":")[0].split(".")).with_suffix(".py") if source is not None and source.loader else None
    )
    found = []
    for path in _files(project_dir):
        if path in rows or not _may_be_read(project_dir, path):
            continue
        lines = (line for module, text in modules.items() if path.suffix not in _TABLES or module != loader for line in text)
        name = path.name.encode()
        if any(name in line and not _WRITES.search(line) for line in lines):
            found.append(path)
    return tuple(sorted(found))


def code_digest(project_dir: Path, data: DataSpec | None = None) -> str:
    """Of every *.py of the project, and of what they read (`read_files`), by name and bytes."""
    return _digest(project_dir, (*code_files(project_dir), *read_files(project_dir, data)))


def environment_digest() -> str:
    """Of the Python version, the platform and all installed distributions; of those that are installed to be edited, their code."""
    found = [item for item in distributions() if item.name]
    installed = sorted({f"{item.name.lower()}=={item.version}" for item in found})
    # Flyball's own steps say themselves when they give something else.
    edited = {
        item.name.lower(): place for item in found if item.name.lower() != "flyball" and (place := _edited_in(item)) is not None
    }
    digests = [[name, _digest(place, code_files(place))] for name, place in sorted(edited.items())]
    return codec.digest([
        platform.python_version(), sys.implementation.name, platform.system(), platform.machine(), installed, *([digests] if digests else []),
    ])  # fmt: skip


def _files(root: Path) -> Iterator[Path]:
    """Relative to it, without those in folders that are skipped."""
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        here = Path(place).relative_to(root)
        yield from (here / name for name in names if name not in _SKIPPED and (root / here / name).is_file())


def _may_be_read(project_dir: Path, path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    if hidden or path.suffix not in _READ or path.parts[0] == "data" or path.as_posix() in _OWN:
        return False
    return (project_dir / path).stat().st_size <= _LARGEST_BYTES


def _digest(root: Path, paths: tuple[Path, ...]) -> str:
    return codec.digest({path.as_posix(): hashlib.sha256((root / path).read_bytes()).hexdigest() for path in paths})


def _edited_in(installed: Distribution) -> Path | None:
    """The directory from which it is imported; None: it is not installed to be edited, or lies there no more."""
    said = installed.read_text("direct_url.json")
    try:
        told = msgspec.json.decode(said or "{}")
        editable = bool(told.get("dir_info", {}).get("editable"))
        place = Path(unquote(urlsplit(told.get("url", "")).path))
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
        return None
    return place if editable and place.is_dir() else None


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

"""What a run's code and surroundings are, as digests: the part of a cache key that nobody writes down."""

import ast
import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from flyball.errors import CodeChanged, StoreUnavailable
from flyball.records import codec
from flyball.spec import DataSpec

_STATES = ".flyball"
"""How the names begin of the state directory, of what it was put aside as, and of a gateway's."""
_SKIPPED = frozenset(
    {"mlartifacts", ".venv", "venv", ".git", "__pycache__", "node_modules", ".tox", ".nox", ".mypy_cache", ".ruff_cache"}
)
"""Folders that hold results or other people's code."""
_LEDGER, _PACKAGE = frozenset({"flyball.db", "HEAD"}), frozenset({"manifest.json", "signature.json", "lineage.json"})
"""All of them: a folder that has one file of such a name may be anybody's."""
_TELLING = _LEDGER | _PACKAGE
_TABLES = frozenset(
    {".arrow", ".csv", ".db", ".duckdb", ".feather", ".gz", ".jsonl", ".ndjson", ".parquet", ".sqlite", ".tsv", ".xlsx", ".zip"}
)
"""What a loader's rows lie in."""
_TEXTS = frozenset(
    {".cfg", ".csv", ".ini", ".j2", ".jinja", ".json", ".jsonl", ".sql", ".toml", ".tsv", ".txt", ".xml", ".yaml", ".yml"}
)
"""What a module names without a call that writes, it reads."""
_MADE = frozenset({".db", ".duckdb", ".gif", ".html", ".jpeg", ".jpg", ".pdf", ".png", ".sqlite", ".svg"})
"""Trackers, studies and plots: a run that wrote one would be another run each time."""
_CALLS_TO_READ = re.compile(
    rb"\bopen\(|(?:load|read|parse|fetch|restore|from_(?:file|pretrained|disk)|memmap|fromfile|booster|inferencesession)\w*\s*\(",
    re.IGNORECASE,
)
"""Weights, embeddings and what else is neither text nor table may as well be what a module makes: they count where the line or the statement that names
them reads."""
_OWN = frozenset({"flyball.yaml", "schema.yaml"})
"""Flyball's, each part of which is in the key of the step that goes by it."""
_KINDS = rb"csv|excel|feather|file|hdf|html|json|netcdf|onnx|parquet|pickle|sql|stata|toml|xml|yaml|zarr"
_WRITES = re.compile(
    rb"(?<!\w)(?!load|read|get|parse)\w*(?:write|dump|save|sink|export)\w*\s*\(|\bto_(?:"
    + _KINDS
    + rb")\(|FileHandler\(|\b(?:mkdir|touch|unlink|remove|rmtree)\("
    # The mode of an `open`, be it its first argument (of a path) or a later one: within its own brackets, else every "a" in a subscript would be one.
    rb"|\bopen\(\s*(?:(?:[^()]|\([^()]*\))*?[,=]\s*)?[\"'][wax][bt]?\+?[\"']"
)
"""Calls that write, in a line without what it names."""


class GitState(NamedTuple):
    """Of the project's directory."""

    commit: str | None
    """None: no git, or not in a repository."""
    dirty: bool
    """Also where git could not tell: nobody is to take the commit for what ran."""
    diff_digest: str | None
    """SHA-256 of what differs from the commit below the project's directory; None: clean, no git, or git could not tell."""


class Surroundings(NamedTuple):
    """All that decides what the same code gives, beside data and parameters."""

    code_digest: str
    environment_digest: str
    git: GitState
    modules_digest: str
    """Of the modules alone."""


@contextmanager
def _readable() -> Iterator[None]:
    """A module that this account may not read, a folder that goes away meanwhile. Raises StoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{error.filename or 'a file of the project'} cannot be read: {error.strerror}") from error


def surroundings(project_dir: Path, data: DataSpec | None = None) -> Surroundings:
    """Raises StoreUnavailable."""
    with _readable():
        files = _listed(project_dir)
        code = _code_of(files)
        return Surroundings(
            _digest(project_dir, (*code, *_read_of(project_dir, files, data))),
            environment_digest(),
            git_state(project_dir),
            _digest(project_dir, code),
        )


def refuse_change(project_dir: Path, around: Surroundings) -> None:
    """Raises CodeChanged where a module is another than when the run began: what was made may be of either, and would be kept under the key of the first.
    StoreUnavailable where one cannot be read."""
    with _readable():
        now = _digest(project_dir, code_files(project_dir))
    if now != around.modules_digest:
        raise CodeChanged(
            "the project's code changed while it ran", expected="the same *.py from beginning to end", next_step="run again"
        )


def code_files(project_dir: Path) -> tuple[Path, ...]:
    """Every *.py of the project, relative to its directory, sorted."""
    return _code_of(_listed(project_dir, modules_alone=True))


def read_files(project_dir: Path, data: DataSpec | None = None) -> tuple[Path, ...]:
    """Files that a module names and does not only write, relative to the project's directory, sorted: what it reads decides what it gives.

    None of them: what lies in `data/` or is hidden, logs, and the rows of `data`: the snapshot says whether those changed. Of a loader they are taken to be
    the tables that its module names.
    """
    return _read_of(project_dir, _listed(project_dir), data)


def _code_of(files: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path for path in files if path.suffix == ".py")


def _read_of(project_dir: Path, files: tuple[Path, ...], data: DataSpec | None) -> tuple[Path, ...]:
    modules = {path: _chunks(project_dir / path) for path in _code_of(files)}
    source = data.source if data is not None else None
    pattern = source.files if source is not None and source.files and not Path(source.files).is_absolute() else None
    rows = {path.relative_to(project_dir) for path in project_dir.glob(pattern)} if pattern else set()
    loader = (
        Path(*source.loader.partition(":")[0].split(".")).with_suffix(".py") if source is not None and source.loader else None
    )
    # A folder of a hundred thousand pictures is not looked for line by line: most of their names stand nowhere.
    whole = b"\n".join(line for text in modules.values() for line in text)
    found = []
    for path in files:
        if path in rows or not _may_be_read(path) or path.name.encode() not in whole:
            continue
        lines = (line for module, text in modules.items() if path.suffix not in _TABLES or module != loader for line in text)
        if any(_reads(line, path) for line in lines):
            found.append(path)
    return tuple(found)


def _chunks(module: Path) -> list[bytes]:
    """Its lines without those that are comments, and its statements of several lines: a formatter puts a name and the call that reads it apart."""
    source = module.read_bytes()
    lines = [b"" if line.lstrip().startswith(b"#") else line for line in source.splitlines()]
    found = [line for line in lines if line]
    with suppress(SyntaxError, ValueError, RecursionError):
        found += [
            b"\n".join(lines[node.lineno - 1 : node.end_lineno])
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.stmt) and not hasattr(node, "body") and (node.end_lineno or 0) > node.lineno
        ]
    return found


def _reads(line: bytes, path: Path) -> bool:
    """Whether it names the file, and not to write it."""
    name = path.name.encode()
    if name not in line:
        return False
    # A name without a suffix (`vocab`) stands in many a line that is about something else.
    if not path.suffix and not re.search(rb"[\"'/]" + re.escape(name) + rb"[\"']", line):
        return False
    rest = line.replace(name, b"")
    return _WRITES.search(rest) is None and (path.suffix in _TEXTS | _TABLES or _CALLS_TO_READ.search(rest) is not None)


def code_digest(project_dir: Path, data: DataSpec | None = None) -> str:
    """Of every *.py of the project, and of what they read (`read_files`), by name and bytes."""
    files = _listed(project_dir)
    return _digest(project_dir, (*_code_of(files), *_read_of(project_dir, files, data)))


def environment_digest() -> str:
    """Of the Python version, the platform and all installed distributions; of those that are installed to be edited, their code."""
    # What one says of itself is read and parsed anew at each question.
    said = [(item, item.metadata) for item in distributions()]
    found = [(item, told["Name"].lower(), told["Version"]) for item, told in said if told["Name"]]
    installed = sorted({f"{name}=={version}" for _, name, version in found})
    # Flyball's own steps say themselves when they give something else.
    edited = {name: place for item, name, _ in found if name != "flyball" and (place := _edited_in(item)) is not None}
    digests = [[name, _digest(place, code_files(place))] for name, place in sorted(edited.items())]
    return codec.digest([
        platform.python_version(), sys.implementation.name, platform.system(), platform.machine(), installed, *([digests] if digests else []),
    ])  # fmt: skip


def own_files(root: Path, paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` below `root` that lie in no folder that is skipped, sorted."""
    known: dict[Path, bool] = {root: True}

    def is_own(folder: Path) -> bool:
        if folder not in known:
            names = [name for name in _TELLING if (folder / name).is_file()]
            known[folder] = not (_is_skipped(folder.name) or _is_kept(names)) and is_own(folder.parent)
        return known[folder]

    return sorted(path for path in paths if not _is_skipped(path.name) and is_own(path.parent))


def _is_skipped(name: str) -> bool:
    return name in _SKIPPED or name.startswith(_STATES)


def _is_kept(names: Collection[str]) -> bool:
    """Of the files of a folder: whether it is a copy of the state, under whatever name, or a package that was exported. Their modules are those of earlier
    runs: a backup must not make the project's code another."""
    return _LEDGER.issubset(names) or _PACKAGE.issubset(names)


def _listed(root: Path, *, modules_alone: bool = False) -> tuple[Path, ...]:
    """Relative to it, sorted, without those in folders that are skipped. Of `data/` modules alone: rows may lie there in a million files."""
    found = []
    for place, folders, names in os.walk(root):
        here = Path(place).relative_to(root)
        if here.parts and _is_kept(names):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not _is_skipped(name)]
        modules = modules_alone or here.parts[:1] == ("data",)
        wanted = (name for name in names if not _is_skipped(name) and (not modules or name.endswith(".py")))
        # Asked of each, not of all that lies there: sockets, pipes and links to nothing cannot be read.
        found += [here / name for name in wanted if (root / here / name).is_file()]
    return tuple(sorted(found))


def _may_be_read(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return not (hidden or path.suffix in {".py", ".log", *_MADE} or path.parts[0] == "data" or path.as_posix() in _OWN)


def _digest(root: Path, paths: tuple[Path, ...]) -> str:
    return codec.digest({path.as_posix(): _digest_of(root / path) for path in paths})


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:  # not at once: weights that a model begins with may be larger than memory
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    status = _git(project_dir, "status", "--porcelain", "--untracked-files=all", "--", ".")
    if status is not None and not status.strip():
        return GitState(commit.decode().strip(), dirty=False, diff_digest=None)
    diff = _git(project_dir, "diff", "--no-ext-diff", "--binary", "HEAD", "--", ".")
    told = None if status is None or diff is None else hashlib.sha256(status + b"\0" + diff).hexdigest()
    return GitState(commit.decode().strip(), dirty=True, diff_digest=told)


def _git(project_dir: Path, *arguments: str) -> bytes | None:
    """What git says; None: it is absent, too slow, or refuses."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=project_dir, capture_output=True, check=False, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

"""A packaged code model, asked where its project is out of reach: what was judged must be what answers, and a file of the project may change or go.

Pickled by value, a project's functions keep the place of their modules: `__file__` and paths made of it lead back to the project for as long as it is there.
So a process of its own gets the model with those places moved to one that does not exist, and the package's modules from a copy.
A text that begins as the project's path may also be a word that the model knows, such as `/app/login` in a project in /app: it is asked with texts as they are,
too, where it answers otherwise, and may then open no file of the project.
"""

import errno
import io
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PosixPath
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple, NoReturn, Self

import msgspec
import numpy as np
import polars as pl

from flyball.adapters import estimators
from flyball.adapters.user_code import LONGEST_WORDS
from flyball.errors import TrainingError
from flyball.machine.parting import end_with_parent, leave
from flyball.records import codec
from flyball.records.scores import Scores
from flyball.records.signature import Signature

_COMMAND = (sys.executable, "-P", "-m", "flyball.adapters.conversion.elsewhere")
_MODEL, _CODE, _ORDER = "model.pkl", "code", "order.json"
_OPENING = ("open", "os.listdir", "os.scandir")
"""Audit events of Python that name a file or a directory."""


class Packed(NamedTuple):
    """What a package has of a model."""

    content: bytes
    code: Sequence[Path]
    """The project's files, relative to it."""
    project_dir: Path


class _Order(msgspec.Struct, frozen=True):
    signature: Signature
    project: str
    moved: str
    """Of the same length in bytes, and not there."""
    libraries: tuple[str, ...]
    """Directories of the project that stay where they are."""
    texts_moved: bool


class _Said(msgspec.Struct, frozen=True):
    """As the child tells it: the scores, or why not."""

    scores: bytes = b""
    kind: str = ""
    file: str = ""
    """That could not be read; empty: it was something else."""
    words: str = ""


def answers_elsewhere(
    packed: Packed, signature: Signature, rows: pl.DataFrame, directory: Path, *, texts_moved: bool = True
) -> Scores:
    """(n_rows, n_scores). `directory`: where there is room for the model once more. Raises TrainingError where the model needs more of the project."""
    project = packed.project_dir.resolve()
    order = _Order(signature, str(project), str(_elsewhere(project)), _libraries(project), texts_moved)
    with TemporaryDirectory(prefix="elsewhere-", dir=directory) as made:
        place = Path(made)
        (place / _MODEL).write_bytes(_moved(packed.content, order) if texts_moved else packed.content)
        for relative in packed.code:
            target = place / _CODE / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project / relative, target)
        (place / _ORDER).write_bytes(codec.encode(order))
        # Rows go through the pipe: a process that is killed would leave them lying about.
        asked = io.BytesIO()
        rows.write_parquet(asked)
        child = subprocess.run(
            _COMMAND, cwd=place, input=asked.getvalue(), stdout=subprocess.PIPE, check=False, start_new_session=True
        )
    if not child.stdout:  # its exit code says nothing where it has answered: it ends with all that the model has forked
        raise TrainingError(f"the process in which the served model is asked without its project {_ended(child.returncode)}")
    said = codec.decode(child.stdout, _Said)
    if said.kind:
        raise _needs_more(said)
    found: Scores = np.load(io.BytesIO(said.scores), allow_pickle=False)
    return found


def _ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed: most likely there was not enough memory for the model once more"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _needs_more(said: _Said) -> TrainingError:
    if said.file:
        return TrainingError(
            f"the model needs {said.file} when it is asked", expected="a model that answers by what is in its package",
            next_step="read it in train() and keep what it holds in the estimator; a model that is asked writes no files", detail=said.words,
        )  # fmt: skip
    return TrainingError(
        f"the served model fails where its project is out of reach: {said.kind}", expected="a model that answers by what is in its package",
        next_step="keep in the estimator what it needs", detail=said.words,
    )  # fmt: skip


def _elsewhere(project: Path) -> Path:
    """A path that is not there, as long in bytes: in a pickle the length of a text stands before it."""
    length = len(os.fsencode(project.name))
    names = (project.with_name(letter * length) for letter in "~_0123456789" if length)
    return next((each for each in names if not os.path.lexists(each)), project)


def _libraries(project: Path) -> tuple[str, ...]:
    prefix = Path(sys.prefix)
    own = {prefix.relative_to(project).parts[0]} if prefix.is_relative_to(project) and prefix != project else set()
    return tuple(sorted({".venv", "venv"} | own))


def _moved(content: bytes, order: _Order) -> bytes:
    """Texts that begin with the project's path alone: a path is several of them, and is moved where it is read."""
    path = re.escape(os.fsencode(order.project))
    libraries = b"|".join(re.escape(os.fsencode(name)) for name in order.libraries)
    # Before a text in a pickle stands its length in one byte or in four, and \x94 after it, which remembers it. Looked for from its beginning, which is found fast.
    begins = rb"(?:(?<=\x8c." + path + rb")|(?<=X..\x00\x00" + path + rb"))"
    texts = re.compile(path + begins + rb"(?=[/\x94])(?!/(?:" + libraries + rb")[/\x94])", re.DOTALL)
    return texts.sub(lambda _: os.fsencode(order.moved), content)


def _within(path: Path, order: _Order) -> Path | None:
    """Relative to the project; None: it is not of it, or of a library that lies there."""
    if not path.is_relative_to(order.project):
        return None
    relative = path.relative_to(order.project)
    return None if relative.parts[:1] and relative.parts[0] in order.libraries else relative


def _read(file: BinaryIO, order: _Order) -> Any:
    class Moved(PosixPath):
        def __new__(cls, *parts: str) -> Self:
            path = PosixPath(*parts)
            relative = _within(path, order)
            return path if relative is None else PosixPath(order.moved) / relative  # type: ignore[return-value]

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found = super().find_class(module, name)
            return Moved if found is PosixPath else found

    return Unpickler(file).load()


def _keep_from_project(place: Path, order: _Order) -> None:
    """From now on no file of it is opened here, by whatever name."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _OPENING or not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = Path(os.path.abspath(os.fsdecode(arguments[0])))
        if not path.is_relative_to(place) and _within(path, order) is not None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    sys.addaudithook(look)


def _answered(place: Path, rows: bytes) -> _Said:
    order = codec.decode((place / _ORDER).read_bytes(), _Order)
    sys.path.insert(0, str(place / _CODE))
    try:
        if not order.texts_moved:
            _keep_from_project(place, order)
        with (place / _MODEL).open("rb") as content:
            estimator = _read(content, order)
        scores = estimators.score(estimator, pl.read_parquet(io.BytesIO(rows)), order.signature)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code: whatever it raises is the answer
        roots = (place / _CODE, Path(order.moved), *([] if order.texts_moved else [Path(order.project)]))
        file = next((found for each in _chain(error) if (found := _file_of(each, *roots))), "")
        words = f"{type(error).__name__}: {error}".replace(order.moved, order.project)
        return _Said(kind=type(error).__name__, file=file, words=words[:LONGEST_WORDS])
    kept = io.BytesIO()
    np.save(kept, scores, allow_pickle=False)
    return _Said(kept.getvalue())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _file_of(error: BaseException, *roots: Path) -> str:
    """As it is named in the project."""
    name = error.filename if isinstance(error, OSError) else None
    if isinstance(name, str | bytes):
        path = Path(os.fsdecode(name))
        own = (path.relative_to(root) for root in roots if path.is_relative_to(root))
        return str(next(own, path))
    # Libraries that are not Python's own say it in words.
    found = re.search("|".join(re.escape(str(root)) + r"/([^\s'\":,;)]+)" for root in roots), str(error))
    return next((part for part in found.groups() if part), "") if found else ""


def main() -> NoReturn:
    """The child: what the model prints belongs into the log, not into the answer."""
    end_with_parent()
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        answer.write(codec.encode(_answered(Path.cwd(), sys.stdin.buffer.read())))
    leave()


if __name__ == "__main__":
    main()

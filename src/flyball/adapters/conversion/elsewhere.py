"""A packaged code model, asked where its project is out of reach: what was judged must be what answers, and a file of the project may change or go.

Pickled by value, a project's functions keep the place of their modules: `__file__` and paths made of it lead back to the project for as long as it is there.
So a process of its own gets the model with those places moved to one that does not exist, and the package's modules from a copy.
"""

import io
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PosixPath
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, Self

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


class _Order(msgspec.Struct, frozen=True):
    signature: Signature
    project: str
    moved: str
    """Of the same length in bytes, and not there."""


class _Said(msgspec.Struct, frozen=True):
    """As the child tells it: the scores, or why not."""

    scores: bytes = b""
    kind: str = ""
    file: str = ""
    """That could not be read; empty: it was something else."""
    words: str = ""


def answers_elsewhere(
    content: bytes, code: Sequence[Path], project_dir: Path, signature: Signature, rows: pl.DataFrame
) -> Scores:
    """(n_rows, n_scores). `code`: the project's files that are packed, relative to it. Raises TrainingError where the model needs more of the project."""
    project = project_dir.resolve()
    moved = _elsewhere(project)
    with TemporaryDirectory(prefix="flyball-") as made:
        place = Path(made)
        (place / _MODEL).write_bytes(_moved(content, project, moved))
        for relative in code:
            target = place / _CODE / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project / relative, target)
        (place / _ORDER).write_bytes(codec.encode(_Order(signature, str(project), str(moved))))
        # Rows go through the pipe: a process that is killed would leave them lying about.
        asked = io.BytesIO()
        rows.write_parquet(asked)
        child = subprocess.run(
            _COMMAND, cwd=place, input=asked.getvalue(), stdout=subprocess.PIPE, check=False, start_new_session=True
        )
    if not child.stdout:  # its exit code says nothing where it has answered: it ends with all that the model has forked
        raise TrainingError(
            f"the process in which the served model is asked without its project ended with exit code {child.returncode}"
        )
    said = codec.decode(child.stdout, _Said)
    if said.kind:
        raise _needs_more(said)
    found: Scores = np.load(io.BytesIO(said.scores), allow_pickle=False)
    return found


def _needs_more(said: _Said) -> TrainingError:
    if said.file:
        return TrainingError(
            f"the model reads {said.file} when it is asked", expected="a model that answers by what is in its package",
            next_step="read it in train() and keep what it holds in the estimator", detail=said.words,
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


def _moved(content: bytes, project: Path, moved: Path) -> bytes:
    """Texts alone: a path is several of them, and is moved where it is read. Libraries that lie in the project stay where they are."""
    kept = {".venv", "venv"}
    if (prefix := Path(sys.prefix)).is_relative_to(project):
        kept.add(prefix.relative_to(project).parts[0])
    libraries = b"|".join(re.escape(os.fsencode(name)) for name in sorted(kept))
    # What follows a text in a pickle is \x94, which remembers it.
    texts = re.compile(re.escape(os.fsencode(project)) + rb"(?=[/\x94])(?!/(?:" + libraries + rb")/)")
    return texts.sub(lambda _: os.fsencode(moved), content)


def _read(content: bytes, order: _Order) -> Any:
    project, moved = Path(order.project), Path(order.moved)

    class Moved(PosixPath):
        def __new__(cls, *parts: str) -> Self:
            path = PosixPath(*parts)
            return moved / path.relative_to(project) if path.is_relative_to(project) else path  # type: ignore[return-value]

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found = super().find_class(module, name)
            return Moved if found is PosixPath else found

    return Unpickler(io.BytesIO(content)).load()


def _answered(place: Path, rows: bytes) -> _Said:
    order = codec.decode((place / _ORDER).read_bytes(), _Order)
    sys.path.insert(0, str(place / _CODE))
    try:
        estimator = _read((place / _MODEL).read_bytes(), order)
        scores = estimators.score(estimator, pl.read_parquet(io.BytesIO(rows)), order.signature)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code: whatever it raises is the answer
        file = next((found for each in _chain(error) if (found := _file_of(each, place / _CODE, Path(order.moved)))), "")
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

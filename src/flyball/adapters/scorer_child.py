"""Scores rows with a registered package of any format, in a child process: a code format runs foreign code, and no process that serves or controls does."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from flyball.adapters.durable import PRIVATE_UMASK, replace_file
from flyball.adapters.model_input import frame_of_mappings
from flyball.adapters.packages import LocalPackages
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.errors import FlyballError, ModelFailed
from flyball.records import codec
from flyball.records.scores import Scores

COMMAND = (sys.executable, "-P", "-m", "flyball.adapters.scorer_child")
END_SECONDS = 10.0
ENDING_SECONDS = 1.0
"""Between the end of its output and its own: it has an exit code then."""


class ChildScorer:
    """`with ChildScorer(DIR) as scorer:` one child for all calls, started at the first; its model stays loaded.

    `DIR` holds `rows.parquet` (model input), `scores.npy` or `error.json`, and the child's `log`. A line with the package's path asks, an empty line answers.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str], most_seconds: float | None = None) -> None:
        """`environment`: all that the child sees of this process's; it runs a model's code. `most_seconds`: of one call, loading included; a child that takes
        longer is ended, and has failed."""
        self._directory = directory
        self._environment = environment
        self._most_seconds = most_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def score(self, package: Path, rows: Sequence[Mapping[str, Any]]) -> Scores:
        """(n_rows, n_scores). Raises ModelFailed with the child's own words when it cannot answer."""
        child = self._process or self._start()
        for name in ("scores.npy", "error.json"):
            (self._directory / name).unlink(missing_ok=True)
        frame_of_mappings(rows, LocalPackages().signature(package)).write_parquet(self._directory / "rows.parquet")
        if child.stdin is None or child.stdout is None:
            raise ModelFailed("the scoring child has no pipes")
        killer = threading.Timer(self._most_seconds or 0.0, child.kill)
        if self._most_seconds is not None:
            killer.start()
        try:
            child.stdin.write(f"{package}\n".encode())
            child.stdin.flush()
            said = child.stdout.readline()
        except BrokenPipeError:
            said = b""
        finally:
            killer.cancel()
        if said != b"\n":
            raise ModelFailed(self._forgotten(child, said), next_step=f"look into {self._log}")
        if (self._directory / "error.json").exists():
            raise ModelFailed(codec.decode((self._directory / "error.json").read_bytes(), dict[str, str])["words"])
        found: Scores = np.load(self._directory / "scores.npy", allow_pickle=False)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        child, self._process = self._process, None
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()  # the end of its input is the end of the child
        killer = threading.Timer(END_SECONDS, child.kill)
        killer.start()
        try:
            child.wait()
        finally:
            killer.cancel()
            if child.stdout is not None:
                child.stdout.close()

    def _forgotten(self, child: subprocess.Popen[bytes], said: bytes) -> str:
        """Why a child answers no more; the next call starts another."""
        self._process = None
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.0 if said else ENDING_SECONDS)
        child.kill()  # it may live on, and wait for the next question as we would for its end
        code = child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):  # what was not sent cannot be any more
                if pipe is not None:
                    pipe.close()
        return "the scoring child said what is no answer" if said else f"the scoring child ended with exit code {code}"

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _start(self) -> subprocess.Popen[bytes]:
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, str(self._directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, umask=PRIVATE_UMASK,
                env=dict(self._environment),
            )  # fmt: skip
        return self._process


class OneCallScorer:
    """One child a call: a challenger that is asked once has no business to stay."""

    def __init__(self, directory: Path, environment: Mapping[str, str], most_seconds: float) -> None:
        """As `ChildScorer`."""
        self._directory = directory
        self._environment = environment
        self._most_seconds = most_seconds

    def score(self, package: Path, rows: Sequence[Mapping[str, Any]]) -> Scores:
        """As `ChildScorer.score`."""
        with ChildScorer(self._directory, self._environment, self._most_seconds) as scorer:
            return scorer.score(package, rows)


def main(directory: Path) -> int:
    """The child: one answer a line, until its input ends."""
    # What the model prints belongs into the log, not between the answers: also what native code writes to the descriptor itself.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return _answer_all(answers, directory)


def _answer_all(answers: BinaryIO, directory: Path) -> int:
    scorer = PackageScorer(in_child=True)
    for line in sys.stdin.buffer:
        _answer(scorer, Path(line.decode().rstrip("\n")), directory)
        answers.write(b"\n")
        answers.flush()
    return 0


def _answer(scorer: PackageScorer, package: Path, directory: Path) -> None:
    import polars as pl

    try:
        scores = scorer.score_frame(package, pl.read_parquet(directory / "rows.parquet", glob=False))
    except FlyballError as error:
        replace_file(directory / "error.json", codec.encode({"words": error.message}))
        return
    np.save(directory / "scores.npy", scores, allow_pickle=False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

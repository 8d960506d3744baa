"""Scores rows with a registered package of any format, in a child process: a code format runs foreign code, and no process that serves or controls does."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Self

import msgspec
import numpy as np

from flyball.adapters.durable import PRIVATE_UMASK, replace_file
from flyball.adapters.packages import LocalPackages
from flyball.errors import FlyballError, ModelFailed
from flyball.machine.parting import end_with_parent, leave
from flyball.records import codec
from flyball.records.scores import Scores

if TYPE_CHECKING:
    from flyball.adapters.scorer_onnx import PackageScorer

COMMAND = (sys.executable, "-P", "-m", "flyball.adapters.scorer_child")
END_SECONDS = 10.0
ENDING_SECONDS = 1.0
"""Between the end of its output and its own: it has an exit code then."""
PART = 200
"""Rows of a call where what is answered in time counts: a slow model has answered some of them, a quick one loses nothing."""
FILES = ("rows.parquet", "scores.npy", "error.json")
"""What goes between a scorer and its child."""


class Unopened(ModelFailed):
    """The package itself cannot be opened: it answers no row, whichever it is asked."""


class _Failure(msgspec.Struct, frozen=True):
    """As the child tells it."""

    words: str
    opened: bool


def remove_left(directory: Path) -> None:
    """What a process that was killed while it asked could not delete any more. For who is alone with `directory`: another may be asking."""
    for name in FILES:
        with suppress(OSError):  # they keep nobody from work
            (directory / name).unlink(missing_ok=True)


class ChildScorer:
    """`with ChildScorer(DIR) as scorer:` one child for all calls, started at the first; its model stays loaded.

    `DIR` holds `rows.parquet` (model input), `scores.npy` or `error.json`, and the child's `log`, which alone stays: rows may be of persons, and nobody would
    remember to delete them. A line with the package's path asks, an empty line answers.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        """`environment`: all that the child sees of this process's; it runs a model's code."""
        self._directory = directory
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def score(self, package: Path, rows: Sequence[Mapping[str, Any]], most_seconds: float | None = None) -> Scores:
        """(n_rows, n_scores). Raises ModelFailed with the child's own words when it cannot answer them all. `most_seconds`: loading included; a child that takes
        longer is ended, and is late."""
        child = self._process or self._start()
        # Brings Polars, while the child is starting: most who could ask, `flyball status` among them, never do.
        from flyball.adapters.model_input import frame_of_mappings

        self._remove("scores.npy", "error.json")
        frame_of_mappings(rows, LocalPackages().signature(package)).write_parquet(self._directory / "rows.parquet")
        said, late = _asked(child, package, most_seconds)
        if said != b"\n":
            words = self._forgotten(child, said)
            if late:
                words = f"it did not answer within the {most_seconds:.0f} s that were left"
            failed = ModelFailed(words, next_step=f"look into {self._log}", died=True)
            failed.late = late
            raise failed
        if (self._directory / "error.json").exists():
            told = codec.decode((self._directory / "error.json").read_bytes(), _Failure)
            raise (ModelFailed if told.opened else Unopened)(told.words)
        found: Scores = np.load(self._directory / "scores.npy", allow_pickle=False)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        child, self._process = self._process, None
        try:
            if child is not None:
                _end(child)
        finally:
            self._remove(*FILES)

    def _remove(self, *names: str) -> None:
        for name in names:
            (self._directory / name).unlink(missing_ok=True)

    def _forgotten(self, child: subprocess.Popen[bytes], said: bytes) -> str:
        """Why a child answers no more; the next call starts another."""
        self._process = None
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.0 if said else ENDING_SECONDS)
        _kill(child)  # it may live on, and wait for the next question as we would for its end
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
                env=dict(self._environment), start_new_session=True,
            )  # fmt: skip
        return self._process


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()  # the end of its input is the end of the child
    killer = threading.Timer(END_SECONDS, _kill, (child,))
    killer.start()
    try:
        child.wait()
    finally:
        killer.cancel()
        if child.stdout is not None:
            child.stdout.close()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """With all that its model has forked, which would hold its output open: its end would never be heard."""
    if child.returncode is None:  # a group keeps its number until its first process has been waited for
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def _asked(child: subprocess.Popen[bytes], package: Path, most_seconds: float | None) -> tuple[bytes, bool]:
    """(what it said, whether it was ended for its lateness)"""
    if child.stdin is None or child.stdout is None:
        raise ModelFailed("the scoring child has no pipes")
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(child)

    killer = threading.Timer(most_seconds or 0.0, end)
    if most_seconds is not None:
        killer.start()
    try:
        child.stdin.write(f"{package}\n".encode())
        child.stdin.flush()
        return child.stdout.readline(), late.is_set()
    except BrokenPipeError:
        return b"", late.is_set()
    finally:
        killer.cancel()


class OneCallScorer:
    """One child a call: a challenger that is asked once has no business to stay."""

    def __init__(self, directory: Path, environment: Mapping[str, str], most_seconds: float) -> None:
        """`environment`: as of `ChildScorer`. `most_seconds`: of a whole call, loading included."""
        self._directory = directory
        self._environment = environment
        self._most_seconds = most_seconds

    def score(self, package: Path, rows: Sequence[Mapping[str, Any]]) -> Scores:
        """(n_asked, n_scores) of as many of the first rows as there was time for; NaN: it could not answer that one. Raises ModelFailed: it answered none."""
        until = time.monotonic() + self._most_seconds
        n_scores = LocalPackages().signature(package).n_scores
        with ChildScorer(self._directory, self._environment) as scorer:
            return in_parts(partial(scorer.score, package), rows, n_scores, lambda: until - time.monotonic())


def in_parts(
    score: Callable[[Sequence[Mapping[str, Any]], float], Scores],
    rows: Sequence[Mapping[str, Any]],
    n_scores: int,
    left: Callable[[], float],
) -> Scores:
    """As `OneCallScorer.score`: a part that fails is halved until the rows are found that it fails by. In their order, so that those that were asked when the
    time (`left`, in seconds) ended are all of a span of time, and not those that are answered quickly."""
    waiting = [rows[at : at + PART] for at in range(0, len(rows), PART)][::-1]
    found: list[Scores] = []
    first: ModelFailed | None = None
    answered = False
    while waiting and (not found or left() > 0.0):
        part = waiting.pop()
        try:
            found.append(score(part, max(left(), 0.0)))
            answered = True
        except ModelFailed as failed:
            if failed.late and found:
                break
            if failed.late or failed.died or isinstance(failed, Unopened):
                raise
            first, half = first or failed, len(part) // 2
            if half:
                waiting += [part[half:], part[:half]]
            else:
                found.append(np.full((1, n_scores), np.nan))
    table: Scores = np.concatenate(found) if found else np.zeros((0, n_scores))
    if first is not None and not answered and len(table) == len(rows):
        raise first
    return table


def main(directory: Path) -> NoReturn:
    """The child: one answer a line, until its input ends, or whoever asks does."""
    end_with_parent()
    # What the model prints belongs into the log, not between the answers: also what native code writes to the descriptor itself.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        _answer_all(answers, directory)
    leave()


def _answer_all(answers: BinaryIO, directory: Path) -> None:
    from flyball.adapters.scorer_onnx import PackageScorer

    scorer, raised = PackageScorer(in_child=True), set[str]()
    for line in sys.stdin.buffer:
        _answer(scorer, Path(line.decode().rstrip("\n")), directory, raised)
        answers.write(b"\n")
        answers.flush()


def _answer(scorer: "PackageScorer", package: Path, directory: Path, raised: set[str]) -> None:
    """`raised`: kinds of errors that are in the log already: whoever looks for the rows of one raises it at each of them."""
    import polars as pl

    frame, opened = pl.read_parquet(directory / "rows.parquet", glob=False), False
    try:
        scorer.opened(package)
        opened = True
        np.save(directory / "scores.npy", scorer.score_frame(package, frame), allow_pickle=False)
    except (MemoryError, OSError):  # of the machine, and no fault of the model: this child ends
        raise
    except FlyballError as error:
        replace_file(directory / "error.json", codec.encode(_Failure(error.message, opened)))
    except Exception as error:  # noqa: BLE001 - foreign code: its words may quote a row, so they stay in the log
        if (kind := type(error).__name__) not in raised:
            raised.add(kind)
            traceback.print_exc()
        replace_file(directory / "error.json", codec.encode(_Failure(f"the model raised {kind}", opened)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

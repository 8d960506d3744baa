"""The user's own metrics of a window's labels, measured where foreign code may run: in a child process that ends with its answer."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.adapters.durable import PRIVATE_UMASK
from flyball.adapters.user_code import kind_and_place, user_code
from flyball.control.ports import UserFigure
from flyball.errors import FlyballError
from flyball.records import codec

Floats = NDArray[np.float64]
Function = Callable[[Floats, Floats], Any]

COMMAND = (sys.executable, "-P", "-m", "flyball.adapters.user_metrics")
TIME_LIMIT_SECONDS = 60.0
"""For all metrics of a window together: control waits for it."""
FILES = ("scores.npy", "labels.npy", "order.json", "figures.json")
RESAMPLES = 200
"""Bootstrap: the ends of a 95 % interval then rest on five resamples each."""
MOST_UNDEFINED = 0.1
"""Share of resamples that may leave the metric undefined: beyond it the interval would speak of other rows."""


class MemoryMetrics:
    """Functions of this process, by entry point."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions

    def measure(self, entrypoints: Mapping[str, str], scores: Floats, labels: Floats) -> dict[str, UserFigure]:
        return {name: figure_of(self._functions[place], scores, labels) for name, place in entrypoints.items()}


class ChildMetrics:
    """`directory`: where rows and answers lie for as long as the child lives."""

    def __init__(self, project_dir: Path, directory: Path, environment: Mapping[str, str]) -> None:
        """`environment`: all that the child sees of this process's."""
        self._project_dir = project_dir
        self._environment = environment
        self._directory = directory

    def measure(self, entrypoints: Mapping[str, str], scores: Floats, labels: Floats) -> dict[str, UserFigure]:
        """Raises nothing: what cannot be measured says why. Rows are deleted at the end: nobody would remember them, and `capture.keep` bounds what
        is kept of persons. So is the log, where there is nothing to look for in it."""
        log = self._directory / "log"
        remove_left(self._directory)
        try:
            figures = self._measured(entrypoints, scores, labels, log)
        except (OSError, ValueError) as error:  # a full disk, or an answer that is none
            reason = error.strerror if isinstance(error, OSError) else "its answer cannot be read"
            return _unmeasured(entrypoints, f"{reason or type(error).__name__}; see {log}")
        finally:
            remove_left(self._directory)
        if not any(figure.note for figure in figures.values()):
            with suppress(OSError):
                log.unlink(missing_ok=True)
        return figures

    def _measured(self, entrypoints: Mapping[str, str], scores: Floats, labels: Floats, log: Path) -> dict[str, UserFigure]:
        """Raises OSError, ValueError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        np.save(self._directory / "scores.npy", scores, allow_pickle=False)
        np.save(self._directory / "labels.npy", labels, allow_pickle=False)
        (self._directory / "order.json").write_bytes(codec.encode(dict(entrypoints)))
        command = [*COMMAND, str(self._project_dir), str(self._directory)]
        with log.open("wb") as written:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=written, stderr=written, umask=PRIVATE_UMASK, env=dict(self._environment),
                start_new_session=True,
            )  # fmt: skip
        try:
            status = child.wait(TIME_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # and whatever it has started
            child.wait()
            return _unmeasured(entrypoints, f"not done after {TIME_LIMIT_SECONDS:g} s")
        answered = self._directory / "figures.json"
        if status != 0 or not answered.exists():
            return _unmeasured(entrypoints, f"its process ended with exit code {status}; see {log}")
        figures = codec.decode(answered.read_bytes(), dict[str, UserFigure])
        return {name: figures.get(name, UserFigure(note=f"its process did not say; see {log}")) for name in entrypoints}


def remove_left(directory: Path) -> None:
    """Rows that were measured, or that a process which was killed meanwhile could not delete any more. For who is alone with `directory`."""
    for name in FILES:
        with suppress(OSError):  # they keep nobody from work
            (directory / name).unlink(missing_ok=True)


def _unmeasured(entrypoints: Mapping[str, str], why: str) -> dict[str, UserFigure]:
    return {name: UserFigure(note=why) for name in entrypoints}


def figure_of(function: Function, scores: Floats, labels: Floats) -> UserFigure:
    """The metric with a percentile bootstrap interval of 95 % over rows (Efron & Tibshirani 1993, chapter 13), at one look; seeded by the rows."""
    given = scores[:, 0] if scores.shape[1] == 1 else scores
    try:
        # Copies: what a function does to its arguments must not reach the resamples, nor the next metric.
        value = _number(function(labels.copy(), given.copy()))
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything; what it said itself may be private
        return UserFigure(note=f"it raised {type(error).__name__}")
    if value is None:
        return UserFigure(note="it gave no finite number")
    draw = np.random.default_rng(int.from_bytes(hashlib.sha256(scores.tobytes() + labels.tobytes()).digest()[:8], "big"))
    drawn = [_resampled(function, given, labels, draw.integers(0, labels.size, labels.size)) for _ in range(RESAMPLES)]
    defined = [each for each in drawn if each is not None]
    if len(defined) < (1.0 - MOST_UNDEFINED) * RESAMPLES:
        return UserFigure(value=value, note=f"no interval: undefined on {RESAMPLES - len(defined)} of {RESAMPLES} resamples")
    lower, upper = (float(end) for end in np.quantile(defined, (0.025, 0.975)))
    return UserFigure(value=value, lower=lower, upper=upper)


def _resampled(function: Function, scores: Floats, labels: Floats, rows: NDArray[np.int64]) -> float | None:
    try:
        return _number(function(labels[rows], scores[rows]))
    except Exception:  # noqa: BLE001 - a resample without some class may be no question to it
        return None


def _number(found: Any) -> float | None:
    try:
        value = float(found)
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None


def main(project_dir: Path, directory: Path) -> int:
    """The child."""
    order = codec.decode((directory / "order.json").read_bytes(), dict[str, str])
    scores, labels = (np.load(directory / f"{name}.npy", allow_pickle=False) for name in ("scores", "labels"))
    figures: dict[str, UserFigure] = {}
    with user_code(project_dir) as load:
        for name, place in order.items():
            try:
                function = load(place)
            except FlyballError as error:
                figures[name] = UserFigure(note=error.message)
            except BaseException as error:  # noqa: BLE001 - an import may end the process
                figures[name] = UserFigure(note=kind_and_place(error, project_dir))
            else:
                figures[name] = figure_of(function, scores, labels)
    (directory / "figures.json").write_bytes(codec.encode(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

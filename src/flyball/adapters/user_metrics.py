"""The user's own metrics of a window's labels, measured where foreign code may run: in a child process that ends with its answer."""

import hashlib
import math
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
from flyball.monitoring.realised import Weighting
from flyball.records import codec
from flyball.stats.weighted_bootstrap import LEAST_RESAMPLED, bootstrap_interval, value_of
from flyball.stats.weighted_metrics import Rows, effective_size

Floats = NDArray[np.float64]
Function = Callable[[Floats, Floats], Any]

COMMAND = (sys.executable, "-P", "-m", "flyball.adapters.user_metrics")
TIME_LIMIT_SECONDS = 60.0
"""For all metrics of a window together: control waits for it."""
FILES = ("scores.npy", "labels.npy", "weighting.npz", "order.json", "figures.json")
ALPHA = 0.05
RESAMPLES = 200
"""Bootstrap: the ends of a 95 % interval then rest on five resamples each."""


class MemoryMetrics:
    """Functions of this process, by entry point."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions

    def measure(
        self, entrypoints: Mapping[str, str], scores: Floats, labels: Floats, weighting: Weighting | None = None
    ) -> dict[str, UserFigure]:
        rows = _rows(scores, labels, weighting)
        return {name: figure_of(self._functions[place], rows) for name, place in entrypoints.items()}


class ChildMetrics:
    """`directory`: where rows and answers lie for as long as the child lives."""

    def __init__(self, project_dir: Path, directory: Path, environment: Mapping[str, str]) -> None:
        """`environment`: all that the child sees of this process's."""
        self._project_dir = project_dir
        self._environment = environment
        self._directory = directory

    def measure(
        self, entrypoints: Mapping[str, str], scores: Floats, labels: Floats, weighting: Weighting | None = None
    ) -> dict[str, UserFigure]:
        """Raises nothing: what cannot be measured says why. Rows are deleted at the end: nobody would remember them, and `capture.keep` bounds what
        is kept of persons. So is the log, where there is nothing to look for in it."""
        log = self._directory / "log"
        remove_left(self._directory)
        try:
            figures = self._measured(entrypoints, _rows(scores, labels, weighting), log)
        except (OSError, ValueError) as error:  # a full disk, or an answer that is none
            reason = error.strerror if isinstance(error, OSError) else "its answer cannot be read"
            return _unmeasured(entrypoints, f"{reason or type(error).__name__}; see {log}")
        finally:
            remove_left(self._directory)
        if not any(figure.note for figure in figures.values()):
            with suppress(OSError):
                log.unlink(missing_ok=True)
        return figures

    def _measured(self, entrypoints: Mapping[str, str], rows: Rows, log: Path) -> dict[str, UserFigure]:
        """Raises OSError, ValueError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        np.save(self._directory / "scores.npy", rows.scores, allow_pickle=False)
        np.save(self._directory / "labels.npy", rows.labels, allow_pickle=False)
        if rows.groups is not None and rows.group_log_sd is not None:
            np.savez(self._directory / "weighting.npz", weights=rows.weights, groups=rows.groups, group_log_sd=rows.group_log_sd)
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


def _rows(scores: Floats, labels: Floats, weighting: Weighting | None) -> Rows:
    if weighting is None:
        return Rows(scores, labels, np.ones(labels.size))
    return Rows(scores, labels, weighting.weights, weighting.groups, weighting.group_log_sd)


def figure_of(function: Function, rows: Rows) -> UserFigure:
    """The metric of rows that count as their weights say, with an interval of 95 % at one look where there are rows enough; seeded by the rows."""
    given = rows._replace(scores=rows.scores[:, 0] if rows.scores.shape[1] == 1 else rows.scores)

    def value(scores: Floats, labels: Floats) -> float:
        return _number(function(labels, scores))

    def resampled(scores: Floats, labels: Floats) -> float:
        try:
            return value(scores, labels)
        except Exception:  # noqa: BLE001 - a resample without some class may be no question to it
            return math.nan

    try:
        told = value_of(value, given)
    except _NoNumber:
        return UserFigure(note="it gave no finite number")
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything; what it said itself may be private
        return UserFigure(note=f"it raised {type(error).__name__}")
    size = effective_size(rows.weights)
    if size < LEAST_RESAMPLED:
        return UserFigure(value=told, note=f"no interval: rows that count as {size:.0f}, a bootstrap needs {LEAST_RESAMPLED}")
    seed = int.from_bytes(hashlib.sha256(b"".join(part.tobytes() for part in rows[:3])).digest()[:8], "big")
    try:
        _, lower, upper = bootstrap_interval(resampled, given, alpha=ALPHA, seed=seed, n_resamples=RESAMPLES)
    except ValueError as why:
        return UserFigure(value=told, note=f"no interval: {why}")
    return UserFigure(value=told, lower=lower, upper=upper)


class _NoNumber(Exception):
    """Not an error of the function's: it answered, with something else."""


def _number(found: Any) -> float:
    """Raises _NoNumber."""
    try:
        value = float(found)
    except (TypeError, ValueError):
        raise _NoNumber from None
    if not math.isfinite(value):
        raise _NoNumber
    return value


def main(project_dir: Path, directory: Path) -> int:
    """The child."""
    order = codec.decode((directory / "order.json").read_bytes(), dict[str, str])
    scores, labels = (np.load(directory / f"{name}.npy", allow_pickle=False) for name in ("scores", "labels"))
    rows = _rows(scores, labels, None)
    if (directory / "weighting.npz").exists():
        with np.load(directory / "weighting.npz", allow_pickle=False) as parts:
            rows = rows._replace(**parts)
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
                figures[name] = figure_of(function, rows)
    (directory / "figures.json").write_bytes(codec.encode(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

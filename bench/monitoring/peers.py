"""Other projects' monitors, each in an environment of its own, spoken to through a worker there."""

import json
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench.monitoring.frames import Frame, Past
from bench.monitoring.subjects import Look, Subject, Watch, feature_of

WORKERS = Path(__file__).parent / "workers"
REQUIREMENTS = {
    "evidently": ("evidently==0.7.23", "pandas<3"),
    "nannyml": (
        "nannyml==0.13.1",
        "pandas<2",
        "numpy<2",
        "statsmodels",
    ),  # it was compiled against the older two, and forgets the last
    "whylogs": ("whylogs[viz]==1.6.4", "pandas<3", "numpy<2"),
    "river": ("river==0.26.1", "pandas"),
    "alibi-detect": ("alibi-detect==0.13.0", "pandas<3"),
}
"""Environment below `venvs` of the bench root → what to install there."""
OF_DRIFT = {
    "evidently": "evidently_worker.py",
    "nannyml": "nannyml_worker.py",
    "whylogs": "whylogs_worker.py",
    "alibi-detect": "alibi_worker.py",
}
"""Peers that judge windows → the worker."""
VARIABLES = {
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
    "HOME": tempfile.gettempdir(),
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
MOST_CELLS = 4_000_000
"""Values in one file to a worker: 32 MB of numbers."""


class Missing(Exception):
    """The peer is not here; it is skipped with this reason."""


class Worker:
    """One process in a peer's environment."""

    def __init__(self, root: Path | None, environment: str, script: str) -> None:
        if root is None:
            raise Missing("no --root")
        python = root / "venvs" / environment / "bin" / "python"
        if not python.exists():
            raise Missing(f"no {python}: python -m bench.monitoring setup --root {root}")
        self.name = environment
        self._directory = tempfile.TemporaryDirectory(prefix=f"bench-{environment}-")
        self._process = subprocess.Popen(
            [str(python), "-W", "ignore", str(WORKERS / script)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=VARIABLES,
        )  # fmt: skip

    def ask(self, frames: list[Frame], **asked: Any) -> Any:
        """Raises RuntimeError with the worker's own words when it failed."""
        path = Path(self._directory.name) / "rows.npz"
        write(path, frames)
        return self._say({**asked, "file": str(path)})

    def _say(self, asked: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: its process ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise RuntimeError(f"{self.name}: {answer['failed']}")
        return answer["told"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._directory.cleanup()


def write(path: Path, frames: list[Frame]) -> None:
    """The workers' format: one array a column, all frames one below the other; ids of columns, because a name may not be one of a file."""
    names = tuple(frames[0].seen)
    seen = [frame.seen for frame in frames]
    columns = {f"c{place}": _plain(np.concatenate([each[name] for each in seen])) for place, name in enumerate(names)}
    np.savez(path, told=np.asarray(json.dumps({"names": names, "sizes": [len(frame) for frame in frames]})), **columns)


def _plain(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(str) if values.dtype == object else values


class Peer:
    """A peer as it comes."""

    memory = False

    def __init__(self, root: Path | None, name: str) -> None:
        self.name, self._worker = name, Worker(root, name, OF_DRIFT[name])

    def watch(self, past: Past) -> Watch:
        """The worker keeps one reference: the watch before this one is over."""
        answer = self._worker.ask([past.reference], do="fit", window_rows=past.window_rows)
        return _PeerWatch(self._worker, tuple(answer))

    def close(self) -> None:
        self._worker.close()


class _PeerWatch:
    def __init__(self, worker: Worker, columns: tuple[str, ...]) -> None:
        self.columns, self._worker = columns, worker

    def look(self, frames: list[Frame]) -> list[Look]:
        said: list[Look] = []
        for part in parts(frames):
            answer = self._worker.ask(part, do="judge")
            scores = np.asarray(answer["scores"], dtype=float)
            said += [_look(self.columns, *both) for both in zip(scores, np.asarray(answer["alarms"]), strict=True)]
        return said

    def time(self, frames: list[Frame]) -> list[float]:
        return [float(took) for took in self._worker.ask(frames, do="time")]

    def fork(self) -> Watch:
        return self


def parts(frames: list[Frame]) -> list[list[Frame]]:
    """Files of bearable size."""
    found: list[list[Frame]] = [[]]
    cells = 0
    for frame in frames:
        size = len(frame) * len(frame.seen)
        if found[-1] and cells + size > MOST_CELLS:
            found.append([])
            cells = 0
        found[-1].append(frame)
        cells += size
    return found


def _look(columns: tuple[str, ...], scores: np.ndarray[Any, Any], alarms: np.ndarray[Any, Any]) -> Look:
    """Named in order of the peer's own statistic: it has no other order."""
    ranked = sorted(np.flatnonzero(alarms), key=lambda k: -np.nan_to_num(scores[k], nan=-np.inf))
    named = tuple(dict.fromkeys(feature_of(columns[k]) for k in ranked))
    return Look(bool(named), named, scores)


def present(root: Path | None, wanted: list[str]) -> tuple[list[Subject], dict[str, str]]:
    """Peers that are there, and why others are not."""
    found: list[Subject] = []
    skipped: dict[str, str] = {}
    for name in wanted:
        try:
            found.append(Peer(root, name))
        except Missing as why:
            skipped[name] = str(why)
    return found, skipped


def close(subjects: list[Subject]) -> None:
    for subject in subjects:
        if isinstance(subject, Peer):
            subject.close()

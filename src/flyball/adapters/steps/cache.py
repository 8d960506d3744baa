"""Results of steps, by key: a directory each, whole or not there."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from flyball.adapters.durable_directories import make_directory_durably, remove_directory_at_once
from flyball.adapters.kept_results import mark_used
from flyball.errors import StoreUnavailable
from flyball.pipelines.graph import directory_name
from flyball.records import codec
from flyball.records.jobs import WAITING, Progress, StepResult

RESULT = "result.json"

Report = Callable[[Progress], None]
Work = Callable[[Path], dict[str, Any]]
"""Fills the directory that it is given and answers with the step's small values."""


def anything(_: StepResult) -> bool:
    return True


class StepCache:
    """`cache/<step>-<key[:16]>/` with `result.json` inside; kill -9 at any moment leaves a step done or not begun."""

    def __init__(self, root: Path, report: Report) -> None:
        self._root = root
        self._report = report

    def directory(self, step: str, key: str) -> Path:
        return self._root / directory_name(step, key)

    def do(self, step: str, key: str, work: Work, good: Callable[[StepResult], bool] = anything) -> StepResult:
        """The step's result: as it lies there, or by doing the work now. One that is not `good` any more is made anew."""
        if (found := self._cached(step, key, good)) is not None:
            return found
        with self._alone(step, key):
            if (found := self._cached(step, key, good)) is not None:
                return found
            if self._kept(step, key) is not None:
                self._remove(self.directory(step, key))
            return self._done(step, key, work)

    @contextmanager
    def _alone(self, step: str, key: str) -> Iterator[None]:
        """One process at a time does a step (of snapshots, any): who waits for another finds it done. The lock is the kernel's and ends with its holder."""
        locks = self._root.with_name("locks")  # not in the cache, whose directories are results
        name = "snapshot" if step == "snapshot" else directory_name(step, key)
        place = locks / f"{name}.lock"  # stays: were it removed, two could hold "the" lock
        try:
            locks.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{place}: {error.strerror or error}", next_step="mend the disk, then try again") from error
        try:
            self._lock(step, descriptor)
            yield
        finally:
            # Not by closing alone: what the user's code has forked holds the descriptor, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _lock(self, step: str, descriptor: int) -> None:
        """Waiting for another is told: it is no work of this run, and counts toward no limit of its own."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._report(Progress(step=step, status=WAITING, words="another run does the same"))
            began = time.perf_counter()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            waited = round(time.perf_counter() - began, 3)
            self._report(Progress(step=step, status="waited", words=f"{waited:.1f} s", waited_seconds=waited))

    def _cached(self, step: str, key: str, good: Callable[[StepResult], bool]) -> StepResult | None:
        kept = self._kept(step, key)
        if kept is None or not good(kept):
            return None
        mark_used(self.directory(step, key))
        self._report(Progress(step=step, status="cached", fraction=1.0))
        return kept

    def _done(self, step: str, key: str, work: Work) -> StepResult:
        self._report(Progress(step=step, status="started", fraction=0.0))
        started = time.perf_counter()

        def fill(directory: Path) -> None:
            values = work(directory)
            result = StepResult(step=step, key=key, values=values, seconds=round(time.perf_counter() - started, 3))
            (directory / RESULT).write_bytes(codec.encode(result))

        try:
            make_directory_durably(self.directory(step, key), fill)
        except OSError as error:
            raise StoreUnavailable(f"the step {step} could not be written: {error}", next_step="is the disk full?") from error
        result = self._kept(step, key)
        if result is None:
            raise StoreUnavailable(f"the result of the step {step} is not in {self.directory(step, key)}")
        self._report(Progress(step=step, status="done", fraction=1.0, words=f"{result.seconds:.1f} s"))
        return result

    @staticmethod
    def _remove(place: Path) -> None:
        try:
            remove_directory_at_once(place)
        except OSError as error:
            raise StoreUnavailable(f"{place} could not be removed: {error.strerror or error}", next_step="delete it") from error

    def _kept(self, step: str, key: str) -> StepResult | None:
        try:
            result = codec.decode((self.directory(step, key) / RESULT).read_bytes(), StepResult)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreUnavailable(
                f"{self.directory(step, key) / RESULT} cannot be read: {error}", next_step="delete that directory"
            ) from error
        return result if result.key == key else None

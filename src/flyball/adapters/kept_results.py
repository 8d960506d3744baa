"""What step results and job logs stay on the disk: each training on new data leaves all its rows once more, and nobody reads those of long ago.

Nothing rests on a result that was removed: who needs it does the step again. While any run goes on nothing is removed, since it reads what it found.
"""

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flyball.adapters.durable import replace_file
from flyball.adapters.durable_directories import remove_directory_at_once, remove_left_aside
from flyball.errors import StoreUnavailable

KEPT = 3
"""Newest results of each step: the last run's, the champion's where that is another, and one between."""
YOUNG_SECONDS = 6 * 3600.0
"""What was used in the last hours stays beside them: somebody tries things, and goes back and forth. A tournament leaves a set for each entrant."""
LOG_BYTES = 100_000
"""Of the log of a job that is over, from its end."""

_IN_USE = "cache.lock"


@contextmanager
def in_use(cache: Path) -> Iterator[None]:
    """Nothing below `cache` is removed meanwhile. Shared by any number of runs, waits for a clean-up under way. The kernel ends it with its holder."""
    descriptor = _opened(cache)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        # Not by closing alone: what the user's code has forked holds the descriptor, too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def mark_used(result: Path) -> None:
    """Its age begins anew."""
    with suppress(OSError):  # a clean-up comes sooner: no harm
        os.utime(result)


def remove_old(cache: Path, now_seconds: float) -> bool:
    """Remove old results, each at once, and the locks of what is not there. False: a run goes on, and nothing was done. `now_seconds`: since 1970."""
    if not cache.is_dir():
        return True
    descriptor = _opened(cache)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_left_aside(cache)
        for result in _old(cache, now_seconds):
            remove_directory_at_once(result)
        for lock in cache.with_name("locks").glob("*-*.lock"):
            if not (cache / lock.stem).exists():
                lock.unlink()  # nobody holds it or waits for it: who does is a run
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def shorten_logs(jobs: Path) -> None:
    """Of jobs that are over: keep the end, where the trouble stands."""
    for log in jobs.glob("*/log"):
        if log.stat().st_size > 2 * LOG_BYTES:
            with log.open("rb") as file:
                file.seek(-LOG_BYTES, os.SEEK_END)
                replace_file(log, file.read())


def _old(cache: Path, now_seconds: float) -> list[Path]:
    steps: dict[str, list[tuple[float, Path]]] = defaultdict(list)
    for result in cache.iterdir():
        if result.is_dir():
            steps[result.name.rpartition("-")[0]].append((result.stat().st_mtime, result))
    beyond = (each for found in steps.values() for each in sorted(found, reverse=True)[KEPT:])
    return [result for used, result in beyond if used < now_seconds - YOUNG_SECONDS]


def _opened(cache: Path) -> int:
    locks = cache.with_name("locks")
    try:
        locks.mkdir(parents=True, exist_ok=True)
        return os.open(locks / _IN_USE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{locks}: {error.strerror or error}", next_step="mend the disk, then try again") from error

"""Removes segments that are too old to hold anything that is still wanted.

How old a segment is, its file says: nothing in it was made after the file was written to last, so the time of that is above the time of every record. A
copy that was restored later looks younger than it is, and stays longer. Nothing is read for it.
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from flyball.records.captured import RemovedSegments

AT_ONCE = 64
"""Segments of one call: deleting so many files of 64 MiB takes some tenths of a second, a year of them would take minutes."""
TICK_US = 1_000_000
"""A file's time is that of the kernel's last tick, some milliseconds before a record's; of some file systems, the second before."""


def newest_us(status: os.stat_result) -> int:
    """A time after which nothing in the file was made."""
    return status.st_mtime_ns // 1_000 + TICK_US


def remove_unwritten(segments: Iterable[Path], before_us: int) -> RemovedSegments:
    """Those that were written to last before then, and that nobody holds open to write: what a worker goes on with, or has gone away from, its lock says."""
    names: list[str] = []
    freed = 0
    for path in segments:
        if len(names) == AT_ONCE:
            return RemovedSegments(tuple(names), freed, more=True)
        size = _removed(path, before_us)
        if size is not None:
            names.append(path.name)
            freed += size
    return RemovedSegments(tuple(names), freed, more=False)


def _removed(path: Path, before_us: int) -> int | None:
    """Its bytes; None: it stays, or was gone."""
    try:
        if newest_us(path.stat()) >= before_us:
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Its writer holds a shared lock for as long as it can write: the kernel lets go of a dead one's.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
        if newest_us(status) >= before_us:
            return None
        path.unlink(missing_ok=True)
        return status.st_size
    except BlockingIOError:
        return None
    finally:
        os.close(descriptor)

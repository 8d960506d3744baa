"""Work that can wait, on the machine that serves: its processes give way, and leave cores alone."""

from collections.abc import Sequence
from contextlib import suppress

import psutil

NICENESS = 10
"""Of a process that can wait: on a core that both want a worker that serves gets nine tenths."""


def cores_beside(cores: Sequence[int], serving: int) -> tuple[int, ...]:
    """Of `cores` those that work may use while `serving` processes of a gateway want one each: the others, and never fewer than half.

    >>> cores_beside(range(8), 2), cores_beside(range(8), 8), cores_beside([0], 1)
    ((2, 3, 4, 5, 6, 7), (4, 5, 6, 7), (0,))
    """
    return tuple(cores)[min(serving, len(cores) // 2) :]


def give_way(process: psutil.Process, serving: int) -> None:
    """For as long as it lives, with whatever it starts. Nothing where nobody serves. Raises psutil.NoSuchProcess when it has ended already.

    Both are needed: a worker that wakes up on the core of a training waits for the end of its turn, four milliseconds, and two threads
    of a training that share a core with a worker wait for one another.
    """
    if not serving:
        return
    process.nice(min(process.nice() + NICENESS, 19))
    if hasattr(process, "cpu_affinity"):  # macOS has none
        with suppress(psutil.AccessDenied, OSError, ValueError):  # a container may not let it: it works all the same
            process.cpu_affinity(list(cores_beside(process.cpu_affinity(), serving)))

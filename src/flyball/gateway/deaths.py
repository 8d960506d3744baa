"""A process that dies while others wait: for how long, and until when."""

from collections.abc import Sequence
from typing import NamedTuple

from flyball.gateway.batches import Job

DYING_ROUNDS = 2
"""Of a start and a deadline of its model's, for those who share calls in which a process dies: one that hangs is tried alone once more, and the others are
answered behind it. Where more rows kill it, whoever is left is told that it failed: each costs all others a start."""


def dying_seconds(start_seconds: float, deadline_seconds: float) -> float:
    """From a process's death on in which whoever waits behind it is answered or told. `start_seconds`: of another one.

    >>> dying_seconds(1.5, 5.0)
    13.0
    """
    return DYING_ROUNDS * (start_seconds + deadline_seconds)


class _Latest(NamedTuple):
    """A process that died, on the loop's clock."""

    first: float
    """Its first death since a call without one."""
    since: float
    """Its first death in the call that is being made."""
    at: float
    start_seconds: float
    deadline_seconds: float
    over: bool = False
    """The call is."""


class Deaths:
    """Of the processes of one queue's models, used on the event loop only; times are its clock's."""

    def __init__(self) -> None:
        self._latest: _Latest | None = None
        """None: none since a call without one."""

    @property
    def lasting(self) -> bool:
        """No call has been answered without one since the first."""
        return self._latest is not None

    def struck(self, now: float, start_seconds: float, deadline_seconds: float) -> None:
        """A process died in the call that is being made, or was ended. `start_seconds`: of another one; `deadline_seconds`: of a call of its model."""
        before = self._latest
        first, since = (now, now) if before is None else (before.first, now if before.over else before.since)
        self._latest = _Latest(first, since, now, start_seconds, deadline_seconds)

    def called(self, *, died: bool) -> None:
        """A call has ended, in which one did or did not."""
        if self._latest is not None:
            self._latest = self._latest._replace(over=True) if died else None

    def wait(self, now: float, *, busy: bool) -> float:
        """Seconds until it has answered what it is asked, and stands again. `busy`: a call is being made; of one in which it dies nobody knows how many of its
        rows kill: it is held to last as long again as it has, one start at least, and to leave the process dead."""
        latest = self._latest
        if latest is None:
            return 0.0
        if latest.over or not busy:
            return max(latest.at + latest.start_seconds - now, 0.0)
        ends = latest.since + dying_seconds(latest.start_seconds, latest.deadline_seconds)
        return max(min(max(now - latest.since, latest.start_seconds), ends - now), 0.0) + latest.start_seconds

    def too_long(self, wait: float, patience: float) -> bool:
        """While its process is started again a request waits for as long as a call of its model may take."""
        return self._latest is not None and wait > min(patience, self._latest.deadline_seconds)

    def bound(self, jobs: Sequence[Job]) -> float | None:
        """When a call for these is to end: they have waited for calls in which it died. None: they have not."""
        latest = self._latest
        if latest is None:
            return None
        return max(latest.first, *(job.admitted for job in jobs)) + dying_seconds(latest.start_seconds, latest.deadline_seconds)

"""A process that dies while others wait: until when they do."""

from collections.abc import Sequence

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


class Deaths:
    """Of the process of the unit that answers last on a route: nobody stands in for it. Used on the event loop only; times are its clock's."""

    def __init__(self) -> None:
        self._first: float | None = None
        """Since a call without one; None: there was none."""
        self._latest = 0.0

    def struck(self, now: float) -> None:
        """It died in the call that is being made, or was ended."""
        self._first = now if self._first is None else self._first
        self._latest = now

    def called(self, *, died: bool) -> None:
        """A call has ended, in which it did or did not."""
        if not died:
            self._first = None

    def bound(self, jobs: Sequence[Job], longest: float) -> float | None:
        """When a call for these is to end, some of which have waited for calls in which it died. None: none have. `longest`: as `dying_seconds`."""
        if self._first is None or all(job.admitted > self._latest for job in jobs):
            return None
        return max(self._first, *(job.admitted for job in jobs)) + longest

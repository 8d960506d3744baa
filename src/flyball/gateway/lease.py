"""The dead-man rule: without a controller that watches it, no canary gets traffic."""

import time
from collections.abc import Callable
from pathlib import Path


class Lease:
    """The file that the controller touches; its age is in real time, also when the world's clock is simulated.

    Two clocks must find it young. The wall's alone could be set back, and a dead controller would look alive until it has come there again; since a
    renewal was first seen no clock goes backwards, but a worker that has just started saw none.
    """

    def __init__(
        self, path: Path, seconds: float, now_us: Callable[[], int], running_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._seconds = seconds
        self._now_us = now_us
        self._running_seconds = running_seconds
        self._there = False
        self.said = ""
        """What the controller wrote into it."""
        self._renewed_us: int | None = None
        """The last renewal that was seen, also when the file is gone: what comes back with the same time is no new one."""
        self._seen_at = 0.0
        """When it was first seen, by a clock that nobody sets."""

    def look(self) -> None:
        """Read the file's time anew (called several times a second)."""
        try:
            renewed_us = self._path.stat().st_mtime_ns // 1000
            said = self._path.read_text("ascii", "replace") if renewed_us != self._renewed_us else self.said
        except OSError:
            self._there = False
            return
        self._there, self.said = True, said
        if renewed_us != self._renewed_us:
            self._renewed_us, self._seen_at = renewed_us, self._running_seconds()

    @property
    def held(self) -> bool:
        """Whether canaries may answer. While the lease looks stale the file is looked at every time, so a renewal counts at once."""
        if not self._fresh():
            self.look()
        return self._fresh()

    def _fresh(self) -> bool:
        if not self._there or self._renewed_us is None:
            return False
        return (
            self._now_us() - self._renewed_us <= self._seconds * 1e6 and self._running_seconds() - self._seen_at <= self._seconds
        )

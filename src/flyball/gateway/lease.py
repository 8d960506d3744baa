"""The dead-man rule: without a controller that watches it, no canary gets traffic."""

from collections.abc import Callable
from pathlib import Path

LEASE_SECONDS = 30.0
"""Twice a long tick plus a pause of the machine (reliability.md, the reference answer): a controller that is silent for longer may be dead,
and then nobody would take a harmful canary back."""


class Lease:
    """The file that the controller touches; its age is in real time, also when the world's clock is simulated."""

    def __init__(self, path: Path, seconds: float, now_us: Callable[[], int]) -> None:
        self._path = path
        self._us = int(seconds * 1e6)
        self._now_us = now_us
        self._renewed_us: int | None = None

    def look(self) -> None:
        """Read the file's time anew (called several times a second)."""
        try:
            self._renewed_us = self._path.stat().st_mtime_ns // 1000
        except OSError:
            self._renewed_us = None

    @property
    def held(self) -> bool:
        """Whether canaries may answer. While the lease looks stale the file is looked at every time, so a renewal counts at once."""
        if not self._fresh():
            self.look()
        return self._fresh()

    def _fresh(self) -> bool:
        return self._renewed_us is not None and self._now_us() - self._renewed_us <= self._us

"""The two clocks: the machine's, and one that only moves when it is told to."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flyball.machine.uptime import uptime_us

FAR = timedelta(minutes=10)
"""From so much on a machine's clock that runs ahead is caught up with at once, where nothing is timed by this one."""
SLEW = 0.05
"""Share by which time may run faster or slower until the machine's clock is met again. A phase of a release is never shorter by more than that,
wherever a clock is set to; an hour is made up in 20."""


def elapsed_seconds() -> float:
    """Seconds that no setting of a clock changes; on Linux since the machine's start, those that it slept among them."""
    return uptime_us() / 1e6


class SystemClock:
    """The machine's clock as it is when the process starts; from then on time passes as it does, and a clock that somebody sets is only followed slowly."""

    simulated = False

    def __init__(
        self, wall: Callable[[], datetime] = lambda: datetime.now(UTC), elapsed: Callable[[], float] = elapsed_seconds
    ) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._last, self._at = wall(), elapsed()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            at = self._elapsed()
            passed, self._at = timedelta(seconds=at - self._at), at
            due = self._last + passed
            self._last = due + min(max(self._wall() - due, -SLEW * passed), SLEW * passed)
            return self._last

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))

    def catch_up(self) -> timedelta:
        now = self.now()
        with self._lock:
            ahead = self._wall() - now
            if ahead < FAR:
                return timedelta(0)
            self._last += ahead
            return ahead


class SimulatedClock:
    """The time of a replay."""

    simulated = True

    def __init__(self, start: datetime) -> None:
        """Raises ValueError for a time without zone."""
        if start.tzinfo is None:
            raise ValueError(f"a clock's start needs a zone, found {start.isoformat()}")
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def sleep(self, duration: timedelta) -> None:
        with self._lock:
            self._now += max(duration, timedelta(0))

    def catch_up(self) -> timedelta:
        return timedelta(0)

    def advance_to(self, at: datetime) -> None:
        """Move on to `at`; a time that is past already changes nothing."""
        with self._lock:
            self._now = max(self._now, at.astimezone(UTC))

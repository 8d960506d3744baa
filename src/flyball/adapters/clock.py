"""The two clocks: the machine's, and one that only moves when it is told to."""

import threading
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's clock; a step back of it is held until the time has caught up."""

    def __init__(self) -> None:
        self._last = datetime.now(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._last = max(self._last, datetime.now(UTC))
            return self._last

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))


class SimulatedClock:
    """The time of a replay."""

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

    def advance_to(self, at: datetime) -> None:
        """Move on to `at`; a time that is past already changes nothing."""
        with self._lock:
            self._now = max(self._now, at.astimezone(UTC))

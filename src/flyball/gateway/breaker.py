"""The circuit breaker of one unit: a unit that keeps failing is not asked, so that its requests go to the next unit at once."""

FAILURES = 5
"""In a row: one poisoned request must not cut a unit off, and five in a row at a failure rate of 10 % are one in 100,000."""
LATE = 2
"""Failures that one call counts for which was not answered in seconds: each costs its clients their patience, so three in a row must do."""
SHARE, WEIGHT = 0.4, 0.95
"""Or two fifths of the latest calls: an exponential average over some twenty of them, so that a unit that fails every second call is cut off
after some thirty; one that fails every tenth is six standard deviations away from it."""
PROBES = 3
"""Good ones in a row close it: one alone would let a unit that fails every second call in and out all the time."""
PAUSE_SECONDS = 1.0
"""Between probes (reliability.md R37: at most one a second)."""
LONGEST_PAUSE_SECONDS = 6.0
"""Failed probes double the pause up to this, so that a healed unit answers again within ten seconds."""
CALM_SECONDS = 60.0
"""Closed for so long, a unit has earned the short pause again: one that flaps keeps the long one."""


FAIR_SECONDS, FAIR_CALLS = 1.0, 2.0
"""A unit that was given less, or less than so many times what its calls took when it was loaded, is judged by what becomes of its call: a caller's haste, and
the half of a caller's time that is kept for whoever stands in, must not open its circuit for all others."""
_FAIR_ROWS = 16
"""Rows that are held to cost a call each. Of a call most is the same however many rows it has: were each of a thousand counted, one that hangs would never
have been given enough."""


def fair_seconds(call_seconds: float, n: int) -> float:
    """From how much time on a unit that does not answer `n` rows in it has failed. `call_seconds`: what a call of one row took.

    >>> fair_seconds(0.01, 1), fair_seconds(1.5, 1), fair_seconds(0.25, 10)
    (1.0, 3.0, 5.0)
    """
    return max(FAIR_SECONDS, FAIR_CALLS * call_seconds * min(n, _FAIR_ROWS))


class Breaker:
    """Pure: `now` is in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._failing = 0.0
        self._retry_at: float | None = None
        """None: closed."""
        self._good_probes = 0
        self._pause = PAUSE_SECONDS
        self._closed_at = 0.0
        self.words = ""
        """Of the latest failure."""

    @property
    def open(self) -> bool:
        return self._retry_at is not None

    def allows(self, now: float) -> bool:
        """Whether the unit may be asked. While open, True once a pause: that call is the probe."""
        if self._retry_at is None:
            return True
        if now < self._retry_at:
            return False
        self._retry_at = now + PAUSE_SECONDS  # whoever comes meanwhile does not probe as well
        return True

    def succeeded(self, now: float) -> None:
        self._in_a_row = 0
        if self._retry_at is None:
            self._failing *= WEIGHT
            return
        self._good_probes += 1
        if self._good_probes >= PROBES:
            self._retry_at, self._failing, self._closed_at = None, 0.0, now

    def failed(self, now: float, words: str = "", *, late: bool = False) -> None:
        self.words = words
        self._in_a_row += LATE if late else 1
        self._failing = self._failing * WEIGHT + (1 - WEIGHT)
        if self._retry_at is not None:
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        elif self._in_a_row < FAILURES and self._failing < SHARE:
            return
        elif now - self._closed_at > CALM_SECONDS:
            self._pause = PAUSE_SECONDS
        self._good_probes = 0
        self._retry_at = now + self._pause

"""Which window a time lies in, also where `monitor.window` was another when it closed."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta

from flyball.control.world import MICROSECOND, micros
from flyball.records.findings import WindowSummary


class WindowGrid:
    """Windows of the present length begin at its whole multiples since 1970, from the end of the newest closed window of another length on: what was judged
    once is not judged again in other pieces. Rows from that end to the next multiple lie in no window."""

    def __init__(self, window: timedelta, closed: Iterable[WindowSummary], now: datetime) -> None:
        """`closed`: of all units. One that ends after `now` was closed by a wrong clock, and holds up none."""
        known = [each for each in closed if each.end <= now]
        self._width = window // MICROSECOND
        others = max((micros(each.end) for each in known if each.end - each.start != window), default=0)
        self._begins = -(-others // self._width) * self._width
        self._ends = {(each.unit, micros(each.start)): micros(each.end) for each in known}
        self._keys = sorted(self._ends)

    def start_of(self, unit: str, at_us: int) -> int | None:
        """None: it lies in no window of the unit."""
        if at_us >= self._begins:
            return at_us - at_us % self._width
        place = bisect_right(self._keys, (unit, at_us)) - 1
        key = self._keys[place] if place >= 0 else (unit, at_us)
        return key[1] if key[0] == unit and at_us < self._ends.get(key, at_us) else None

    def end_of(self, unit: str, start_us: int) -> int:
        """Of the unit's window that begins then."""
        return self._ends.get((unit, start_us), start_us + self._width)

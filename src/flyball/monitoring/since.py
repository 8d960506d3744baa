"""When a run of windows changed, in words: since when, and between when and when."""

import hashlib
from datetime import datetime
from typing import NamedTuple

from flyball.stats.change_point import change_point

ALPHA = 0.05
"""Chance that the interval misses."""
LEAST_WINDOWS = 4
MOST_BEFORE = 60
"""Windows of the holdout that are put before those judged: enough to see a change of the first one."""


ALONE = "by this window alone"
FIRST = "since the first window judged"


class Since(NamedTuple):
    at: datetime
    """Start of the first window after the change."""
    place: int
    """Of that window among those judged."""
    words: str
    between: tuple[datetime, datetime]
    """An interval that misses with chance ALPHA: from the start of the first window judged where it may have been before."""

    @property
    def alone(self) -> bool:
        """It is one window, whatever came after it."""
        return self.words.endswith(ALONE)


def since_when(normal: tuple[float, ...], judged: tuple[float, ...], starts: tuple[datetime, ...]) -> Since | None:
    """Where scores changed, looking back from an alarm; None when there are too few windows. `starts`: of the judged ones, in order of time."""
    before = normal[-MOST_BEFORE:]
    values = before + judged
    if not judged or len(values) < LEAST_WINDOWS:
        return None
    seed = int.from_bytes(hashlib.sha256(repr(values).encode()).digest()[:4], "big")
    found = change_point(values, ALPHA, seed, block=1)
    at, lower, upper = (place - len(before) for place in (found.at, found.lower, found.upper))
    place = min(max(at, 0), len(judged) - 1)
    if upper <= 0:
        return Since(starts[0], 0, f"{FIRST}, {starts[0]:%Y-%m-%d}, or before", (starts[0], starts[0]))
    latest = starts[min(upper, len(judged) - 1)]
    earliest = f"between {starts[lower]:{_format(latest, starts[lower])}} and" if lower > 0 else "at the latest"
    form = _format(latest, starts[place])
    words = f"since {starts[place]:{form}}, {earliest} {latest:{form}}"
    return Since(starts[place], place, words, (starts[max(lower, 0)], latest))


def by_itself(found: Since | None, starts: tuple[datetime, ...], latest: datetime) -> Since:
    """Of an alarm that one window raised alone, the `latest` that was judged: it is the change, unless others before it are. `starts`: in order of time;
    windows after it may have been judged before, since their labels were complete.

    The window before it may have been worse already, too little to raise it. What change_point does not refute is nearly all of them: one window alone says
    little by its rank.
    """
    if found is not None and found.between[1] < latest:
        return found
    place = starts.index(latest)
    form = "%Y-%m-%d" if latest.time() == starts[0].time() else "%Y-%m-%d %H:%M"
    return Since(latest, place, f"since {latest:{form}}, {ALONE}", (starts[max(place - 1, 0)], latest))


def _format(first: datetime, second: datetime) -> str:
    """Hours only where windows are shorter than days."""
    return "%Y-%m-%d" if first.time() == second.time() else "%Y-%m-%d %H:%M"

"""Which windows a loss has been higher in, as an alarm tells it: since when, and whether it is the rise that was told before."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np

from flyball.monitoring.since import Since, by_itself, since_when
from flyball.stats import student

APART_ALPHA = 0.05
"""Chance that windows of one loss are said to differ from those of the alarm before. To say of others that they do not would hide when they began."""
STILL = "still: "


class WindowLoss(msgspec.Struct, frozen=True, kw_only=True):
    mean: float
    n: int
    start: datetime | None = None
    """None: judged by a version of Flyball that did not keep it."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Since when the loss was said to be higher, at the first alarm of those that tell the same."""

    at: datetime
    between: tuple[datetime, datetime]
    words: str


class Recent(NamedTuple):
    """The windows since the change, as far as it can be dated."""

    windows: tuple[WindowLoss, ...]
    mean: float
    since: Since | None


class Before(NamedTuple):
    """What was seen until the last alarm, and what that said."""

    windows: Sequence[WindowLoss]
    told: Told | None
    """None: there was no alarm, or it did not say since when."""
    alarmed: bool

    @property
    def standing(self) -> tuple[WindowLoss, ...]:
        """The windows that surely were of what it told: those between the ends of its interval may have been as good as before."""
        return () if self.told is None else _surely(self.told, _in_time(self.windows))


def recent(usual: tuple[float, ...], before: Before, judged: Sequence[WindowLoss], *, alone: bool) -> Recent:
    """`usual`: the windows' means that the loss is compared with; `judged`: the windows since the last alarm, as they were judged; `alone`: the latest raised
    the alarm by itself.

    Bets go on against the holdout, so that a loss that stays higher is alarmed again: then it is told since when it was told to be. What was told once is normal
    no more: a change is looked for among the windows since. Those that began before what was told say nothing of whether it stays: their labels were late.
    """
    windows = _in_time(judged)
    later = () if before.told is None else _surely(before.told, windows)
    if before.told is not None and not alone and _stays(usual, before.standing, later):
        words = STILL + before.told.words.removeprefix(STILL)
        return _of(later, Since(before.told.at, 0, words, before.told.between))
    starts = tuple(each.start for each in windows if each.start)
    normal = usual if before.told is None and not before.alarmed else ()
    since = since_when(normal, tuple(each.mean for each in windows), starts)
    latest = judged[-1].start
    if alone and latest is not None:
        since = by_itself(since, starts, latest)
        if since.alone:
            return _of(judged[-1:], since)
    return _of(windows[since.place :] if since else windows, since)


def _of(windows: Sequence[WindowLoss], since: Since | None) -> Recent:
    return Recent(tuple(windows), sum(each.mean * each.n for each in windows) / sum(each.n for each in windows), since)


def _in_time(windows: Sequence[WindowLoss]) -> tuple[WindowLoss, ...]:
    """They are judged as their labels become complete, which is another order."""
    known = [(each.start, place, each) for place, each in enumerate(windows) if each.start is not None]
    return tuple(each for _, _, each in sorted(known))


def _surely(told: Told, windows: tuple[WindowLoss, ...]) -> tuple[WindowLoss, ...]:
    return tuple(each for each in windows if each.start is not None and each.start >= told.between[1])


def _stays(usual: tuple[float, ...], standing: tuple[WindowLoss, ...], windows: tuple[WindowLoss, ...]) -> bool:
    """Whether every window since lies where another of those that stood would: none is as good as before, and none is worse (Student's t, Bonferroni over the
    windows). By how much windows differ the better time tells, and those that stood where they differ more. Where that is so much that a good window would pass
    for a bad one, runs of windows are asked, as long as it takes to tell them apart: each must lie nearer to those that stood than to the usual ones."""
    spread = max(_spread(usual), _spread(tuple(each.mean for each in standing)))
    degrees = max(len(usual), len(standing)) - 1
    if not standing or not windows or degrees < 1:
        return False
    level, means = float(np.mean([each.mean for each in standing])), np.asarray([each.mean for each in windows])
    room = student.t_quantile(1.0 - APART_ALPHA / (2.0 * len(windows)), degrees) * spread
    if (np.abs(means - level) > room * math.sqrt(1.0 + 1.0 / len(standing))).any():
        return False
    normal = float(np.mean(usual)) if usual else 0.0
    half = abs(level - normal) / 2.0
    long = _run(room, half, len(standing), len(windows))
    runs = np.convolve(means, np.full(long, 1.0 / long), "valid")
    return bool((np.abs(runs - level) < np.abs(runs - normal)).all())


def _run(room: float, half: float, standing: int, most: int) -> int:
    """Windows together whose mean is not beyond the middle by luck. `half`: from the level of those that stood to the middle, which is known by half their error."""
    left = (half / room) ** 2 - 0.25 / standing if room > 0.0 else math.inf
    return most if left <= 1.0 / most else max(math.ceil(1.0 / left), 1)


def _spread(means: tuple[float, ...]) -> float:
    return float(np.std(means, ddof=1)) if len(means) > 1 else 0.0

"""Which windows a loss has been higher in, as an alarm tells it: since when, and whether it is the rise that was told before."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.since import Since, by_itself, since_when
from flyball.stats import student

APART_ALPHA = 0.01
"""Chance that windows of one loss are said to differ from those of the alarm before."""
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

    @property
    def standing(self) -> tuple[WindowLoss, ...]:
        """The windows that it told of."""
        told = self.told
        return () if told is None else tuple(each for each in _in_time(self.windows) if each.start and each.start >= told.at)


def recent(normal: tuple[float, ...], before: Before, judged: Sequence[WindowLoss], *, alone: bool) -> Recent:
    """`normal`: the windows' means that the holdout had, where no alarm has said that they are normal no more; `judged`: the windows since the last alarm,
    in any order; `alone`: the latest raised the alarm by itself.

    Bets go on against the holdout, so that a loss that stays higher is alarmed again: then it is told since when it was told to be. A further rise is looked
    for beside what stood. After a better time, in which a storm has passed, there is nothing worse to compare with.
    """
    windows, standing = _in_time(judged), before.standing
    if before.told is not None and standing and not alone:
        apart = _apart(_means(standing), _means(windows), APART_ALPHA)
        if apart == 0 and not _is_broken(_means(windows)):
            words = STILL + before.told.words.removeprefix(STILL)
            return _of((*standing, *windows), Since(before.told.at, 0, words, before.told.between))
        normal = tuple(each.mean for each in standing) if apart > 0 else ()
    starts = tuple(each.start for each in windows if each.start)
    since = since_when(normal, tuple(each.mean for each in windows), starts)
    if alone:
        since = by_itself(since, starts)
    return _of(windows[since.place :] if since else windows, since)


def _of(windows: tuple[WindowLoss, ...], since: Since | None) -> Recent:
    return Recent(windows, sum(item.mean * item.n for item in windows) / sum(item.n for item in windows), since)


def _in_time(windows: Sequence[WindowLoss]) -> tuple[WindowLoss, ...]:
    """They are judged as their labels become complete, which is another order."""
    return tuple(
        sorted(
            (item for item in windows if item.start is not None), key=lambda item: item.start or datetime.min.replace(tzinfo=UTC)
        )
    )


def _means(windows: Sequence[WindowLoss]) -> NDArray[np.float64]:
    return np.asarray([each.mean for each in windows], dtype=np.float64)


def _is_broken(means: NDArray[np.float64]) -> bool:
    """Whether one loss does not explain them: at one place or another what comes before and after it differ (Bonferroni over the places)."""
    places = range(1, means.size)
    return any(_apart(means[:place], means[place:], APART_ALPHA / means.size) for place in places)


def _apart(first: NDArray[np.float64], second: NDArray[np.float64], alpha: float) -> int:
    """1 or −1 where the mean is surely higher or lower in the second (Student's t, two-sided at `alpha`), else 0."""
    degrees = first.size + second.size - 2
    if degrees < 1:
        return 0
    squares = float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum())
    error = math.sqrt(squares / degrees * (1.0 / first.size + 1.0 / second.size))
    step = float(second.mean() - first.mean())
    return 0 if abs(step) <= student.t_quantile(1.0 - alpha / 2.0, degrees) * error else int(math.copysign(1.0, step))

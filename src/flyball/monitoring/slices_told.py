"""Slices that were told of and stand: what a later alarm of the same slice says, and whether it says anything.

Whether it stayed is read from its means in every window judged since, which the state keeps: rows are kept of a few windows only, and those just before an alarm
are all bad, whatever lies between.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.recent_losses import STILL, Told, WindowLoss
from flyball.monitoring.since import Since, since_when
from flyball.monitoring.slices import Condition, SliceRows, chosen
from flyball.stats import student

SAME = 0.5
"""Of the holdout's rows that are in either of two slices: where so many are in both, it is one slice whose edges were found otherwise."""
LEAST_IN_WINDOW = 8
"""Rows of a slice in a window, without which its mean is not looked at."""
STANDING = 12
"""Windows that are remembered of what was told, and the subjects it was told by."""
KEPT = 8
"""Slices that are remembered to have been told of: the newest."""
MOST_WINDOWS = 60
"""Windows whose means are remembered of a slice: the newest that were judged."""
GOOD_ALPHA = 0.05
"""Chance that windows are said to have been as good as the holdout's while what was told went on."""

Losses = tuple[tuple[float, int], ...]
"""Mean loss and rows of a slice in each of the windows judged last."""


class ToldSlice(msgspec.Struct, frozen=True, kw_only=True):
    """As it was told first."""

    subject: str
    """As it was told last."""
    subjects: tuple[str, ...] = ()
    """Of all that told of it: an acknowledgement may be of any."""
    conditions: tuple[Condition, ...]
    told: Told | None
    """None: it could not be dated."""
    windows: tuple[WindowLoss, ...] = ()
    """Until the latest alarm, as far as they are of what was told."""
    since: Losses = ()
    """Since the latest alarm."""
    whole: bool = False
    """`since` has all of them. Not where a Flyball did not keep it, or there were too many."""
    until: datetime
    """Start of the newest window of which that alarm told, or did not."""
    harm: float
    pages: bool
    seen: bool = False
    """A person acknowledged it."""


class Earlier(NamedTuple):
    """Labelled rows of the windows before, as far as they are kept. `rows.blocks`: place of their window in `starts`."""

    rows: SliceRows
    starts: tuple[datetime, ...]


EarlierRows = Callable[[], Earlier]


class Dated(NamedTuple):
    """Since when the loss is higher, and the windows since then."""

    since: Since | None
    """None: no window has enough rows of it."""
    windows: tuple[WindowLoss, ...]

    @property
    def stands(self) -> bool:
        return self.since is not None and self.since.words.startswith(STILL)


def standing(told: tuple[ToldSlice, ...], conditions: tuple[Condition, ...], holdout: SliceRows) -> ToldSlice | None:
    """The newest that is the same slice."""
    mine = chosen(conditions, holdout.codes)
    for each in reversed(told):
        other = chosen(each.conditions, holdout.codes)
        if each.conditions == conditions or (mine & other).sum() >= SAME * max((mine | other).sum(), 1):
            return each
    return None


def grown(losses: Losses, conditions: tuple[Condition, ...], rows: SliceRows) -> Losses:
    """With the window of `rows`."""
    inside = chosen(conditions, rows.codes)
    n = int(inside.sum())
    return (*losses, (float(f"{rows.losses[inside].mean():.4g}") if n else 0.0, n))[-MOST_WINDOWS:]


def watched(told: tuple[ToldSlice, ...], rows: SliceRows) -> tuple[ToldSlice, ...]:
    """With another window that was judged."""
    return tuple(
        msgspec.structs.replace(
            each, since=grown(each.since, each.conditions, rows), whole=each.whole and len(each.since) < MOST_WINDOWS
        )
        for each in told
    )


def windows_of(losses: Losses, starts: tuple[datetime, ...]) -> tuple[WindowLoss, ...]:
    """In order of time: they are judged as their labels become complete, which is another. `starts`: of the windows judged last."""
    number = min(len(losses), len(starts))
    both = sorted(zip(starts[len(starts) - number :], losses[len(losses) - number :], strict=True))
    return tuple(WindowLoss(mean=mean, n=n, start=start) for start, (mean, n) in both if n >= LEAST_IN_WINDOW)


def dated(
    conditions: tuple[Condition, ...], holdout: SliceRows, seen: Earlier, kept: tuple[WindowLoss, ...], first: datetime | None
) -> Dated:
    """Of a slice that was not told of. `seen`: with the window that raised the alarm; `kept`: its windows whose rows are not; `first`: start of the first
    window that was judged. Where it may have risen before the first that is known of it, the interval begins there."""
    known = {each.start: each for each in (*kept, *_means(conditions, seen.rows, seen.starts))}
    windows = tuple(known[start] for start in sorted(start for start in known if start is not None))
    return _risen(_usual(conditions, holdout), windows, first)


def dated_again(known: ToldSlice, holdout: SliceRows, starts: tuple[datetime, ...]) -> Dated | None:
    """Of one that was told of: what stood still does, unless windows since were as good as the holdout's; then it is the rise after those. None: not all windows
    since are known, and none of them was good. `starts`: of the windows judged last."""
    since, usual = windows_of(known.since, starts), _usual(known.conditions, holdout)
    place = _good(usual, known, since, _sd(known.conditions, holdout))
    if place is not None:
        return _risen(usual, since[place:], since[place].start)
    if not known.whole or known.told is None:
        return None
    told = known.told
    return Dated(Since(told.at, 0, STILL + told.words.removeprefix(STILL), told.between), since)


def is_told_already(known: ToldSlice, found: Dated, harm: float, tolerance: float) -> bool:
    """It stands, nobody has acknowledged it, and it is not worse by more than what is tolerated of any loss."""
    if known.seen or not found.stands:
        return False
    return harm <= known.harm + tolerance and (known.pages or harm <= tolerance)


def again(known: ToldSlice, found: Dated, start: datetime) -> ToldSlice:
    """After an alarm that told nothing: what stands is known by more windows. `start`: of its window, which may be older than another that was judged before."""
    windows = (*known.windows, *found.windows)[-STANDING:]
    return msgspec.structs.replace(known, until=max(known.until, start), windows=windows, since=(), whole=True)


def with_told(told: tuple[ToldSlice, ...], known: ToldSlice | None, now: ToldSlice) -> tuple[ToldSlice, ...]:
    others = tuple(each for each in told if known is None or each.conditions != known.conditions)
    return (*others, now)[-KEPT:]


def acknowledged(told: tuple[ToldSlice, ...], subject: str) -> tuple[ToldSlice, ...]:
    return tuple(msgspec.structs.replace(each, seen=each.seen or subject in (each.subject, *each.subjects)) for each in told)


def newest(found: Dated) -> tuple[WindowLoss, ...]:
    """Of what is told, those that a later alarm compares with: the windows before the interval's end may have been as good as before."""
    since = found.since
    return (
        ()
        if since is None
        else tuple(each for each in found.windows if each.start is not None and each.start >= since.between[1])[-STANDING:]
    )


def _risen(usual: tuple[float, ...], windows: tuple[WindowLoss, ...], first: datetime | None) -> Dated:
    starts = tuple(each.start for each in windows if each.start is not None)
    since = since_when(usual, tuple(each.mean for each in windows), starts)
    if since is None:
        return Dated(None, ())
    of = windows[since.place :]
    if since.between[0] > starts[0] or first == starts[0]:
        return Dated(since, of)
    latest = since.between[1]
    words = f"since {since.at:%Y-%m-%d} or before (no earlier window is known)"
    words += f", {latest:%Y-%m-%d} at the latest" if latest > since.at else ""
    return Dated(since._replace(words=words, between=(min(first or starts[0], starts[0]), latest)), of)


def _good(usual: tuple[float, ...], known: ToldSlice, since: tuple[WindowLoss, ...], sd: float) -> int | None:
    """Where the stretch of windows begins that is the farthest below the middle between the holdout's and those that stood. None: it is not shown to be below
    (Student's t, Bonferroni over the windows). `sd`: of its rows on the holdout."""
    stood = np.asarray([each.mean for each in known.windows])
    means = np.asarray([each.mean for each in since])
    degrees = max(len(usual), len(means)) - 1
    if not stood.size or not means.size or not usual or degrees < 1:
        return None
    # how much windows differ: on the holdout, by their rows alone, and from one to the next, which a change of level hardly touches
    steps = math.sqrt(float(np.mean(np.diff(means) ** 2)) / 2.0) if means.size > 1 else 0.0
    spread = max(
        float(np.std(usual, ddof=1)) if len(usual) > 1 else 0.0, sd / math.sqrt(float(np.mean([each.n for each in since]))), steps
    )
    below = (float(np.mean(usual)) + float(stood.mean())) / 2.0 - means
    scores = _stretches(below, spread, 0.25 / stood.size)
    begin, _ = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return int(begin) if scores.max() > student.t_quantile(1.0 - GOOD_ALPHA / means.size, degrees) else None


def _stretches(below: NDArray[np.float64], spread: float, of_middle: float) -> NDArray[np.float64]:
    """Standardised mean of each stretch, (its first, its last). `of_middle`: variance of the middle, in windows."""
    sums = np.concatenate([[0.0], np.cumsum(below)])
    length = np.arange(1, below.size + 1)[None, :] - np.arange(below.size)[:, None]
    there = np.maximum(length, 1)
    scores: NDArray[np.float64] = (
        (sums[None, 1:] - sums[:-1, None]) / there / (max(spread, 1e-9) * np.sqrt(1.0 / there + of_middle))
    )
    return np.where(length > 0, scores, -np.inf)


def _usual(conditions: tuple[Condition, ...], holdout: SliceRows) -> tuple[float, ...]:
    return tuple(each.mean for each in _means(conditions, holdout, (None,) * (int(holdout.blocks.max()) + 1)))


def _sd(conditions: tuple[Condition, ...], holdout: SliceRows) -> float:
    return float(holdout.losses[chosen(conditions, holdout.codes)].std())


def _means(conditions: tuple[Condition, ...], rows: SliceRows, starts: tuple[datetime | None, ...]) -> tuple[WindowLoss, ...]:
    inside = chosen(conditions, rows.codes)
    n = np.bincount(rows.blocks[inside], minlength=len(starts))
    sums = np.bincount(rows.blocks[inside], weights=rows.losses[inside], minlength=len(starts))
    return tuple(
        WindowLoss(mean=float(f"{total / count:.6g}"), n=count, start=start)
        for start, count, total in zip(starts, n.tolist(), sums.tolist(), strict=True)
        if count >= LEAST_IN_WINDOW
    )

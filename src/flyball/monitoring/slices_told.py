"""Slices that were told of and stand: what a later alarm of the same slice says, and whether it says anything."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np

from flyball.monitoring.recent_losses import STILL, Before, Recent, Told, WindowLoss, recent
from flyball.monitoring.since import FIRST
from flyball.monitoring.slices import Condition, SliceRows, chosen

SAME = 0.5
"""Of the holdout's rows that are in either of two slices: where so many are in both, it is one slice whose edges were found otherwise."""
LEAST_IN_WINDOW = 8
"""Rows of a slice in a window, without which its mean is not looked at."""
STANDING = 12
"""Windows that are remembered of what was told."""
KEPT = 8
"""Slices that are remembered to have been told of: the newest."""


class ToldSlice(msgspec.Struct, frozen=True, kw_only=True):
    """As it was told first."""

    subject: str
    conditions: tuple[Condition, ...]
    told: Told | None
    """None: it could not be dated."""
    windows: tuple[WindowLoss, ...] = ()
    """Until that alarm, as far as they are of what was told."""
    until: datetime
    """Start of the window of the latest alarm of it, told or not."""
    harm: float
    pages: bool
    seen: bool = False
    """A person acknowledged it."""


class Earlier(NamedTuple):
    """Labelled rows of the windows before, as far as they are kept. `rows.blocks`: place of their window in `starts`."""

    rows: SliceRows
    starts: tuple[datetime, ...]


EarlierRows = Callable[[], Earlier]


def standing(told: tuple[ToldSlice, ...], conditions: tuple[Condition, ...], holdout: SliceRows) -> ToldSlice | None:
    """The newest that is the same slice."""
    mine = chosen(conditions, holdout.codes)
    for each in reversed(told):
        other = chosen(each.conditions, holdout.codes)
        if each.conditions == conditions or (mine & other).sum() >= SAME * max((mine | other).sum(), 1):
            return each
    return None


def dated(known: ToldSlice | None, conditions: tuple[Condition, ...], holdout: SliceRows, seen: Earlier) -> Recent | None:
    """Since when its loss is higher. `seen`: with the window that raised the alarm. None: no window has enough rows of it."""
    of = conditions if known is None else known.conditions
    windows = tuple(sorted(_means(of, seen.rows, seen.starts), key=lambda each: each.start or seen.starts[-1]))
    usual = _means(of, holdout, (None,) * (int(holdout.blocks.max()) + 1))
    before = Before(() if known is None else known.windows, None if known is None else known.told, known is not None)
    judged = tuple(each for each in windows if known is None or (each.start is not None and each.start > known.until))
    if not judged:
        return None
    found = recent(tuple(each.mean for each in usual), before, judged, alone=False)
    since = found.since
    if since is None or not since.words.startswith(FIRST):
        return found
    return found._replace(since=since._replace(words=f"since {since.at:%Y-%m-%d} or before, of which no rows are kept"))


def is_told_already(known: ToldSlice | None, found: Recent | None, harm: float, tolerance: float) -> bool:
    """It stands, nobody has acknowledged it, and it is not worse by more than what is tolerated of any loss."""
    if known is None or known.seen or found is None or found.since is None or not found.since.words.startswith(STILL):
        return False
    return harm <= known.harm + tolerance and (known.pages or harm <= tolerance)


def with_told(told: tuple[ToldSlice, ...], known: ToldSlice | None, now: ToldSlice) -> tuple[ToldSlice, ...]:
    return (*(each for each in told if each is not known), now)[-KEPT:]


def acknowledged(told: tuple[ToldSlice, ...], subject: str) -> tuple[ToldSlice, ...]:
    return tuple(msgspec.structs.replace(each, seen=each.seen or each.subject == subject) for each in told)


def newest(found: Recent, told: Told) -> tuple[WindowLoss, ...]:
    """Of what is told, those that a later alarm compares with."""
    return tuple(each for each in found.windows if each.start is not None and each.start >= told.between[1])[-STANDING:]


def _means(conditions: tuple[Condition, ...], rows: SliceRows, starts: tuple[datetime | None, ...]) -> tuple[WindowLoss, ...]:
    inside = chosen(conditions, rows.codes)
    n = np.bincount(rows.blocks[inside], minlength=len(starts))
    sums = np.bincount(rows.blocks[inside], weights=rows.losses[inside], minlength=len(starts))
    return tuple(
        WindowLoss(mean=float(f"{total / count:.6g}"), n=count, start=start)
        for start, count, total in zip(starts, n.tolist(), sums.tolist(), strict=True)
        if count >= LEAST_IN_WINDOW
    )

"""A stream that follows the time of day or the day of the week: what the reference has of it in each slot."""

from datetime import UTC, datetime, timedelta

import msgspec

from flyball.monitoring.spread import Spread
from flyball.monitoring.window import Window

DAY, WEEK = timedelta(days=1), timedelta(days=7)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Season(msgspec.Struct, frozen=True, kw_only=True):
    """A day or a week of UTC, cut into slots of equal length. A window belongs to the one that it begins in."""

    window: timedelta
    """Of the reference. Windows of another length have no slot."""
    period: timedelta
    counts: tuple[tuple[int, ...], ...]
    """By slot, as `Stream.counts`; they sum to it."""
    spreads: tuple[tuple[Spread, ...], ...] = ()
    """By slot, then by size of block; a block is of windows of the same slot. Empty: rows of a slot are exchangeable."""

    def slot_of(self, window: Window) -> int | None:
        """None: the window is of another length."""
        if window.end - window.start != self.window:
            return None
        return int(((window.start - EPOCH) % self.period) * len(self.counts) // self.period)

    def words(self, window: Window) -> str:
        """What the window is compared with."""
        width = self.period / len(self.counts)
        if self.period == WEEK and width == DAY:
            return f"other {DAYS[window.start.weekday()]}s"
        begin = EPOCH + ((window.start - EPOCH) // width) * width
        return f"{begin:%H:%M} to {begin + width:%H:%M} UTC of other days"

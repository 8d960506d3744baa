"""Which streams follow the time of day or the day of the week? The reference's own windows say so.

A stream's window is summed up in a few numbers: mean rank, how wide, what is missing; shares of the commonest categories. Within a day these are compared slot by
slot: Hotelling's T² over days on their differences between slots, so that what a whole day has in common (weather, a campaign) counts neither for nor against, and
neither does how one part of a day hangs on another. Beyond that, days are taken as independent. Weeks likewise, with a slot for each day.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.blocks import FEWEST_ROWS
from flyball.monitoring.season import DAY, WEEK, Season
from flyball.monitoring.spread import FEWEST
from flyball.monitoring.streams import MISSING_BIN, OTHER_BIN, Stream
from flyball.stats import hotelling

ALPHA = 0.01
"""Of seeing a season where there is none, over all streams. It costs little: the same hours are as good a reference as all, and smaller."""
MOST_SLOTS = 8
"""Of a day: a stream's state holds counts for each. Hours share slots of three."""
COMMONEST = 4
"""Categories whose shares are looked at."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class InTime(NamedTuple):
    """A stream's counts in every window of time."""

    numbers: Ints
    """(n_windows,) window lengths since 1970-01-01."""
    counts: Ints
    """(n_windows, n_bins)"""


class Slotted(NamedTuple):
    season: Season
    per_window: tuple[Ints, ...]
    """By slot: (n_windows, n_bins), of windows that are large enough to be a measure of windows."""


class _Cycle(NamedTuple):
    """A period cut into slots."""

    period: timedelta
    windows: int
    """In a period."""
    slots: int

    def slots_of(self, numbers: Ints) -> Ints:
        found: Ints = numbers % self.windows * self.slots // self.windows
        return found


def find(streams: Sequence[tuple[Stream, InTime | None]], window: timedelta | int) -> dict[str, Slotted]:
    """Streams that follow a season, by name; `window` is the reference's."""
    if not isinstance(window, timedelta):
        return {}
    level = ALPHA / max(len(streams), 1)
    found = {stream.name: _slotted(stream, seen, window, level) for stream, seen in streams if seen is not None}
    return {name: each for name, each in found.items() if each is not None}


def are_looked_for(numbers: Ints, rows: Ints, window: timedelta) -> bool:
    """Whether windows of so many rows are enough to see a stream follow the clock. Whole weeks hold every hour: there is nothing to look for."""
    return window % WEEK == timedelta(0) or any(True for _ in _cycles(numbers[rows >= FEWEST_ROWS], window))


def _slotted(stream: Stream, seen: InTime, window: timedelta, level: float) -> Slotted | None:
    """By the season that explains most."""
    large = seen.counts.sum(axis=1) >= FEWEST_ROWS
    cycles = list(_cycles(seen.numbers[large], window))
    best: tuple[float, _Cycle] | None = None
    for cycle in cycles:
        explained = _explained(stream, seen, cycle, level / len(cycles))
        if explained is not None and (best is None or explained > best[0]):
            best = explained, cycle
    if best is None:
        return None
    cycle = best[1]
    slots = cycle.slots_of(seen.numbers)
    counts = tuple(tuple(seen.counts[slots == slot].sum(axis=0).tolist()) for slot in range(cycle.slots))
    per_window = tuple(seen.counts[(slots == slot) & large] for slot in range(cycle.slots))
    return Slotted(Season(window=window, period=cycle.period, counts=counts), per_window)


def _cycles(numbers: Ints, window: timedelta) -> Iterator[_Cycle]:
    """A day in as many slots as have windows enough each, a week in its days."""
    if window < DAY and DAY % window == timedelta(0):
        a_day = DAY // window
        for slots in range(min(a_day, MOST_SLOTS), 1, -1):
            cycle = _Cycle(DAY, a_day, slots)
            if a_day % slots == 0 and _enough(cycle, numbers):
                yield cycle
                break
    if window <= DAY and WEEK % window == timedelta(0) and _enough(cycle := _Cycle(WEEK, WEEK // window, 7), numbers):
        yield cycle


def _enough(cycle: _Cycle, numbers: Ints) -> bool:
    return bool(np.bincount(cycle.slots_of(numbers), minlength=cycle.slots).min() >= FEWEST) if numbers.size else False


def _explained(stream: Stream, seen: InTime, cycle: _Cycle, level: float) -> float | None:
    """The largest share of a summary's variance between windows that slots explain, of those that differ between slots; None: none does."""
    slots = cycle.slots_of(seen.numbers)
    cells = seen.numbers // cycle.windows * cycle.slots + slots
    _, first, of_cell = np.unique(cells, return_index=True, return_inverse=True)
    together = np.zeros((first.size, seen.counts.shape[1]), dtype=np.int64)
    np.add.at(together, of_cell, seen.counts)
    by_cell = _summaries(stream, together)
    by_window = _summaries(stream, seen.counts)
    periods = cells[first] // cycle.slots
    shares = []
    for cell, each in zip(by_cell.T, by_window.T, strict=True):
        table = np.full((int(np.ptp(periods)) + 1, cycle.slots), np.nan)
        table[periods - periods.min(), slots[first]] = cell
        whole = table[~np.isnan(table).any(axis=1)]
        if hotelling.zero_mean_p(whole[:, 1:] - whole[:, :1]) <= level / by_cell.shape[1]:
            shares.append(_share_between(each, slots))
    return max(shares, default=None)


def _summaries(stream: Stream, counts: Ints) -> Floats:
    """(n_windows, n_summaries); NaN where there are too few rows."""
    total = counts.sum(axis=1, keepdims=True).astype(np.float64)
    shares = np.where(total >= FEWEST_ROWS, counts / np.maximum(total, 1.0), np.nan)
    if stream.kind == "category":
        return shares[:, [MISSING_BIN, OTHER_BIN, *range(3, min(3 + COMMONEST, stream.n_bins))]]
    everything = counts[:, 1:].sum(axis=0).astype(np.float64)
    rank = (np.cumsum(everything) - everything / 2.0) / max(float(everything.sum()), 1.0) - 0.5
    present = counts[:, 1:].sum(axis=1).astype(np.float64)
    means = [
        np.where(present >= FEWEST_ROWS, counts[:, 1:] @ scores / np.maximum(present, 1.0), np.nan)
        for scores in (rank, rank * rank)
    ]
    return np.column_stack([*means, shares[:, MISSING_BIN]])


def _share_between(values: Floats, slots: Ints) -> float:
    """Of the variance between windows, what lies between slots."""
    told = ~np.isnan(values)
    values, slots = values[told], slots[told]
    times = np.bincount(slots)
    means = np.bincount(slots, values) / np.maximum(times, 1)
    total = float(np.sum((values - values.mean()) ** 2))
    return float(np.sum((means[slots] - values.mean()) ** 2)) / total if total > 0 else 0.0

"""How a stretch of reference rows is cut into windows like those that will be judged, or into blocks where it is too short for that."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FEWEST_WINDOWS = 8
"""With fewer windows of time their spread cannot be told: consecutive blocks stand in for them."""
MOST_WINDOWS = 200
"""Beyond it one of every so many consecutive ones stands for them: the spread of 200 is known well enough, and the reference is built in seconds. Joined they
would show the spread of longer windows than those that will be judged, which is smaller."""
GOLDEN = 0.6180339887498949
"""Its multiples modulo 1 fill any stretch evenly and follow no period: of rows at equal steps a panel (300 stores, a row each a day) has the same stores for ever."""
MOST_BLOCKS, FEWEST_BLOCKS = 42, 20
FEWEST_ROWS = 20
"""A window with fewer rows is no measure of windows: its rows are counted, its spread is not."""
FEWER_ROWS = (FEWEST_ROWS, 10, 5, 2)
"""Unless windows of so many hold less than half of all rows (a sample of a busy service's rows, in windows of an hour; the few busiest hours do not stand for the
others): then those of fewer are, since blocks, which are far longer, show nothing of what hours differ by. From two rows on a window says how alike its rows are."""
MOST_THIN = 2_000
"""Of windows of few rows: how far larger ones differ is seen in the rows of them all, of which 200 would hold some hundreds."""
MOST_NUMBERED = 5_000
"""Windows told apart by when they were: seven months of hours. With more, counting each of them takes longer than all the rest."""


class Numbered(NamedTuple):
    """All windows of time, in order, none of them joined."""

    windows: tuple[Ints, ...]
    """Row indices of each."""
    numbers: Ints
    """Window lengths since 1970-01-01."""


class Cut(NamedTuple):
    """Which rows belong to which window, in order."""

    windows: tuple[Ints, ...]
    """Row indices of each."""
    in_time: bool
    """False: consecutive blocks of equal size, not windows as they will be judged."""
    windows_of_time: int = 0
    """All that have a row; 0: windows are of so many rows, or when rows were is not known."""
    thin: bool = False
    """Windows of time with fewer than FEWEST_ROWS are among them."""


def cut(n: int, event_us: ArrayLike | None, window: timedelta | int, most: int = MOST_WINDOWS, *, thin: bool = False) -> Cut:
    """Windows of time or of so many rows, in order, `most` of them; or blocks, where there are fewer than FEWEST_WINDOWS windows. `thin`: of windows of time that
    have fewer than FEWEST_ROWS the larger ones are taken, MOST_THIN of them, and no blocks."""
    timed = event_us is not None and isinstance(window, timedelta)
    if event_us is not None and isinstance(window, timedelta):
        times = np.asarray(event_us, dtype=np.int64)
        order = np.argsort(times, kind="stable")
        numbers = times[order] // max(int(window / timedelta(microseconds=1)), 1)
    else:
        order = np.arange(n) if event_us is None else np.argsort(np.asarray(event_us, dtype=np.int64), kind="stable")
        numbers = np.arange(n) // max(window, 1) if isinstance(window, int) else np.zeros(n, dtype=np.int64)
    parts = np.split(order, np.flatnonzero(np.diff(numbers)) + 1)
    of_time = len(parts) if timed and n else 0
    for fewest in FEWER_ROWS if thin and timed else (FEWEST_ROWS,):
        found = tuple(part for part in parts if part.size >= fewest)
        enough = not (thin and timed) or 2 * sum(part.size for part in found) >= n or fewest == FEWER_ROWS[-1]
        if enough and len(found) >= FEWEST_WINDOWS:
            most = most if fewest == FEWEST_ROWS else max(most, MOST_THIN)
            return Cut(_thinned(found, most), in_time=True, windows_of_time=of_time, thin=fewest < FEWEST_ROWS)
    blocks = min(MOST_BLOCKS, max(FEWEST_BLOCKS, n // FEWEST_ROWS), max(n // 2, 1))
    return Cut(tuple(np.array_split(order, blocks)), in_time=False, windows_of_time=of_time)


def numbered(event_us: ArrayLike | None, window: timedelta | int) -> Numbered | None:
    """Every window of time that has rows, also of few; None: there are none, or more than MOST_NUMBERED."""
    if event_us is None or not isinstance(window, timedelta):
        return None
    times = np.asarray(event_us, dtype=np.int64)
    order = np.argsort(times, kind="stable")
    of_row = times[order] // max(int(window / timedelta(microseconds=1)), 1)
    starts = np.flatnonzero(np.diff(of_row, prepend=of_row[:1] - 1))
    if not 0 < starts.size <= MOST_NUMBERED:
        return None
    return Numbered(tuple(np.split(order, starts[1:])), of_row[starts])


def _thinned(windows: tuple[Ints, ...], most: int) -> tuple[Ints, ...]:
    """One of each stretch, at places in it that repeat no hour and no weekday (the golden section's)."""
    return tuple(windows[place] for place in sampled(len(windows), -(-len(windows) // most)).tolist())


def sampled(n: int, every: int) -> Ints:
    """Of n rows in order one of each `every` neighbours, at places that follow no period."""
    starts = np.arange(0, n, every)
    return np.minimum(starts + (np.arange(starts.size) * GOLDEN % 1.0 * every).astype(np.int64), n - 1)


def one_in(every: int, rows: int, number: int) -> Bools:
    """Which rows of a window, the `number`-th of all, are one in `every`. Windows of a panel have the same rows in the same order: each is dealt anew, so that
    every place in them has its turn."""
    return np.asarray((number + np.arange(rows)) * GOLDEN % 1.0 < 1.0 / every)


def dealt(every: int, rows: int, windows: Sequence[Ints]) -> Bools:
    """The same of all rows; those in no window as if each were one."""
    found = one_in(every, rows, 0)
    for number, part in enumerate(windows):
        found[part] = one_in(every, part.size, number)
    return found

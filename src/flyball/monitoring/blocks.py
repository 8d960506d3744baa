"""How a stretch of reference rows is cut into windows like those that will be judged, or into blocks where it is too short for that."""

from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

FEWEST_WINDOWS = 4
MOST_BLOCKS = 42
"""14 to count and 28 to calibrate with."""
FEWEST_BLOCKS = 20
FEW_CALIBRATION = 15
"""With fewer, lasting drift is soon ranked among its own: five leave a p-value of j/(5 + j) at the j-th drifted window."""
FEWEST_ROWS = 20
"""A window with fewer rows is no measure of windows: its rows are counted, its score is not."""
FIT_EVERY = 3
"""Every third window is counted into the reference, the others calibrate: windows are scarce, rows are not. Coprime with the week."""
MOST_CALIBRATION = 200
"""Scores kept per stream, evenly spaced over time: the reference travels with the package."""


class Cut(NamedTuple):
    """Which rows belong to which window."""

    fit: Ints
    """Indices of the rows that are counted."""
    fit_windows: tuple[Ints, ...]
    calibration_windows: tuple[Ints, ...]
    in_time: bool
    """False: consecutive blocks of equal size, not windows of time."""

    @property
    def windows(self) -> tuple[Ints, ...]:
        return self.fit_windows + self.calibration_windows


def windows_of(n: int, event_us: ArrayLike | None, window: timedelta) -> tuple[tuple[Ints, ...], bool]:
    """Row indices per window in order of time, and True; or per block, and False."""
    if event_us is not None:
        times = np.asarray(event_us, dtype=np.int64)
        size = max(int(window / timedelta(microseconds=1)), 1)
        order = np.argsort(times, kind="stable")
        numbers = times[order] // size
        starts = np.flatnonzero(np.diff(numbers)) + 1
        found = tuple(part for part in np.split(order, starts) if part.size >= FEWEST_ROWS)
        if len(found) >= FEWEST_WINDOWS:
            return found, True
    else:
        order = np.arange(n)
    blocks = min(MOST_BLOCKS, max(FEWEST_BLOCKS, n // FEWEST_ROWS), max(n, 1))
    return tuple(np.array_split(order, blocks)), False


def cut(n: int, event_us: ArrayLike | None, window: timedelta) -> Cut:
    """Split into rows to count and windows to calibrate with. Rows of a calibration window are never counted."""
    windows, in_time = windows_of(n, event_us, window)
    fit = windows[::FIT_EVERY]
    calibration = tuple(part for place, part in enumerate(windows) if place % FIT_EVERY)
    if len(calibration) > MOST_CALIBRATION:
        places = np.linspace(0, len(calibration) - 1, MOST_CALIBRATION).round().astype(int)
        calibration = tuple(calibration[place] for place in places)
    return Cut(
        fit=np.concatenate(fit) if fit else np.arange(0), fit_windows=fit, calibration_windows=calibration, in_time=in_time
    )

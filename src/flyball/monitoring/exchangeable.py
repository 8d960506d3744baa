"""May rows of the reference be taken as exchangeable? Its own windows say so, or how far windows differ beyond chance."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import senses, spread
from flyball.monitoring.spread import Spread
from flyball.monitoring.streams import Stream
from flyball.stats import student

BLOCKS = (1, 3, 9, 27)
"""Windows looked at together: a shift that one does not show alone may show in a month. Threes, since a stream holds counts for each size."""
ALPHA = 0.05
"""Of taking exchangeable rows for others, over all streams: it costs power. The other error costs the budget, so it is not smaller."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Counted(NamedTuple):
    """A stream and the counts of each window of the reference."""

    stream: Stream
    per_window: Ints
    """(n_windows, n_bins)"""


class Examined(NamedTuple):
    streams: tuple[Stream, ...]
    exchangeable: bool
    notes: tuple[str, ...]


class _Squares(NamedTuple):
    squares: list[tuple[float, ...]]
    sizes: list[float]


def examine(counted: list[Counted]) -> Examined:
    """Streams with their spreads, or without any where windows differ as rows do."""
    single = [_squares(each.stream, each.per_window) for each in counted]
    suspicious = [
        each.stream.name for each, found in zip(counted, single, strict=True) if _too_far([found], ALPHA / 2 / len(counted))
    ]
    together = any(
        _too_far(
            [found for each, found in zip(counted, single, strict=True) if (each.stream.role == "prediction") is held], ALPHA / 4
        )
        for held in (True, False)  # the holdout's windows are others
    )
    if not suspicious and not together:
        return Examined(tuple(each.stream for each in counted), exchangeable=True, notes=())
    streams = tuple(
        msgspec.structs.replace(each.stream, spreads=_spreads(each, found)) for each, found in zip(counted, single, strict=True)
    )
    named = f" (most: {', '.join(suspicious[:5])})" if suspicious else ""
    note = f"Windows of the reference differ by more than chance{named}: a window is judged by how far these differ from one another."
    return Examined(streams, exchangeable=False, notes=(note,))


def means_alike(values: Floats, windows: Sequence[Ints]) -> bool:
    """Do means of windows differ by no more than their rows do? Chi-square of their distances from the mean of all, level ALPHA."""
    from scipy.special import chdtrc

    rows = values[np.concatenate(windows)] if windows else values
    variance = float(rows.var())
    if len(windows) < 2 or variance == 0.0:
        return False
    distances = sum(part.size * (float(values[part].mean()) - float(rows.mean())) ** 2 for part in windows)
    return bool(chdtrc(len(windows) - 1, distances / variance) > ALPHA)


def _squares(stream: Stream, per_window: Ints) -> _Squares:
    """Each window's squares against all the others."""
    total = per_window.sum(axis=0)
    found = _Squares([], [])
    for row in per_window:
        if 0 < row.sum() < total.sum():
            sensed = senses.sensed(stream, row.astype(np.float64), (total - row).astype(np.float64))
            found.squares.append(sensed.squares)
            found.sizes.append(sensed.size)
    return found


def _too_far(streams: list[_Squares], alpha: float) -> bool:
    """Is the mean square above 1? A t-test over windows: streams of the same rows are not independent. Exact tests of single bins are left out: discrete, they
    have a mean below 1."""
    told = [found.squares for found in streams if len(found.squares) >= 2]
    windows = min((len(rows) for rows in told), default=0)
    if windows < 2:
        return False
    means = np.mean([np.asarray(rows, dtype=np.float64)[:windows, :-2].mean(axis=1) for rows in told], axis=0)
    error = float(means.std(ddof=1)) / np.sqrt(windows)
    return bool(means.mean() - 1.0 > student.t_quantile(1.0 - alpha, windows - 1) * error)


def _spreads(counted: Counted, single: _Squares) -> tuple[Spread, ...]:
    """By size of block, as far as there are enough of them."""
    found = []
    for size in BLOCKS:
        blocks = len(counted.per_window) // size
        if blocks < spread.FEWEST and size > 1:
            break
        if size == 1:
            measured = single
        else:
            joined = counted.per_window[: blocks * size].reshape(blocks, size, -1).sum(axis=1)
            measured = _squares(counted.stream, joined)
        if len(measured.squares) < 2:
            break
        found.append(spread.learned(measured.squares, measured.sizes))
    return tuple(found)

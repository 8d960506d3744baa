"""May rows of the reference be taken as exchangeable? Its own windows say so, or how far windows differ beyond chance."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import blocks, senses, spread
from flyball.monitoring.season import DAY
from flyball.monitoring.seasons import InTime, Slotted
from flyball.monitoring.spread import Spread
from flyball.monitoring.streams import Stream
from flyball.stats import student

BLOCKS = (1, 3, 9, 27)
"""Windows looked at together: a shift that one does not show alone may show in a month. Threes, since a stream holds counts for each size."""
ALPHA = 0.05
"""Of taking exchangeable rows for others, over all streams: it costs power. The other error costs the budget, so it is not smaller."""
TOLD = 1e-3
"""p-value at which a stream's window is told: the share of one among ten in a budget of one false alarm in a hundred windows or so."""
WORTH = 0.5
"""Squared move that is told in a slot, of the one told among all windows: seven tenths of the move itself. A season that gains less is left alone, since what the
gain is judged by are the few windows of a slot, and a holiday is a stranger among Mondays only."""
MOST_A_SLOT = 60
"""Windows of a slot whose squares are taken, over all its time and of all weekdays: eight slots are as quickly done as a reference without any."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Counted(NamedTuple):
    """A stream and the counts of each window of the reference."""

    stream: Stream
    per_window: Ints
    """(n_windows, n_bins)"""
    in_time: InTime | None = None
    """None: when its windows were is not known."""


class Examined(NamedTuple):
    streams: tuple[Stream, ...]
    exchangeable: bool
    notes: tuple[str, ...]
    unseen: bool = False
    """Not exchangeable only since windows are thin."""


class _Squares(NamedTuple):
    squares: list[tuple[float, ...]]
    sizes: list[float]


class _Looked(NamedTuple):
    """A stream, and the squares of its windows."""

    counted: Counted
    all: _Squares
    slotted: Slotted | None = None
    within: tuple[_Squares, ...] = ()
    """By slot, each window against the others of its slot; empty: no season."""

    @property
    def adjusted(self) -> _Squares:
        """What windows differ by beside their season."""
        if not self.within:
            return self.all
        return _Squares(
            [row for each in self.within for row in each.squares], [size for each in self.within for size in each.sizes]
        )

    @property
    def windows(self) -> tuple[bool, Any]:
        """Streams of the same windows: the holdout's are others, and so are those of a season."""
        season = None if self.slotted is None else (self.slotted.season.period, len(self.within))
        return self.counted.stream.role == "prediction", season


def examine(
    counted: list[Counted], slotted: Mapping[str, Slotted] = MappingProxyType({}), *, thin: Collection[str] = ()
) -> Examined:
    """Streams with their spreads, or without any where windows differ as rows do. `slotted`: of streams that follow a season, whose windows are looked at
    slot by slot. `thin`: roles whose windows have so few rows that nobody could see them differ (blocks.Cut.thin)."""
    looked = [_look(each, slotted.get(each.stream.name)) for each in counted]
    suspicious = [each.counted.stream.name for each in looked if _is_suspicious(each, ALPHA / 2 / len(counted))]
    groups: dict[tuple[bool, Any], list[_Squares]] = {}
    for each in looked:
        groups.setdefault(each.windows, []).append(each.adjusted)
    together = any(_too_far(group, ALPHA / 2 / max(len(groups), 2)) for group in groups.values())
    if not suspicious and not together:
        streams = tuple(
            _of_windows_that_differ(each) if each.counted.stream.role in thin else _of_like_windows(each) for each in looked
        )
        return Examined(streams, exchangeable=not thin, notes=_seasonal_notes(streams), unseen=bool(thin))
    streams = tuple(_of_windows_that_differ(each) for each in looked)
    named = f" (most: {', '.join(suspicious[:5])})" if suspicious else ""
    note = f"Windows of the reference differ by more than chance{named}: a window is judged by how far these differ from one another."
    return Examined(streams, exchangeable=False, notes=(*_seasonal_notes(streams), note))


def _seasonal_notes(streams: Sequence[Stream]) -> tuple[str, ...]:
    found = []
    for what, daily in (("time of day", True), ("day of the week", False)):
        names = [each.name for each in streams if each.season is not None and (each.season.period == DAY) is daily]
        if names:
            found.append(f"Windows follow the {what} ({', '.join(names)}): there a window is compared with windows of the same.")
    return tuple(found)


def means_alike(values: Floats, windows: Sequence[Ints]) -> bool:
    """Do means of windows differ by no more than their rows do? Chi-square of their distances from the mean of all, level ALPHA; of windows of unequal size with the
    variance that the rows' kurtosis gives it (Box & Andersen 1955): rare large losses were taken for windows that differ in 8 to 12 %."""
    from scipy.special import gammaincc

    rows = values[np.concatenate(windows)] if windows else values
    variance = float(rows.var())
    if len(windows) < 2 or variance == 0.0:
        return False
    distances = sum(part.size * (float(values[part].mean()) - float(rows.mean())) ** 2 for part in windows)
    degrees = len(windows) - 1
    unequal = sum(1.0 / part.size for part in windows) - len(windows) ** 2 / rows.size
    kurtosis = float(((rows - rows.mean()) ** 4).mean()) / variance**2 - 3.0
    of_chi_square = 1.0 + max(kurtosis, 0.0) * unequal / (2.0 * degrees)
    return bool(gammaincc(degrees / 2.0 / of_chi_square, distances / variance / 2.0 / of_chi_square) > ALPHA)


def _squares(stream: Stream, per_window: Ints, most: int | None = None) -> _Squares:
    """Each window's squares against all the others, or those of `most` of them."""
    total = per_window.sum(axis=0)
    found = _Squares([], [])
    for row in per_window if most is None else per_window[blocks.sampled(len(per_window), -(-len(per_window) // most))]:
        if 0 < row.sum() < total.sum():
            sensed = senses.sensed(stream, row.astype(np.float64), (total - row).astype(np.float64))
            found.squares.append(sensed.squares)
            found.sizes.append(sensed.size)
    return found


def _look(counted: Counted, slotted: Slotted | None) -> _Looked:
    everything = _squares(counted.stream, counted.per_window)
    if slotted is None:
        return _Looked(counted, everything)
    within = tuple(_squares(counted.stream, per_window, MOST_A_SLOT) for per_window in slotted.per_window)
    return _Looked(counted, everything, slotted, within)


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


def _of_like_windows(of: _Looked) -> Stream:
    """A stream of a season has spreads all the same: windows of another length, which have no slot, are judged by them."""
    if of.slotted is None:
        return of.counted.stream
    return msgspec.structs.replace(_with_spreads(of), season=of.slotted.season)


def _of_windows_that_differ(of: _Looked) -> Stream:
    stream = _with_spreads(of)
    if of.slotted is None:
        return stream
    by_slot = zip(of.slotted.per_window, of.within, strict=True)
    spreads = tuple(_spreads(stream, per_window, found, MOST_A_SLOT) for per_window, found in by_slot)
    seasonal = msgspec.structs.replace(stream, season=msgspec.structs.replace(of.slotted.season, spreads=spreads))
    return seasonal if all(spreads) and _finds_more(seasonal, len(spreads)) else stream


def _finds_more(stream: Stream, slots: int) -> bool:
    """Is a much smaller move told in the mean slot than among all windows? A slot's windows are more alike, but they are fewer, and a rank among few says little."""
    everything = np.asarray(stream.counts[1:], dtype=np.float64)
    ranks = (np.cumsum(everything) - everything / 2.0) / max(float(everything.sum()), 1.0)

    def smallest_move(among: Stream) -> float:
        """Squared, in ranks among all rows; of categories in shares."""
        shares = np.asarray(among.counts[1:], dtype=np.float64) / max(sum(among.counts[1:]), 1)
        gini = float(shares.sum() - shares @ shares)
        rows = gini if among.kind == "category" else float(shares @ ranks**2 - (shares @ ranks) ** 2)
        return max(spread.smallest_excess(among.spreads[0], 0, TOLD), 1e-12) * max(rows, 1e-12)

    gains = [np.log(smallest_move(stream.in_slot(slot)) / smallest_move(stream)) for slot in range(slots)]
    return bool(np.mean(gains) < np.log(WORTH))


def _with_spreads(of: _Looked) -> Stream:
    stream = of.counted.stream
    return msgspec.structs.replace(stream, spreads=_spreads(stream, of.counted.per_window, of.all))


def _is_suspicious(of: _Looked, alpha: float) -> bool:
    """By the mean of the squares, whatever their law, or by the sum of one sense's, χ² where windows differ by chance. A few restless windows among calm ones, or a
    reference of a few spells of weather, scatter squares so far that the t-test cannot tell their mean from 1."""
    return _too_far([of.adjusted], alpha / 2) or _too_much(of, alpha / 2)


def _too_much(of: _Looked, alpha: float) -> bool:
    """Is the sum of squares beyond the gamma law of its mean and variance, in the first sense or in that of single bins? A square has variance 2, and where few rows
    have all the scatter also their kurtosis over the rows of its window (Box & Andersen 1955). Exact p-values of single bins make squares that are smaller, if
    anything; of windows of few rows they are all that can be said."""
    from scipy.special import gammaincc

    squares, sizes = of.adjusted
    if len(squares) < 2:
        return False
    beyond_normal = _kurtosis_of_ranks(of.counted) if of.counted.stream.kind == "number" else 0.0
    variances = 2.0 + beyond_normal * sum(1.0 / size for size in sizes) / len(sizes), 2.0
    sums = (sum(row[sense] for row in squares) for sense in (0, -2))
    return any(gammaincc(len(squares) / v, total / v) < alpha / 2 for total, v in zip(sums, variances, strict=True))


def _kurtosis_of_ranks(counted: Counted) -> float:
    """Above a normal variable's, at least 0: a column that is nearly always 0 has some hundred."""
    rows = counted.per_window.sum(axis=0)[1:].astype(np.float64)
    total = float(rows.sum())
    ranks = (np.cumsum(rows) - rows / 2.0) / max(total, 1.0) - 0.5
    variance = float(rows @ ranks**2) / max(total, 1.0)
    return max(float(rows @ ranks**4) / total / variance**2 - 3.0, 0.0) if variance > 0.0 else 0.0


def _spreads(stream: Stream, per_window: Ints, single: _Squares, most: int | None = None) -> tuple[Spread, ...]:
    """By size of block, as far as there are enough of them."""
    found = []
    for size in BLOCKS:
        n_blocks = len(per_window) // size
        if n_blocks < spread.FEWEST and size > 1:
            break
        if size == 1:
            measured = single
        else:
            joined = per_window[: n_blocks * size].reshape(n_blocks, size, -1).sum(axis=1)
            measured = _squares(stream, joined, most)
        if len(measured.squares) < 2:
            break
        found.append(spread.learned(measured.squares, measured.sizes))
    return tuple(found)

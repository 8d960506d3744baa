"""What normal looks like: bins and counts of the data that a version was made of, how far its windows differ, and its loss on rows it had not seen."""

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks, counting, exchangeable, seasons, streams
from flyball.monitoring.streams import Stream
from flyball.records.signature import ColumnType, Signature, Task
from flyball.stats.metrics import HALF

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FORMAT = 2
FILE = "reference.json"
"""In a package."""


class HoldoutScores(NamedTuple):
    """The version's answers on rows that it was not trained on."""

    scores: Floats
    """(n_rows, n_scores)"""
    losses: Floats
    """(n_rows,) bounded losses in [0, 1]."""
    event_us: NDArray[np.int64] | None
    """(n_rows,) event time in microseconds; None: unknown."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """Bounded loss on the holdout."""

    mean: float
    """Over rows."""
    n: int
    """0: there was no holdout, and no loss is ever called too high."""
    window_means: tuple[float, ...]
    in_time: bool
    """False: `window_means` are of consecutive blocks."""
    alike: bool = False
    """Windows are not seen to differ by more than their rows do. False, too, of a release that did not ask."""
    spread: float | None = None
    """Standard deviation of the rows' losses around the mean of their window; None: of a release that did not ask, or of what was accepted as normal."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that monitoring needs of a version. Encode with `records.codec`; tens of kB."""

    format: int = 1
    """1: of a release before 2 existed, which did not write it."""
    task: Task
    classes: tuple[str, ...]
    scale: float
    """Regression: absolute error that counts as a loss of 1. Otherwise 1."""
    rows: int
    window: timedelta | None
    """None: windows are counted in rows."""
    window_rows: int | None = None
    streams: tuple[Stream, ...]
    baseline: Baseline
    exchangeable: bool = False
    """Rows of one window are as like or unlike as rows of different ones: windows differ by chance alone. Otherwise by their spread, too."""
    unseen: bool = False
    """Not exchangeable only since windows have so few rows that nobody could see them differ."""
    notes: tuple[str, ...] = ()
    threshold: float = HALF
    """Two classes: the score from which the answer is the positive one. In a package it is one half: a unit says its own."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(
                f"a reference of format {self.format}, expected {FORMAT}: this version was packaged by another release of Flyball, whose bins "
                "mean something else; train it again (its answers are not concerned)"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(stream.name for stream in self.streams)


def build(
    signature: Signature,
    columns: Mapping[str, Any],
    event_us: ArrayLike | None,
    holdout: HoldoutScores | None,
    window: timedelta | int,
    scale: float | None,
) -> Reference:
    """The reference of a version, or of a frame.

    `columns` are the model's inputs, column by column: numpy, Polars, Arrow, pandas or lists; missing is None, NaN or, for a category, ''.
    `event_us` are their event times, None where rows just follow one another; `window` is a duration or a number of rows; `holdout` None: features
    alone are watched; `scale` is the regression's (None elsewhere). Columns that are not in the signature and end up in `columns` are not looked at.
    A signature without columns (capture keeps none of them): the reference is of the answers alone.
    Raises DataError when there are no rows, columns of different length, or neither columns nor answers.
    """
    n = _length(signature, columns, holdout)
    if n == 0 or (holdout is not None and len(holdout.scores) == 0):
        raise DataError("a reference of no rows", expected="rows of training data and of the holdout")
    cut = _Cuts(blocks.cut(n, event_us, window, thin=True), blocks.numbered(event_us, window))
    made = [
        _stream(column.name, "feature", columns[column.name], cut, column.type is ColumnType.CATEGORY)
        for column in signature.columns
    ]
    told = _notes(cut.windows, "features") if made else ()
    baseline, thin = Baseline(mean=0.0, n=0, window_means=(), in_time=False), {"feature"} if cut.windows.thin else set[str]()
    if holdout is not None:
        held = streams.score_table(holdout.scores)
        held_cut = _Cuts(blocks.cut(len(held), holdout.event_us, window, thin=True), blocks.numbered(holdout.event_us, window))
        answered = prediction_columns(signature.task, signature.classes, signature_names(signature), held)
        made += [_stream(name, "prediction", values, held_cut, kind == "category") for name, (kind, values) in answered.items()]
        every = blocks.cut(len(held), holdout.event_us, window, blocks.MOST_NUMBERED)  # means of few rows would hide a worse loss
        baseline = _baseline(np.asarray(holdout.losses, dtype=np.float64), every)
        told += _notes(held_cut.windows, "predictions" if held_cut.windows.thin else "predictions and the loss")
        thin |= {"prediction"} if held_cut.windows.thin else set()
    found = exchangeable.examine(made, seasons.find([(each.stream, each.in_time) for each in made], window), thin=thin)
    return Reference(
        format=FORMAT,
        task=signature.task,
        classes=signature.classes,
        scale=1.0 if scale is None else float(scale),
        rows=n,
        window=window if isinstance(window, timedelta) else None,
        window_rows=window if isinstance(window, int) else None,
        streams=found.streams,
        baseline=baseline,
        exchangeable=found.exchangeable,
        unseen=found.unseen,
        notes=told + found.notes,
    )


def signature_names(signature: Signature) -> frozenset[str]:
    return frozenset(column.name for column in signature.columns)


def prediction_columns(
    task: str, classes: tuple[str, ...], features: frozenset[str], scores: Floats
) -> dict[str, tuple[str, Any]]:
    """The streams that answers make, by name: (kind, values). `prediction` is the score, the value, or the most probable class.

    A feature of the same name keeps it; the prediction then gets a `_`.
    """
    name = "prediction"
    while name in features or (task == "multiclass" and f"{name}.confidence" in features):
        name += "_"
    if task != "multiclass":
        return {name: ("number", scores[:, 0])}
    labels = np.asarray(classes, dtype=object)[np.argmax(scores, axis=1)]
    return {name: ("category", labels), f"{name}.confidence": ("number", scores.max(axis=1))}


def _length(signature: Signature, columns: Mapping[str, Any], holdout: HoldoutScores | None) -> int:
    absent = [column.name for column in signature.columns if column.name not in columns]
    if absent:
        raise DataError(f"a reference without {', '.join(absent)}", expected="every column of the signature")
    sizes = {column.name: len(columns[column.name]) for column in signature.columns}
    if not sizes and holdout is not None:
        return len(holdout.scores)
    if len(set(sizes.values())) != 1:
        raise DataError(f"columns of different length: {sizes}", expected="one value per row in each")
    return next(iter(sizes.values()))


class _Cuts(NamedTuple):
    """The same rows in windows like those that will be judged, and in windows that are told apart by when they were."""

    windows: blocks.Cut
    in_time: blocks.Numbered | None

    @property
    def parts(self) -> tuple[Ints, ...]:
        """Windows of all rows, as far as there are any."""
        return self.windows.windows if self.in_time is None else self.in_time.windows


def _stream(name: str, role: str, values: Any, cut: _Cuts, category: bool) -> exchangeable.Counted:  # noqa: FBT001 - the kind of a column
    """Bins of all rows, and the counts of each window in them."""
    return _category(name, role, values, cut) if category else _number(name, role, values, cut)


def _number(name: str, role: str, values: Any, cut: _Cuts) -> exchangeable.Counted:
    listed = counting.numbers(values)
    bins = streams.bins_for_numbers(name, role, listed)
    per_window = np.array([streams.bin_of(bins, listed[part]) for part in cut.windows.windows])
    bins = msgspec.structs.replace(bins, counts=tuple(streams.bin_of(bins, listed).tolist()))
    return exchangeable.Counted(bins, per_window, _in_time(cut, lambda part: streams.bin_of(bins, listed[part])))


def _category(name: str, role: str, values: Any, cut: _Cuts) -> exchangeable.Counted:
    names, coded = counting.codes(values)
    counted = np.ones(coded.size, dtype=bool)
    if len(names) > streams.CATEGORIES:
        counted = ~blocks.dealt(streams.RANKED_EVERY, coded.size, cut.parts)
    ranked = np.bincount(coded if counted.all() else coded[~counted], minlength=len(names))
    times = {value: int(count) for value, count in zip(names, ranked, strict=True) if count}
    bins = streams.bins_for_categories(name, role, times)
    known = streams.places_of(bins)
    place = np.array([known.get(value, streams.UNSEEN_BIN) for value in names], dtype=np.int64)
    # a value that occurs once was unseen to all the others
    told = np.where(ranked == 1, streams.UNSEEN_BIN, place) if counted.all() else place

    def count(part: Ints, place: Ints = place) -> Ints:
        return np.bincount(place[coded[part[counted[part]]]], minlength=bins.n_bins)

    per_window = np.array([count(part) for part in cut.windows.windows], dtype=np.int64)
    counts = count(np.arange(coded.size), told)
    bins = msgspec.structs.replace(bins, counts=tuple(counts.tolist()))
    return exchangeable.Counted(bins, per_window, _in_time(cut, lambda part: count(part, told)))


def _in_time(cut: _Cuts, count: Callable[[Ints], Ints]) -> seasons.InTime | None:
    """Counts of rows of every window, where there are windows of time enough."""
    if cut.in_time is None or not cut.windows.in_time:
        return None
    return seasons.InTime(cut.in_time.numbers, np.array([count(part) for part in cut.in_time.windows], dtype=np.int64))


def _baseline(losses: Floats, cut: blocks.Cut) -> Baseline:
    means = tuple(float(f"{losses[part].mean():.6g}") for part in cut.windows)
    alike = cut.in_time and exchangeable.means_alike(losses, cut.windows)
    squares = sum(float(losses[part].var()) * part.size for part in cut.windows) / sum(part.size for part in cut.windows)
    return Baseline(
        mean=float(losses.mean()), n=int(losses.size), window_means=means, in_time=cut.in_time, alike=alike,
        spread=float(f"{math.sqrt(squares):.6g}"),
    )  # fmt: skip


def _notes(cut: blocks.Cut, what: str) -> tuple[str, ...]:
    if cut.thin:
        few = f"Most windows of the reference of {what} have fewer than {blocks.FEWEST_ROWS} rows"
        return (f"{few}: how far larger ones differ is learned from these, so moves that these could hide are not told.",)
    if cut.in_time:
        return ()
    blocked = f"it was cut into {len(cut.windows)} consecutive blocks, which show less of how windows differ."
    if cut.windows_of_time >= blocks.FEWEST_WINDOWS:
        return (f"The reference of {what} has {cut.windows_of_time:,} windows, too few of them with more than a row: {blocked}",)
    return (f"The reference of {what} has fewer than {blocks.FEWEST_WINDOWS} windows: {blocked}",)

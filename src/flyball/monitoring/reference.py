"""What normal looks like: bins, counts and calibration scores of the data that a version was made of, and its loss on rows it had not seen."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks, streams
from flyball.monitoring.streams import Stream
from flyball.records.signature import Column, ColumnType, Signature, Task
from flyball.stats import distances

Floats = NDArray[np.float64]


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
    window_means: tuple[float, ...]
    in_time: bool
    """False: `window_means` are of consecutive blocks."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that monitoring needs of a version. Encode with `records.codec`; tens of kB."""

    format: int = 1
    task: Task
    classes: tuple[str, ...]
    scale: float
    """Regression: absolute error that counts as a loss of 1. Otherwise 1."""
    rows: int
    window: timedelta
    streams: tuple[Stream, ...]
    baseline: Baseline
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(stream.name for stream in self.streams)


def build(
    signature: Signature,
    columns: Mapping[str, Any],
    event_us: ArrayLike | None,
    holdout: HoldoutScores,
    window: timedelta,
    scale: float | None,
) -> Reference:
    """The reference of a version.

    `columns` are the model's inputs, column by column (numbers as float with NaN, categories as str with ''); `event_us` their event times;
    `scale` is the regression's (None elsewhere).
    Raises DataError when there are no rows, columns of different length or none at all.
    """
    n = _length(signature, columns)
    held = streams.score_table(holdout.scores)
    if n == 0 or len(held) == 0:
        raise DataError("a reference of no rows", expected="rows of training data and of the holdout")
    cut = blocks.cut(n, event_us, window)
    held_cut = blocks.cut(len(held), holdout.event_us, window)
    features = tuple(_feature(column, columns[column.name], cut) for column in signature.columns)
    predictions = tuple(
        _stream(name, "prediction", values, held_cut, kind == "category")
        for name, (kind, values) in prediction_columns(
            signature.task, signature.classes, signature_names(signature), held
        ).items()
    )
    return Reference(
        task=signature.task,
        classes=signature.classes,
        scale=1.0 if scale is None else float(scale),
        rows=n,
        window=window,
        streams=features + predictions,
        baseline=_baseline(np.asarray(holdout.losses, dtype=np.float64), held_cut),
        notes=_notes(cut, "features") + _notes(held_cut, "predictions and the loss"),
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
    while name in features:
        name += "_"
    if task != "multiclass":
        return {name: ("number", scores[:, 0])}
    labels = np.asarray(classes, dtype=object)[np.argmax(scores, axis=1)]
    return {name: ("category", labels), f"{name}.confidence": ("number", scores.max(axis=1))}


def _length(signature: Signature, columns: Mapping[str, Any]) -> int:
    absent = [column.name for column in signature.columns if column.name not in columns]
    if absent:
        raise DataError(f"a reference without {', '.join(absent)}", expected="every column of the signature")
    sizes = {column.name: len(columns[column.name]) for column in signature.columns}
    if len(set(sizes.values())) != 1:
        raise DataError(f"columns of different length: {sizes}", expected="one value per row in each")
    return next(iter(sizes.values()))


def _feature(column: Column, values: Any, cut: blocks.Cut) -> Stream:
    return _stream(column.name, "feature", values, cut, column.type is ColumnType.CATEGORY)


def _stream(name: str, role: str, values: Any, cut: blocks.Cut, category: bool) -> Stream:  # noqa: FBT001 - the kind of a column
    """Bins and counts from the windows to fit by, then scores of the windows to calibrate with: those stand to the bins as new windows will."""
    listed = np.asarray(values, dtype=object) if category else streams.float32(values)
    bins = (streams.bins_for_categories if category else streams.bins_for_numbers)(name, role, listed[cut.fit])
    fitted = [streams.bin_of(bins, listed[part]) for part in cut.fit_windows]
    counted = msgspec.structs.replace(bins, counts=tuple(int(count) for count in np.sum(fitted, axis=0)))
    excess = [
        distances.js_divergence(counted.counts, part) - distances.js_sampling_noise(counted.counts, int(part.sum()))
        for part in fitted
    ]
    spread = max(float(np.mean(excess)), 0.0)
    measured = msgspec.structs.replace(counted, spread=float(f"{spread:.5g}"))
    scores = tuple(streams.score(measured, streams.bin_of(measured, listed[part])) for part in cut.calibration_windows)
    return msgspec.structs.replace(measured, calibration=scores)


def _baseline(losses: Floats, cut: blocks.Cut) -> Baseline:
    means = tuple(float(f"{losses[part].mean():.6g}") for part in cut.windows)
    return Baseline(mean=float(losses.mean()), n=int(losses.size), window_means=means, in_time=cut.in_time)


def _notes(cut: blocks.Cut, what: str) -> tuple[str, ...]:
    few = len(cut.calibration_windows)
    if cut.in_time and few < blocks.FEW_CALIBRATION:
        told = f"Only {few} windows calibrate the drift of {what}"
        return (
            f"{told}: a shift that is there from the first day may never stand out among them; one that comes after some quiet windows does.",
        )
    if cut.in_time:
        return ()
    found = f"The reference of {what} has fewer than {blocks.FEWEST_WINDOWS} windows of time"
    made = f"it was cut into {len(cut.windows)} consecutive blocks"
    return (
        f"{found}: {made}, which do not show how windows of time differ, so alarms may come more often than the budget says.",
    )

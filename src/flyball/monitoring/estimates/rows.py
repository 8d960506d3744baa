"""The rows that an estimate is learned from.

A file of its own in a version's package. It holds RAW VALUES of the holdout: features, scores and labels of up to MAX_ROWS rows, so whoever
may read the package may read them. Columns that must not be kept are left out of `columns`; the estimate then takes them as unchanged.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import counting, streams
from flyball.records.signature import ColumnType, Signature, Task
from flyball.stats.metrics import HALF

MAX_ROWS = 4000
"""Of the reference: the estimate's error then is that of a window of 4,000 labelled rows, and fitting takes a fraction of a second."""
FILE = "estimation.json"
"""In a package."""
LARGEST = float(np.finfo(np.float32).max)
"""Instead of infinity, which trees refuse."""

Floats = NDArray[np.float64]


class EstimationReference(msgspec.Struct, frozen=True, kw_only=True):
    """Holdout rows of one version. Encode with `records.codec`: about 10 bytes a value."""

    format: int = 1
    task: Task
    scale: float = 1.0
    """Regression: absolute error that counts as a loss of 1."""
    categories: tuple[str, ...]
    """Names of the columns that are categories; all others are numbers."""
    columns: dict[str, tuple[Any, ...]]
    """Column → a value a row; a missing number is None, a missing category ''."""
    scores: tuple[tuple[float, ...], ...]
    labels: tuple[float, ...]
    """Class indices, or numbers for regression."""
    blocks: tuple[int, ...]
    """Number of the window of time that each row lies in, ascending from 0; all 0: times are not known."""
    rows: int
    """In the holdout, of which these are a sample."""
    threshold: float = HALF
    """Two classes: the score from which the answer is the positive one. In a package it is one half: a unit says its own."""


def build(
    signature: Signature,
    columns: Mapping[str, Any],
    event_us: ArrayLike | None,
    outcomes: tuple[ArrayLike, ArrayLike],
    window: timedelta,
    scale: float | None,
) -> EstimationReference:
    """From all rows that the version was not trained on. `outcomes`: scores (n_rows, n_scores) and labels (n_rows,); the rest as `reference.build`.

    Columns of the signature that `columns` lacks are left out. Raises DataError when rows do not belong together or none has score and label.
    """
    scores, labels = streams.score_table(outcomes[0]), np.asarray(outcomes[1], dtype=np.float64)
    names = [column.name for column in signature.columns if column.name in columns]
    sizes = {"scores": len(scores), "labels": len(labels)} | {name: len(columns[name]) for name in names}
    if len(set(sizes.values())) != 1:
        raise DataError(f"columns of different length: {sizes}", expected="one value per row in each")
    usable = np.flatnonzero(np.isfinite(labels) & np.isfinite(scores).all(axis=1))
    if usable.size == 0:
        raise DataError("an estimation reference of no rows", expected="rows of the holdout with a score and a label")
    blocks = _blocks(len(labels), event_us, window)
    usable = usable[np.argsort(blocks[usable], kind="stable")]
    if usable.size > MAX_ROWS:  # evenly over time, not at random: every block keeps its share
        usable = usable[np.linspace(0, usable.size - 1, MAX_ROWS).round().astype(np.intp)]
    categories = tuple(column.name for column in signature.columns if column.type is ColumnType.CATEGORY and column.name in names)
    return EstimationReference(
        task=signature.task,
        scale=1.0 if scale is None else float(scale),
        categories=categories,
        columns={name: _kept(columns[name], usable, category=name in categories) for name in names},
        scores=tuple(tuple(row) for row in scores[usable].tolist()),
        labels=tuple(labels[usable].tolist()),
        blocks=tuple(np.unique(blocks[usable], return_inverse=True)[1].tolist()),
        rows=len(labels),
    )


def _blocks(n: int, event_us: ArrayLike | None, window: timedelta) -> NDArray[np.int64]:
    if event_us is None:
        return np.zeros(n, dtype=np.int64)
    return np.asarray(event_us, dtype=np.int64) // (window // timedelta(microseconds=1))


def _kept(values: Any, rows: NDArray[np.intp], *, category: bool) -> tuple[Any, ...]:
    if category:
        listed = counting.texts(values)
        return tuple(listed[row] for row in rows.tolist())
    numbers = np.nan_to_num(counting.numbers(values)[rows].astype(np.float64), nan=np.nan, posinf=LARGEST, neginf=-LARGEST)
    return tuple(None if value != value else value for value in numbers.tolist())  # noqa: PLR0124 - only NaN differs from itself

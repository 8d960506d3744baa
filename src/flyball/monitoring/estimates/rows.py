"""The rows that an estimate is learned from, and how rows become numbers.

A file of its own in a version's package. It holds RAW VALUES of the holdout: features, scores and labels of up to MAX_ROWS rows, so whoever
may read the package may read them. Columns that must not be kept are left out of `columns`; the estimate then takes them as unchanged.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import counting, streams
from flyball.records.signature import ColumnType, Signature, Task

MAX_ROWS = 4000
"""Of the reference: the estimate's error then is that of a window of 4,000 labelled rows, and fitting takes a fraction of a second."""
FILE = "estimation.json"
"""In a package."""
CATEGORIES = 60
"""With a code of their own, the most frequent ones; others share one. The trees take up to 255 codes, but rare ones teach them nothing."""
BINS = 64
"""Of a number: with 5,000 rows some 80 in each, enough to tell where a ratio changes."""
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


class Table(NamedTuple):
    """Rows as trees take them."""

    values: Floats
    """(n_rows, n_columns): features, then scores; numbers by their bin, categories by their code."""
    categorical: NDArray[np.bool_]
    scores: Floats
    """(n_rows, n_scores)"""


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
        return tuple(_texts(np.asarray(values, dtype=object)[rows]))
    numbers = np.nan_to_num(counting.numbers(values)[rows].astype(np.float64), nan=np.nan, posinf=LARGEST, neginf=-LARGEST)
    return tuple(None if value != value else value for value in numbers.tolist())  # noqa: PLR0124 - only NaN differs from itself


def _texts(values: Any) -> list[str]:
    return [counting.MISSING if value is None else str(value) for value in values]


def tables(reference: EstimationReference, columns: Mapping[str, Any], scores: ArrayLike) -> tuple[Table, Table]:
    """The reference's rows and a window's, in the same columns: those that both have.

    Raises DataError when the window's columns and scores differ in length, or the scores are of another task.
    """
    own, table = streams.score_table(reference.scores), streams.score_table(scores)
    if table.shape[1] != own.shape[1]:
        raise DataError(f"{table.shape[1]} scores a row", expected=f"{own.shape[1]}, as the reference has")
    names = [name for name in reference.columns if name in columns]
    if wrong := {name: len(columns[name]) for name in names if len(columns[name]) != len(table)}:
        raise DataError(f"columns of another length than the {len(table)} scores: {wrong}", expected="one value per row in each")
    pairs = [_pair(reference.columns[name], columns[name], category=name in reference.categories) for name in names]
    categorical = np.array([name in reference.categories for name in names] + [False] * own.shape[1], dtype=np.bool_)
    pairs += [_binned(own[:, k], table[:, k]) for k in range(own.shape[1])]
    before, now = (np.column_stack(side) for side in zip(*pairs, strict=True))
    return Table(before, categorical, own), Table(now, categorical, table)


def _pair(before: Any, now: Any, *, category: bool) -> tuple[Floats, Floats]:
    if not category:
        return _binned(_numbers(before), _numbers(now))
    ranked = sorted(Counter(before).items(), key=lambda item: (-item[1], item[0]))
    codes = {name: float(place) for place, (name, _) in enumerate(ranked[:CATEGORIES], start=1)}
    # 0 is for all that is rare or new: where nothing was rare, a new category is one that the reference does not know
    return tuple(np.array([codes.get(text, 0.0) for text in _texts(side)]) for side in (before, now))  # type: ignore[return-value]


def _binned(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Numbers as numbers of quantile bins of both samples, NaN as it is: trees would bin them too, once for every fold and more slowly."""
    together = np.concatenate((before, now))
    present = together[~np.isnan(together)]
    if present.size == 0:
        return before, now
    edges = np.unique(np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    return tuple(  # type: ignore[return-value]
        np.where(np.isnan(side), np.nan, np.searchsorted(edges, side).astype(np.float64)) for side in (before, now)
    )


def _numbers(values: Any) -> Floats:
    listed = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.nan_to_num(counting.numbers(listed).astype(np.float64), nan=np.nan, posinf=LARGEST, neginf=-LARGEST)

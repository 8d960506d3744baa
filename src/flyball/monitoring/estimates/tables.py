"""How rows become what trees take: numbers by their quantile bin, categories by their rank in the reference."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import DataError
from flyball.monitoring import counting, streams
from flyball.monitoring.estimates.rows import LARGEST, EstimationReference

CATEGORIES = 60
"""With a code of their own, the most frequent ones; others share one. The trees take up to 255 codes, but rare ones teach them nothing."""
BINS = 64
"""Of a number: with 5,000 rows some 80 in each, enough to tell where a ratio changes."""

Floats = NDArray[np.float64]


class Table(NamedTuple):
    """Rows as trees take them."""

    values: Floats
    """(n_rows, n_columns): features, then scores; numbers by their bin, categories by their code."""
    categorical: NDArray[np.bool_]
    scores: Floats
    """(n_rows, n_scores)"""


class Columns(NamedTuple):
    """Values of rows as they are coded: numbers within float32 with NaN, or texts."""

    values: dict[str, Floats | list[str]]
    scores: Floats
    """(n_rows, n_scores)"""

    def within(self, names: Sequence[str]) -> "Columns":
        return Columns({name: self.values[name] for name in names}, self.scores)


def columns_of(reference: EstimationReference) -> Columns:
    """The reference's rows."""
    values = {name: _read(kept, category=name in reference.categories) for name, kept in reference.columns.items()}
    return Columns(values, streams.score_table(reference.scores))


def columns_of_window(reference: EstimationReference, columns: Mapping[str, Any], scores: ArrayLike) -> Columns:
    """A window's rows, in columns that the reference has, too.

    Raises DataError when the window's columns and scores differ in length, or the scores are of another task.
    """
    table, n_scores = streams.score_table(scores), len(reference.scores[0])
    if table.shape[1] != n_scores:
        raise DataError(f"{table.shape[1]} scores a row", expected=f"{n_scores}, as the reference has")
    names = [name for name in reference.columns if name in columns]
    if wrong := {name: len(columns[name]) for name in names if len(columns[name]) != len(table)}:
        raise DataError(f"columns of another length than the {len(table)} scores: {wrong}", expected="one value per row in each")
    return Columns({name: _read(columns[name], category=name in reference.categories) for name in names}, table)


class Codes(NamedTuple):
    """How columns become numbers for trees."""

    features: dict[str, Floats | dict[str, float]]
    """Edges of a number's bins, or each category's code; 0 is for all that is rare or new: where nothing was rare, a new category is one that the
    reference does not know."""
    scores: tuple[Floats, ...]
    """Edges of bins."""

    def table(self, columns: Columns) -> Table:
        coded = [_coded(columns.values[name], codes) for name, codes in self.features.items()]
        coded += [_binned(columns.scores[:, k], edges) for k, edges in enumerate(self.scores)]
        categorical = [isinstance(codes, dict) for codes in self.features.values()] + [False] * len(self.scores)
        return Table(np.column_stack(coded), np.array(categorical, dtype=np.bool_), columns.scores)


class Coded(NamedTuple):
    """The reference's rows, coded by themselves."""

    columns: Columns
    codes: Codes
    table: Table


def coded(reference: Columns) -> Coded:
    features = {name: _ranked(known) if isinstance(known, list) else _edges(known) for name, known in reference.values.items()}
    codes = Codes(features, tuple(_edges(scores) for scores in reference.scores.T))
    return Coded(reference, codes, codes.table(reference))


def together(own: Coded, window: Columns) -> tuple[Table, Table]:
    """Both samples, numbers by the quantiles of both: a classifier that tells them apart needs bins where the window's rows are, too."""
    before, categorical = own.columns, own.table.categorical
    features = {
        name: codes if isinstance(codes, dict) else _edges(before.values[name], window.values[name])
        for name, codes in own.codes.features.items()
    }
    codes = Codes(features, tuple(_edges(*sides) for sides in zip(before.scores.T, window.scores.T, strict=True)))
    numbers = [*(_coded(before.values[name], of) for name, of in features.items() if not isinstance(of, dict))]
    numbers += [_binned(scores, edges) for scores, edges in zip(before.scores.T, codes.scores, strict=True)]
    values = own.table.values.copy()  # categories are coded in the same way
    values[:, ~categorical] = np.column_stack(numbers)
    return Table(values, categorical, before.scores), codes.table(window)


def _ranked(texts: Sequence[str]) -> dict[str, float]:
    ranked = sorted(Counter(texts).items(), key=lambda item: (-item[1], item[0]))
    return {name: float(place) for place, (name, _) in enumerate(ranked[:CATEGORIES], start=1)}


def _edges(*samples: Any) -> Floats:
    """Inner edges of quantile bins; NaN is in none. Trees would bin numbers, too, once for every fold and more slowly."""
    values: Floats = np.concatenate(samples)
    present = values[~np.isnan(values)]
    if present.size == 0:
        return present
    return np.unique(np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf"))


def _coded(values: Any, codes: Floats | dict[str, float]) -> Floats:
    return np.array([codes.get(text, 0.0) for text in values]) if isinstance(codes, dict) else _binned(values, codes)


def _binned(values: Any, edges: Floats) -> Floats:
    return np.where(np.isnan(values), np.nan, np.searchsorted(edges, values).astype(np.float64))


def _read(values: Any, *, category: bool) -> Floats | list[str]:
    if category:
        return counting.texts(values)
    listed = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.nan_to_num(counting.numbers(listed).astype(np.float64), nan=np.nan, posinf=LARGEST, neginf=-LARGEST)

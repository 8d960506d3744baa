"""Rows as a model takes them: Float32 and String columns in signature order, the same in training, conversion and serving."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flyball.records.signature import Column, ColumnType, Signature

Feeds = dict[str, NDArray[Any]]
"""Column → (n_rows, 1) float32 or object (str): what an ONNX session takes."""


def frame_of(rows: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Missing becomes NaN or ''. Values are expected to have the column's type already (see the validate step)."""
    return rows.select(
        (pl.col(column.name).cast(pl.String).fill_null("") if column.type is ColumnType.CATEGORY else pl.col(column.name).cast(pl.Float32).fill_null(float("nan")))
        .alias(column.name) for column in columns
    )  # fmt: skip


def frame_of_mappings(rows: Sequence[Mapping[str, Any]], signature: Signature) -> pl.DataFrame:
    """Of rows as a client sends them; an absent field is missing."""
    series = []
    for column in signature.columns:
        values = [row.get(column.name) for row in rows]
        if column.type is ColumnType.CATEGORY:
            series.append(pl.Series(column.name, ["" if value is None else str(value) for value in values], dtype=pl.String))
        else:
            numbers = [float("nan") if value is None else float(value) for value in values]
            series.append(pl.Series(column.name, numbers, dtype=pl.Float64).cast(pl.Float32))
    return pl.DataFrame(series)


def arrays_of(frame: pl.DataFrame) -> Feeds:
    """(n_rows,) arrays: float32, or object for texts."""
    return {
        name: frame[name].to_numpy() if frame[name].dtype == pl.Float32 else np.asarray(frame[name].to_list(), dtype=object)
        for name in frame.columns
    }


def feeds_of(frame: pl.DataFrame) -> Feeds:
    """(n_rows, 1) arrays, contiguous."""
    return {name: np.ascontiguousarray(values).reshape(-1, 1) for name, values in arrays_of(frame).items()}

"""Rows at and beyond the edges of what was seen."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from flyball.records.signature import Column, ColumnType, Signature

UNSEEN = "flyball: an unseen category"
MISSING = "missing values"

_FAR = (1e3, 1e4, 1e6)
"""Widths of the data: a field in other units, or one that was mistyped. There a form in single precision has lost the digits by which it would tell neighbours apart."""
_LARGEST = float(np.finfo(np.float32).max)


def near(features: pl.DataFrame, base: pl.DataFrame, signature: Signature) -> dict[str, pl.DataFrame]:
    """By name, the rows `base` with one column each at its edge: missing, unseen, extreme."""
    return {
        f"{kind} values of {column.name}": _with(base, column, features[column.name], values)
        for column in signature.columns
        for kind, values in _near(column, features[column.name])
    }


def far(features: pl.DataFrame, base: pl.DataFrame, signature: Signature) -> list[pl.DataFrame]:
    """The rows `base` with one column each thousands of times as far out as it ever was."""
    return [
        _with(base, column, features[column.name], [value])
        for column in signature.columns
        for value in _far(column, features[column.name])
    ]


def _with(base: pl.DataFrame, column: Column, seen: pl.Series, values: list[Any]) -> pl.DataFrame:
    return pl.concat(base.with_columns(pl.lit(value, dtype=seen.dtype).alias(column.name)) for value in values)


def _near(column: Column, seen: pl.Series) -> Iterator[tuple[str, list[Any]]]:
    if column.type is ColumnType.CATEGORY:
        yield "unseen", [UNSEEN]
        yield "known", seen.unique().sort().head(50).to_list()
        missing: Any = ""
    else:
        low, high = _ends(seen)
        width = high - low + 1.0
        yield "extreme", [low, high] if column.type is ColumnType.BOOLEAN else [low, high, low - width, high + width, 0.0]
        missing = float("nan")
    if column.missing:
        yield "missing", [missing]


def _far(column: Column, seen: pl.Series) -> list[float]:
    """Within what requests may hold."""
    if column.type in (ColumnType.CATEGORY, ColumnType.BOOLEAN):
        return []
    low, high = _ends(seen)
    width = high - low + 1.0
    least = max(-_LARGEST, -np.inf if column.minimum is None else column.minimum)
    most = min(_LARGEST, np.inf if column.maximum is None else column.maximum)
    values = (float(np.round(value)) for widths in _FAR for value in (low - widths * width, high + widths * width))
    return [value for value in values if least <= value <= most]


def _ends(seen: pl.Series) -> tuple[float, float]:
    known = seen.drop_nans()
    return (float(known.min()), float(known.max())) if known.len() else (0.0, 0.0)  # type: ignore[arg-type]

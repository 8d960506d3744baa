"""Rows at and beyond the edges of what was seen."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flyball.records.signature import Column, ColumnType, Signature

UNSEEN = "flyball: an unseen category"
MISSING = "missing values"

_FAR = (1e3, 1e4, 1e6)
"""Widths of the data: a field in other units, or one that was mistyped. There a form in single precision has lost the digits by which it would tell neighbours apart."""
_LARGEST = float(np.finfo(np.float32).max)


class Edge(NamedTuple):
    name: str
    column: Column
    values: list[Any]


def near(features: pl.DataFrame, signature: Signature) -> list[Edge]:
    """Each column at its edge: missing, unseen, extreme."""
    return [
        Edge(f"{kind} values of {column.name}", column, values)
        for column in signature.columns
        for kind, values in _near(column, features[column.name])
    ]


def far(features: pl.DataFrame, signature: Signature) -> list[Edge]:
    """Each column thousands of times as far out as it ever was."""
    return [Edge(f"far values of {column.name}", column, _far(column, features[column.name])) for column in signature.columns]


def rows_at(edges: list[Edge], base: pl.DataFrame) -> pl.DataFrame:
    """The rows `base` once for each value of the edges, in their order. One frame: a small one for each value of hundreds of columns took gigabytes."""
    rows = base[np.tile(np.arange(base.height), sum(len(edge.values) for edge in edges))]
    columns = {name: rows[name] for name in rows.columns}
    start = 0
    for name, group in groupby(edges, key=lambda edge: edge.column.name):
        values = [value for edge in group for value in edge.values for _ in range(base.height)]
        plain = columns[name]
        put = pl.Series(name, values).cast(plain.dtype)
        columns[name] = pl.concat([plain.head(start), put, plain.slice(start + len(put))], rechunk=True)
        start += len(put)
    return pl.DataFrame(columns)


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

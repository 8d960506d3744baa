"""A row that a signature takes: for a person to try its model with."""

import math
from collections.abc import Mapping
from typing import Any

from flyball.records.signature import MAX_FLOAT32, Column, ColumnType, Signature, Unknown

_NOTHING_KNOWN: Mapping[str, Any] = {}


def example_row(signature: Signature, usual: Mapping[str, Any] = _NOTHING_KNOWN) -> dict[str, Any]:
    """A value of each column: the usual one where one is known and the column takes it, else a known category, or the number inside the limits that is
    nearest to it, or to 0."""
    return {column.name: _value(column, usual.get(column.name)) for column in signature.columns}


def _value(column: Column, usual: Any) -> Any:
    if column.type is ColumnType.CATEGORY:
        return _category(column, usual)
    number = float(usual) if isinstance(usual, int | float) and math.isfinite(usual) else 0.0
    if column.type is ColumnType.BOOLEAN:
        return bool(number)
    low = -MAX_FLOAT32 if column.minimum is None else column.minimum
    high = MAX_FLOAT32 if column.maximum is None else column.maximum
    if column.type is ColumnType.INTEGER:
        return min(max(round(number), math.ceil(low)), math.floor(high))
    shown = number if number.is_integer() else float(f"{number:.6g}")
    return min(max(shown, low), high)


def _category(column: Column, usual: Any) -> str:
    known = column.categories or ()
    if isinstance(usual, str) and (usual in known or column.unknown is not Unknown.REFUSE):
        return usual
    return known[0] if known else "a"

"""What becomes of numbers outside of what training saw: by schema.yaml, written into the signature when a version is packaged."""

import msgspec
import numpy as np
import polars as pl

from flyball.adapters.schema_file import ColumnSchema, Outside, Schema
from flyball.records.signature import MAX_FLOAT32, Column, ColumnType, Signature

NUMBERS = (ColumnType.NUMBER, ColumnType.INTEGER)
_EXACT = 2.0**24
"""Up to here float32 holds every whole number."""


def ranged(signature: Signature, schema: Schema, features: pl.DataFrame) -> Signature:
    """`features`: the rows of training and holdout. Refused is what a limit refuses, so that all doors, releases and their guards know it."""
    columns = [
        _ranged(column, _asked(schema, schema.features[column.name]), features[column.name]) if column.type in NUMBERS else column
        for column in signature.columns
    ]
    return msgspec.structs.replace(signature, columns=tuple(columns))


def _asked(schema: Schema, column: ColumnSchema) -> Outside:
    return column.outside or schema.outside


def _ranged(column: Column, outside: Outside, values: pl.Series) -> Column:
    """A limit that a person set is where the range ends on its side: up to there values are meant to come, though no row has one."""
    found = values.cast(pl.Float64).fill_nan(None).drop_nulls()
    if outside is Outside.AS_TRAINED or found.is_empty():
        return column
    low = _end(float(found.min()), -MAX_FLOAT32) if column.minimum is None else column.minimum  # type: ignore[arg-type]
    high = _end(float(found.max()), MAX_FLOAT32) if column.maximum is None else column.maximum  # type: ignore[arg-type]
    if outside is Outside.FLAG:
        return msgspec.structs.replace(column, seen=(low, high))
    return msgspec.structs.replace(column, minimum=low, maximum=high)


def _end(value: float, toward: float) -> float:
    """Rows are kept as float32: whoever sends the number that was rounded to an end sends one that training saw. A whole number was most likely whole."""
    if value.is_integer() and abs(value) < _EXACT:
        return value
    return (value + float(np.nextafter(np.float32(value), np.float32(toward)))) / 2

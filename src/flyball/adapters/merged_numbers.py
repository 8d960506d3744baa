"""Numbers that are different in the data and one to a model, which sees float32: identifiers, seconds since 1970, days with a fraction."""

import polars as pl

from flyball.adapters.schema_file import Columns
from flyball.records.signature import ColumnType

_MOST_ROWS = 10_000
"""That are looked at of numbers with fractions, evenly spaced: of millions of measured values some fall together in any format, and nobody wants to be told."""
_WHOLE_LEFT = 0.9
"""Of different whole numbers each may be a thing of its own: less than so many left is told."""
_LEFT = 0.5
"""Of others neighbours mean nearly the same: half of the places of 30.123456789 are enough for any model."""


def merged(frame: pl.DataFrame, schema: Columns) -> tuple[str, ...]:
    """Of `frame`, as loaded, each column of numbers of which float32 leaves materially fewer different ones, in words: what is merged, and what to do."""
    numbers = (name for name, wanted in schema.items() if wanted.type in (ColumnType.NUMBER, ColumnType.INTEGER))
    return tuple(words for name in numbers if (words := _of_column(frame[name])))


def _of_column(raw: pl.Series) -> str:
    # Integers as they come: those above 2^53 are merged by float64 already.
    known = (raw if raw.dtype.is_integer() else raw.cast(pl.Float64, strict=False).fill_nan(None)).drop_nulls()
    whole = known.dtype.is_integer() or (known == known.round(0)).all()
    some = known if whole else known.gather_every(-(-max(known.len(), 1) // _MOST_ROWS))
    if _as_seen(some).n_unique() >= (_WHOLE_LEFT if whole else _LEFT) * some.n_unique():
        return ""
    return (
        f"warning: {raw.name}: its {known.n_unique():,} different values are {_as_seen(known).n_unique():,} to a model, which sees float32 (whole numbers up to "
        "16,777,216, seven digits): if it names things, say type: category; if it counts from far away, as a time does, subtract an origin in the source"
    )


def _as_seen(values: pl.Series) -> pl.Series:
    return values.cast(pl.Float32, strict=False)

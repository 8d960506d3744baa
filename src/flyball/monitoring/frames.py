"""Columns of a data frame as monitors take them: Polars, pandas and Arrow in, nothing copied."""

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from narwhals.typing import IntoDataFrame

from flyball.errors import DataError
from flyball.records.signature import Column, ColumnType, Signature

OTHERWISE = "cast it where the frame is made, or profile a reference of what it holds now; compare() tells of the other columns"
NOT_IN_REFERENCE = "not in the reference"
LIKE = {"Date": "Datetime", "Array": "List"}
VAGUE = frozenset({"Object", "Unknown"})
TOLD = 5
"""Columns that cannot be looked at whose names an error tells."""


class Columns(NamedTuple):
    """A frame, column by column."""

    rows: int
    values: dict[str, Any]
    """Series of the frame's own library: they are counted where they lie."""
    types: dict[str, ColumnType]
    left_out: dict[str, str]
    """Column → why it is not looked at."""
    changed: dict[str, str]
    """Column → what it holds now, where that is no longer what the reference has."""
    beyond: dict[str, str]
    """Column that the reference does not look at → its type; those of missing values alone, which have none, are not in it."""
    begin: datetime | None = None
    """Of the window of time that all rows are of, where somebody asked for it."""

    def rows_between(self, start: int, stop: int) -> "Columns":
        """Some of the rows, where they lie."""
        if start <= 0 and stop >= self.rows:
            return self
        values = {name: _between(each, start, stop) for name, each in self.values.items()}
        return self._replace(rows=min(stop, self.rows) - start, values=values)

    @property
    def signature(self) -> Signature:
        """Of a model that takes these columns."""
        named = tuple(Column(name=name, type=kind, missing=True) for name, kind in self.types.items())
        return Signature(task="regression", columns=named)


def columns_of(
    frame: IntoDataFrame, types: Mapping[str, ColumnType] | None = None, decimal: Collection[str] = (), *,
    strict: bool = True, clock: str | None = None,
) -> Columns:  # fmt: skip
    """The columns of a Polars or pandas frame or an Arrow table. `types`: what the reference says that they are; None: what the frame says.
    `decimal`: categories which the reference writes `1.0` where a number is whole, not `1`. `clock`: the column that says when a row was, no column of it.

    Times and nested values are left out, and said to be: a clock always drifts. Raises DataError for what is no frame or has no column to look at, and for
    a column that should be a number and is none, or a category and is a time; without `strict` that is told in `changed`, and the others are taken.
    """
    table = table_of(frame)
    values: dict[str, Any] = {}
    kinds: dict[str, ColumnType] = {}
    left_out: dict[str, str] = {}
    changed: dict[str, str] = {}
    beyond: dict[str, str] = {}
    for name in (each for each in table.columns if each != clock):
        series = table[name]
        kind = _kind(series) if types is None else types.get(name)
        if kind is None and not series.is_null().all():
            beyond[name] = str(series.dtype)
        if kind is None and _kind(series) is None:
            left_out[name] = _why_not(series)
        elif kind is None:
            left_out[name] = NOT_IN_REFERENCE
        elif (other := _another(name, series, kind)) is not None:
            if strict:
                raise other
            changed[name] = other.found
        else:
            kinds[name], values[name] = kind, _decimals(series) if name in decimal else series.to_native()
    if not kinds:
        wanted = "a number or a category" if types is None else "one that the reference has"
        each = "".join(f"\n  {name}: {why}" for name, why in list((left_out | changed).items())[:TOLD])
        raise DataError(f"a frame of {len(table.columns)} columns, none of them {wanted}", expected="at least one" + each)
    return Columns(len(table), values, kinds, left_out, changed, beyond)


def holds_otherwise(columns: Columns, name: str, why_left_out: str) -> bool:
    """Whether a column that a reference left out has another type in the frame: it could be looked at now, or is a list and was a time. `Object` tells nothing
    of what it holds, and libraries call the same days Date and Datetime."""
    now = columns.beyond.get(name)
    if now is None:
        return False
    if columns.left_out[name] == NOT_IN_REFERENCE:
        return True
    kinds = {LIKE.get(each, each) for each in (_base(now), _base(why_left_out))}
    return len(kinds) > 1 and not kinds & VAGUE


def _between(values: Any, start: int, stop: int) -> Any:
    """By place: a pandas series takes some numbers for labels."""
    return (values.iloc if hasattr(values, "iloc") else values)[start:stop]


def _base(told: str) -> str:
    """`Datetime`, of a type as text or of what _why_not says."""
    return told.partition(" ")[0].partition("(")[0]


def rows_of(frame: IntoDataFrame) -> int:
    """How many rows it has. Raises DataError for what is no frame."""
    return len(table_of(frame))


def table_of(frame: IntoDataFrame) -> "nw.DataFrame[Any]":
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise DataError(f"a {type(frame).__name__}", expected="a Polars or pandas data frame or an Arrow table") from None
    except nw.exceptions.DuplicateError:
        raise DataError("a frame with two columns of one name", expected="a name of its own for each") from None
    if unnamed := [name for name in table.columns if not isinstance(name, str)]:
        raise DataError(
            f"a column named {unnamed[0]!r}", expected="names that are text", next_step="frame.columns = frame.columns.map(str)"
        )
    return table


def _kind(series: "nw.Series[Any]") -> ColumnType | None:
    dtype = series.dtype
    if dtype == nw.Boolean:
        return ColumnType.BOOLEAN
    if dtype.is_integer():
        return ColumnType.INTEGER
    if dtype.is_numeric():
        return ColumnType.NUMBER
    if dtype in (nw.String, nw.Categorical, nw.Enum) or (dtype == nw.Unknown and series.is_null().all()):
        return ColumnType.CATEGORY
    return None


def _why_not(series: "nw.Series[Any]") -> str:
    return f"{series.dtype} is neither a number nor a category" + _to_convert(series)


def _to_convert(series: "nw.Series[Any]") -> str:
    """pandas calls a column `object` that holds True and None, or Decimals: its values have no type in common."""
    return ': astype("boolean"), "float" or "string" says what it is' if series.dtype == nw.Object else ""


def _another(name: str, series: "nw.Series[Any]", kind: ColumnType) -> DataError | None:
    """Text that was a number would count as missing, and say nothing; lists cannot be counted; a time has another text in each library."""
    found = f"the column {name!r} holds {series.dtype}{_to_convert(series)}"
    if kind is not ColumnType.CATEGORY:
        numeric = _kind(series) not in (None, ColumnType.CATEGORY) or series.is_null().all()
        return None if numeric else DataError(found, expected="numbers, as in the reference", next_step=OTHERWISE)
    if series.dtype in (nw.Datetime, nw.Duration, nw.Time) and not series.is_null().all():
        text = "make it the text that the reference was profiled with, such as dt.strftime gives, or profile a reference anew"
        return DataError(found, expected="a category, as in the reference", next_step=text)
    return None if _countable(series) else DataError(found, expected="a category, as in the reference", next_step=OTHERWISE)


def _decimals(series: "nw.Series[Any]") -> list[Any]:
    """Numbers as text that is a float's."""
    return [
        str(float(value)) if isinstance(value, int | float | np.number) and not math.isnan(value) else value
        for value in series.to_list()
    ]


def _countable(series: "nw.Series[Any]") -> bool:
    if series.dtype not in (nw.Object, nw.Unknown):
        return not series.dtype.is_nested()
    try:
        set(series.to_list())
    except TypeError:
        return False
    return True

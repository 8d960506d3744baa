"""Times of the user's rows, in UTC: of the spellings that mean one moment, and of no others."""

import polars as pl

from flyball.errors import DataError

UTC_TIME = pl.Datetime("us", "UTC")

_HAS_ZONE = r"(?i):.*(?:z|[+-]\d\d(?::?\d\d)?)$"
"""After a time of day: 2026-01-31 ends with no zone."""

_UNITS = ((1e17, "ns", "nanoseconds"), (1e14, "us", "microseconds"), (1e11, "ms", "milliseconds"), (0, "s", "seconds"))
"""From how much on a number of the years after 1973 is in a unit."""

_SPELLINGS = ("%+", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f%#z")  # fmt: skip
"""The last is PostgreSQL's: +00 for +00:00."""


def utc(column: pl.Series, *, may_be_null: bool) -> pl.Series:
    """Times without a zone are taken as UTC."""
    parsed = parse_times(column)
    wrong = column.filter(
        parsed.is_null() & (column.is_not_null() if may_be_null else pl.repeat(value=True, n=column.len(), eager=True))
    )
    if not wrong.is_empty():
        first = ", ".join(repr(value) for value in wrong.head(3).to_list())
        raise DataError(f"the column {column.name!r} has {wrong.len()} values that are not a time (first: {first})",
                        expected="a date or a date and time, such as 2026-01-31T12:00:00Z")  # fmt: skip
    return parsed.cast(UTC_TIME).alias(column.name)


def lacks_zone(column: pl.Series) -> bool:
    kind = column.dtype
    if kind == pl.String:
        return bool((~column.drop_nulls().str.strip_chars().str.contains(_HAS_ZONE)).any())
    return kind == pl.Date or (isinstance(kind, pl.Datetime) and kind.time_zone is None)


def parse_times(column: pl.Series) -> pl.Series:
    """Times in UTC; null where a text is none. Raises DataError for a column that holds no times at all."""
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        return column.dt.convert_time_zone("UTC") if kind.time_zone else column.dt.replace_time_zone("UTC")
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if kind == pl.String:
        return _parse_texts(column)
    if kind == pl.Null:  # not one was given, so no source could say of what type they are
        return column.cast(UTC_TIME)
    raise DataError(
        f"the column {column.name!r} is of type {kind}", expected="a date or a date and time, such as 2026-01-31T12:00:00Z",
        next_step=_from_epoch(column) if kind.is_numeric() else "",
    )  # fmt: skip


def _from_epoch(column: pl.Series) -> str:
    """How numbers become times: of which unit they are decides whoever has them, not a guess."""
    largest = column.cast(pl.Float64, strict=False).abs().max()
    size = largest if isinstance(largest, float) else 0.0
    unit, words = next((unit, words) for least, unit, words in _UNITS if size >= least)
    return (
        f"if these are {words} since 1970: let a loader read the source (data.source.loader), with "
        f"pl.from_epoch({column.name!r}, {unit!r}), or the query cast them (to_timestamp in PostgreSQL, which takes seconds)"
    )


def _parse_texts(column: pl.Series) -> pl.Series:
    """ISO 8601 in its usual spellings. Others (01/02/2024) are refused: nobody knows which is the month."""
    parsed = pl.Series(column.name, [None] * column.len(), dtype=UTC_TIME)
    for spelling in _SPELLINGS:
        if parsed.null_count() == column.null_count():
            break
        read = column.str.to_datetime(spelling, strict=False, time_unit="us", time_zone="UTC")
        parsed = parsed.zip_with(parsed.is_not_null(), read)
    return parsed

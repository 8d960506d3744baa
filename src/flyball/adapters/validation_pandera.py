"""Validation of snapshots: a schema inferred once, kept in a file that people may edit, checked by pandera; failing rows are set aside and shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl

from flyball.adapters.merged_numbers import merged
from flyball.adapters.schema_file import Columns, ColumnSchema, Schema, add_features, read_schema
from flyball.errors import DataError, StoreUnavailable
from flyball.pipelines.labels import class_name
from flyball.records.signature import MAX_FLOAT32, Column, ColumnType, Signature, Unknown, limit_words
from flyball.records.words import listed
from flyball.spec import DataSpec
from flyball.spec.faults import did_you_mean

MAX_FAILING_SHARE = 0.05
"""More failing rows than this fail the run: up to here they are dirt in the data, beyond it the data or the schema changed."""

MAX_CATEGORIES = 1000
"""More are not listed: a signature is read by people, and every request is held against it."""

MOSTLY_NUMBERS = 0.9
"""Such a share of numbers is no chance, even where more rows are faulty than may be set aside."""

MANY_NUMBERS = 50
"""Classes of a ticket, grades, hours: up to here a category of numbers is an ordinary thing, and its model sees each value often enough."""

SHOWN = 10

_ROW = "__row"

_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
"""In texts. Floats come of yes and no of which some are missing."""

_NUMBERS = (ColumnType.NUMBER, ColumnType.INTEGER)


class Failure(NamedTuple):
    """One value of one row that the schema refuses."""

    row: int
    column: str
    value: str
    why: str


class Validated(NamedTuple):
    """A snapshot after validation."""

    frame: pl.DataFrame
    """The rows that hold, every feature cast to its type."""
    quarantined: pl.DataFrame
    """The rows that do not, as loaded."""
    failures: tuple[str, ...]
    """The first ten, in words."""
    warnings: tuple[str, ...]


def _to_nobody(_: str) -> None:
    """`say` where nobody listens."""


def schema_of(path: Path, frame: pl.DataFrame, data: DataSpec, say: Callable[[str], None] = _to_nobody) -> Schema:
    """The schema in `path`, to which features that it lacks are added as they look in `frame`: all of them, where there is no file yet.

    `say` is told what was added to it or could not be, and what stands there and is no feature. Raises DataError: an all-null feature, or as
    `kept_schema` does. Raises StoreUnavailable where no schema.yaml could be begun.
    """
    for name in data.feature_names:
        if frame[name].null_count() == frame.height:
            raise DataError(
                f"the feature {name!r} is null in all {frame.height} rows",
                next_step="remove it from data.features, or mend the source",
            )
    kept = read_schema(path).features if path.exists() else {}
    added = {name: _infer(frame[name], data.feature(name).type) for name in data.feature_names if name not in kept}
    _refuse_unclear(frame, [name for name in added if data.feature(name).type is None])
    could_not = _not_added(path, added) if added else ""
    for words in filter(None, (_perhaps_a_number(frame[name]) for name in added if data.feature(name).type is None)):
        say(words)
    seen = ", ".join(f"{name!r} ({column.type})" for name, column in added.items())
    if could_not:
        say(f"each run takes {seen} as its own rows look: {could_not}")
    elif added and kept:
        say(f"{path.name} now has {seen}, as the rows look: it is yours to edit")
    strangers = _strangers(kept, data)
    if strangers:
        say(f"{path.name}: not in data.features, and so without effect: {strangers}")
    return kept_schema(path, frame, data)


def _not_added(path: Path, added: Columns) -> str:
    """Add to the schema; words, where one that is there could not be added to: its owner's rules hold, and the run need not end."""
    begun = path.exists()
    try:
        add_features(path, added)
    except (DataError, StoreUnavailable) as error:
        if not begun:
            raise
        return error.message
    return ""


def kept_schema(path: Path, frame: pl.DataFrame, data: DataSpec) -> Schema:
    """The schema in `path`; settings of flyball.yaml come first, and a feature that stands in neither is as `frame` has it.

    Raises DataError: a schema.yaml that cannot be read, or whose rules cannot be kept.
    """
    kept = read_schema(path)
    columns = {
        name: _overridden(kept.features.get(name) or _infer(frame[name], data.feature(name).type), data, name)
        for name in data.feature_names
    }
    for name, column in columns.items():
        _refuse_misfit(name, column)
    return msgspec.structs.replace(kept, features=columns)


def validate(frame: pl.DataFrame, schema: Columns, *, time: str, key: str) -> Validated:
    """Check every row, all faults together. Raises DataError when more than MAX_FAILING_SHARE of the rows fail."""
    typed, told, first = _typed(frame, schema)
    # A value that could not be cast is null by now: once is enough.
    cases = _checked(typed, schema).join(told, on=[_ROW, "column"], how="anti")
    first += _first(cases)
    rows = pl.concat([told[_ROW], cases[_ROW]]).unique().sort()
    words = _words(frame, first, told.height + cases.height, key)
    share = len(rows) / frame.height
    if share > MAX_FAILING_SHARE:
        raise DataError(
            f"{len(rows)} of {frame.height} rows ({share:.1%}) do not fit schema.yaml:\n" + "\n".join(f"  {line}" for line in words),
            expected=f"at most {MAX_FAILING_SHARE:.0%}", next_step="mend the source; or edit schema.yaml if the data are right",
        )  # fmt: skip
    is_bad = pl.int_range(frame.height, dtype=pl.UInt32, eager=True).is_in(rows.implode())
    warnings = (*_unseen(typed, schema, time), *merged(frame.filter(~is_bad), schema))
    return Validated(typed.filter(~is_bad), frame.filter(is_bad), words, warnings)


def as_trained(frame: pl.DataFrame, schema: Columns) -> pl.DataFrame:
    """Every feature cast to its type, as the rows that a model is trained on are; what cannot be cast is null. Integers that all are whole are such."""
    typed = _typed(frame, schema)[0]
    whole = [typed[name].cast(pl.Int64, strict=False) for name, wanted in schema.items() if wanted.type is ColumnType.INTEGER]
    return typed.with_columns(column for column in whole if column.cast(pl.Float64).equals(typed[column.name]))


def columns_of(schema: Columns, frame: pl.DataFrame) -> tuple[Column, ...]:
    """The signature's columns: types and bounds by the schema, categories as seen in `frame` (the validated rows) and as the schema lists them."""
    columns = []
    for name, wanted in schema.items():
        seen = frame[name].drop_nulls().unique().to_list() if wanted.type is ColumnType.CATEGORY else []
        known = sorted({*seen, *(wanted.categories or ())})
        listed = tuple(known) if wanted.type is ColumnType.CATEGORY and len(known) <= MAX_CATEGORIES else None
        columns.append(
            Column(
                name=name,
                type=wanted.type,
                missing=wanted.missing,
                categories=listed,
                minimum=wanted.minimum,
                maximum=wanted.maximum,
            )
        )
    return tuple(columns)


def enforced(signature: Signature, schema: Schema) -> Signature:
    """`signature` with what the schema says of requests. Raises DataError where that cannot be held."""
    columns = []
    for column in signature.columns:
        unknown = schema.features[column.name].unknown or schema.unknown
        if column.type is not ColumnType.CATEGORY or unknown is Unknown.AS_TRAINED:
            columns.append(column)
        elif column.categories is None:
            raise DataError(f"schema.yaml: {column.name}: unknown: {unknown}, but there are more than {MAX_CATEGORIES} categories: they are not listed",
                            next_step=f"features.{column.name}.unknown: as_trained, or group the rare ones")  # fmt: skip
        else:
            columns.append(msgspec.structs.replace(column, unknown=unknown))
    return msgspec.structs.replace(signature, columns=tuple(columns), extra=schema.extra)


def _infer(column: pl.Series, declared: str | None) -> ColumnSchema:
    if declared is not None:
        kind = ColumnType(declared)
    elif column.dtype == pl.Boolean:
        kind = ColumnType.BOOLEAN
    elif column.dtype == pl.Int64:
        kind = ColumnType.INTEGER
    elif column.dtype == pl.Float64:
        kind = ColumnType.NUMBER
    else:
        kind = ColumnType.CATEGORY
    categories = None
    if kind is ColumnType.CATEGORY:
        seen = sorted(_as_category(column).drop_nulls().unique().to_list())
        categories = tuple(seen) if len(seen) <= MAX_CATEGORIES else None
    return ColumnSchema(type=kind, missing=column.null_count() > 0, categories=categories)


def _perhaps_a_number(column: pl.Series) -> str:
    """Words, where a few of a column's values make a category of it; empty: they do not."""
    values = column.drop_nulls()
    texts = values.filter(values.cast(pl.Float64, strict=False).is_null())
    if not 0 < texts.len() <= MAX_FAILING_SHARE * values.len():
        return ""
    return (
        f"{column.name} is taken for a category, since not all its values are numbers (not {texts.len()} of {values.len()}, such as {texts[0][:20]!r}): "
        f"if it is a number, say so (type: number), and those rows are set aside"
    )


def _refuse_unclear(frame: pl.DataFrame, names: list[str]) -> None:
    """Prices with a few `NA`, or codes of which a few have letters: a model of the one as the other is wrong without a sign. Raises DataError."""
    unclear = [words for name in names if (words := _number_or_code(frame[name]))]
    if not unclear:
        return
    raise DataError(
        "nobody can tell numbers from codes here:\n" + "\n".join(f"  {words}" for words in unclear), expected="the type of each",
        next_step="say it in flyball.yaml, data.features: `NAME: number` (rows with another value are set aside, up to "
        f"{MAX_FAILING_SHARE:.0%} of all; what is missing, leave empty in the source) or `NAME: category` (each value is a name)",
    )  # fmt: skip


def _number_or_code(column: pl.Series) -> str:
    """Words, where nearly all texts of a column are numbers, and more of them than codes that a person lists; empty: it is clear."""
    values = column.drop_nulls()
    if values.dtype != pl.String:
        return ""
    numbers = values.cast(pl.Float64, strict=False)
    texts = values.filter(numbers.is_null())
    if not 0 < texts.len() <= (1 - MOSTLY_NUMBERS) * values.len() or numbers.n_unique() <= MANY_NUMBERS:
        return ""
    shown = ", ".join(repr(text[:20]) for text in texts.unique(maintain_order=True).head(3).to_list())
    return f"{column.name}: {numbers.drop_nulls().n_unique():,} different numbers, and {texts.len():,} of {values.len():,} values that are none ({shown})"


def _overridden(kept: ColumnSchema, data: DataSpec, name: str) -> ColumnSchema:
    said = data.feature(name)
    return msgspec.structs.replace(
        kept,
        type=kept.type if said.type is None else ColumnType(said.type),
        missing=kept.missing if said.missing is None else said.missing,
        minimum=kept.minimum if said.minimum is None else said.minimum,
        maximum=kept.maximum if said.maximum is None else said.maximum,
    )


def _refuse_misfit(name: str, column: ColumnSchema) -> None:
    low, high = column.minimum, column.maximum
    for kind, bound in (("minimum", low), ("maximum", high)):
        if bound is not None and column.type not in _NUMBERS:
            raise DataError(f"features.{name}: {kind} {limit_words(bound)} on a {column.type}", expected="a number or an integer")
        if bound is not None and not abs(bound) <= MAX_FLOAT32:
            raise DataError(f"features.{name}: {kind} {limit_words(bound)}", expected=f"from {-MAX_FLOAT32:g} to {MAX_FLOAT32:g}, as float32 goes",
                            next_step="leave it out where there is no bound")  # fmt: skip
    if low is not None and high is not None and low > high:
        raise DataError(
            f"features.{name}: minimum {limit_words(low)} and maximum {limit_words(high)}", expected="minimum at most maximum"
        )
    if column.unknown is not None and column.type is not ColumnType.CATEGORY:
        raise DataError(f"schema.yaml: features.{name}: unknown: {column.unknown} on a {column.type}", expected="a category")
    if column.outside is not None and column.type not in _NUMBERS:
        raise DataError(
            f"schema.yaml: features.{name}: outside: {column.outside} on a {column.type}", expected="a number or an integer"
        )


def _strangers(kept: Columns, data: DataSpec) -> str:
    """No fault: a feature may be taken out of flyball.yaml, and come back. But a rule that is misspelt must not be thought to hold."""
    words = []
    for name in kept:
        if name not in data.feature_names:
            near = did_you_mean(name, data.feature_names)
            words.append(f"{name!r}" + (f" ({near})" if near else ""))
    return listed(words, SHOWN)


def _as_category(column: pl.Series) -> pl.Series:
    """Numbers and truth values as clients would write them (see pipelines/labels.py)."""
    if column.dtype == pl.String:
        return column
    return pl.Series(column.name, [None if value is None else class_name(value) for value in column.to_list()], dtype=pl.String)


def _typed(frame: pl.DataFrame, schema: Columns) -> tuple[pl.DataFrame, pl.DataFrame, list[Failure]]:
    """Every feature cast to its type; (row, column) of what cannot be cast; and of each column the first of them."""
    series: list[pl.Series] = []
    told = [pl.DataFrame(schema={_ROW: pl.UInt32, "column": pl.String})]
    first: list[Failure] = []
    for name, wanted in schema.items():
        raw = frame[name]
        if wanted.type is ColumnType.CATEGORY:
            cast = _as_category(raw)
        elif wanted.type is ColumnType.BOOLEAN:
            cast = _as_boolean(raw)
        else:
            cast = raw.cast(pl.Float64, strict=False)
        wrong = cast.is_null() & raw.is_not_null()
        if wanted.type is ColumnType.INTEGER:
            wrong = wrong | (cast.is_not_null() & (cast != cast.round(0)))
        if wanted.type in _NUMBERS:
            cast = cast.fill_nan(None)  # as where the source had numbers alone
        rows = wrong.arg_true().cast(pl.UInt32)
        told.append(pl.DataFrame({_ROW: rows}).with_columns(pl.lit(name).alias("column")))
        first += [Failure(row, name, repr(raw[row]), f"is not of type {wanted.type}") for row in rows.head(SHOWN).to_list()]
        series.append(cast.alias(name))
    return frame.with_columns(series), pl.concat(told), first


def _as_boolean(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column
    if column.dtype == pl.String:
        return column.str.to_lowercase().replace_strict(_TRUTHS, default=None, return_dtype=pl.Boolean)
    return column.replace_strict({0: False, 1: True}, default=None, return_dtype=pl.Boolean)


def _checked(typed: pl.DataFrame, schema: Columns) -> pl.DataFrame:
    """Null, bounds and finiteness, by pandera, all failures of all columns together: a table, for there may be millions."""
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    columns = {}
    for name, wanted in schema.items():
        checks = []
        if wanted.minimum is not None:
            checks.append(pa.Check.ge(wanted.minimum, error=f"is below {limit_words(wanted.minimum)}"))
        if wanted.maximum is not None:
            checks.append(pa.Check.le(wanted.maximum, error=f"is above {limit_words(wanted.maximum)}"))
        if wanted.type in _NUMBERS:
            checks.append(pa.Check(_is_finite_float32, error="is not a finite float32"))
        columns[name] = pa.Column(nullable=wanted.missing, checks=checks)
    try:
        pa.DataFrameSchema(columns).validate(typed.select(list(schema)), lazy=True)
    except SchemaErrors as error:
        cases: pl.DataFrame = error.failure_cases
        missing = pl.col("check") == "not_nullable"
        return (
            cases.filter(pl.col("index").is_not_null())
            .select(
                pl.col("index").cast(pl.UInt32).alias(_ROW),
                pl.col("column").cast(pl.String),
                pl.col("failure_case").alias("value"),
                pl.when(missing).then(pl.lit("is missing")).otherwise(pl.col("check").cast(pl.String)).alias("why"),
            )
            .unique([_ROW, "column", "why"])
        )
    return pl.DataFrame(schema={_ROW: pl.UInt32, "column": pl.String, "value": pl.String, "why": pl.String})


def _first(cases: pl.DataFrame) -> list[Failure]:
    """Enough for the first ones in words: a value fails three checks at most."""
    few = cases.sort(_ROW, "column", "why").head(3 * SHOWN)
    return [Failure(case[_ROW], case["column"], str(case["value"]), case["why"]) for case in few.iter_rows(named=True)]


def _is_finite_float32(data: Any) -> pl.LazyFrame:
    value = pl.col(data.key)
    return data.lazyframe.select((value.abs() <= MAX_FLOAT32) | value.is_null())  # type: ignore[no-any-return]


def _words(frame: pl.DataFrame, first: list[Failure], count: int, key: str) -> tuple[str, ...]:
    shown = sorted(first)[:SHOWN]
    lines = [
        f"{key} {frame[key][one.row]!r}: {one.column} {one.why}" + ("" if one.why == "is missing" else f" ({one.value})")
        for one in shown
    ]
    more = count - len(shown)
    return (*lines, f"and {more} more") if more else tuple(lines)


def _unseen(typed: pl.DataFrame, schema: Columns, time: str) -> tuple[str, ...]:
    """Categories that the schema does not list: worth a word, no fault, since the world may have new ones."""
    warnings = []
    for name, wanted in schema.items():
        if wanted.type is not ColumnType.CATEGORY or wanted.categories is None:
            continue
        rows = typed.filter(pl.col(name).is_not_null() & ~pl.col(name).is_in(list(wanted.categories)))
        if not rows.is_empty():
            new = rows[name].unique().sort()
            listed = ", ".join(repr(value) for value in new.head(3).to_list()) + (", …" if new.len() > 3 else "")
            warnings.append(
                f"{name}: {new.len()} categories that schema.yaml does not list ({listed}) in {rows.height} rows, first at {rows[time].cast(pl.Date).min()!s}"
            )
    return tuple(warnings)

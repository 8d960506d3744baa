"""Labels from a file or a database: rows with their numbers, and what is wrong with those that can be no label."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from flyball.adapters.sources import Secret, parse_times, read_sql
from flyball.adapters.user_code import words_of
from flyball.control.label_import import LabelImport
from flyball.errors import DataError, NotFound, SourceFailed
from flyball.spec.data import SqlSpec

_PARQUET = b"PAR1"
_HEAD_BYTES = 4096


class LabelRow(NamedTuple):
    number: int
    """In the file or the result of the query, counted from 1 (a CSV file's header is not counted)."""
    label: dict[str, Any]
    """As the gateway's door takes it."""
    wrong: str = ""
    """Why it is none; empty: it may be one."""


def file_labels(path: Path, wanted: LabelImport, *, numbers: bool = False) -> pl.DataFrame:
    """Of CSV, Parquet or JSON lines, told from content. `numbers`: of a regression. Raises NotFound, DataError, SourceFailed."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head or not (head.startswith(_PARQUET) or _is_text(head)):
            found = "no text" if head else "empty"
            raise DataError(f"{path} is {found}", expected="CSV with a header in UTF-8, Parquet, or JSON lines")
        return _chosen(_reader(head)(path), wanted, numbers=numbers)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise SourceFailed(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    except pl.exceptions.PolarsError as error:
        # Its words quote the values that it stumbles over: for the terminal alone. What follows them is advice on options of Polars.
        raise DataError(
            f"{path} cannot be read: {type(error).__name__}", expected="CSV with a header, Parquet, or JSON lines",
            detail=words_of(error).partition("\n\n")[0],
        ) from error  # fmt: skip


def sql_labels(sql: SqlSpec, secret: Secret, wanted: LabelImport, *, numbers: bool = False) -> pl.DataFrame:
    """Of a query's result. `numbers`: of a regression. Raises DataError, SourceFailed, NotInstalled."""
    return _chosen(read_sql(sql, secret(sql.url_env)), wanted, numbers=numbers)


def label_rows(frame: pl.DataFrame) -> Iterator[LabelRow]:
    """The rows of `file_labels` or `sql_labels`."""
    for number, (each, label, spelled, observed, written, reward, said) in enumerate(frame.iter_rows(), start=1):
        wrong = _wrong(each, label, spelled, observed, written)
        if not wrong and said is not None and reward is None:
            wrong = f"reward: found {said!r}, expected a finite number"
        optional = {"observed_at": observed, "reward": reward}
        told = {"id": each, "label": label, **{name: value for name, value in optional.items() if value is not None}}
        yield LabelRow(number, told, wrong)


def _wrong(each: Any, label: Any, spelled: Any, observed: Any, written: Any) -> str:
    if each is None:
        return "id: found nothing, expected the id of a prediction"
    if label is None and spelled is not None:
        return f"label: found {spelled!r}, expected a finite number"
    if label is None:
        return "label: found nothing, expected what became of the prediction"
    if written is not None and observed is None:
        return f"observed_at: found {written!r}, expected a time such as 2026-01-31T12:00:00Z"
    return ""


def _reader(head: bytes) -> Callable[[Path], pl.DataFrame]:
    if head.startswith(_PARQUET):
        return pl.read_parquet
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return lambda path: pl.read_ndjson(path, infer_schema_length=None)
    return lambda path: pl.read_csv(path, infer_schema=False)  # "007" is an id, and no number


def _is_text(head: bytes) -> bool:
    try:
        return "\0" not in head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character that is cut where the head ends


def _chosen(frame: pl.DataFrame, wanted: LabelImport, *, numbers: bool) -> pl.DataFrame:
    """id, label (and its text), observed_at as text with its zone (and what was written); the column `reward`, if there is one, as a number and as written."""
    observed = wanted.observed_at or ("observed_at" if "observed_at" in frame.columns else None)
    for name, option in ((wanted.id, "--id"), (wanted.label, "--label"), (observed, "--observed-at")):
        if name is not None and name not in frame.columns:
            near = get_close_matches(name, frame.columns, n=1)
            hint = f"did you mean {option} {near[0]}?" if near else f"name the column with {option}"
            raise DataError(f"there is no column {name!r}", expected=f"one of {', '.join(frame.columns[:20])}", next_step=hint)
    if frame.is_empty():
        raise DataError("there is not one row", expected="a row a label")
    written = frame[observed] if observed is not None else pl.Series([None] * frame.height, dtype=pl.String)
    return pl.DataFrame(
        [
            _id(frame[wanted.id]),
            *_labels(frame[wanted.label], numbers=numbers),
            parse_times(written).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias("observed"),
            written.cast(pl.String).alias("written"),
            *_rewards(frame),
        ]
    )


def _rewards(frame: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    column = frame["reward"] if "reward" in frame.columns else pl.Series([None] * frame.height, dtype=pl.String)
    said = column.cast(pl.String)
    return _finite(said).alias("reward"), said.alias("said")


def _id(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String and not column.dtype.is_integer():
        raise DataError(
            f"the column {column.name!r} is of type {column.dtype}", expected="ids as text", next_step="choose another --id"
        )
    return column.cast(pl.String).alias("id")


def _labels(column: pl.Series, *, numbers: bool) -> tuple[pl.Series, pl.Series]:
    """The labels, and the text of those that are text: of a regression the number that each spells, or none."""
    if column.dtype != pl.String:
        return _plain(column), pl.Series("spelled", [None] * column.len(), dtype=pl.String)
    spelled = column.str.strip_chars().replace("", None).alias("spelled")
    if numbers:
        return _finite(spelled).alias("label"), spelled
    # pandas writes classes 0 and 1 as 0.0 and 1.0 to CSV once a label is missing.
    whole = spelled.drop_nulls().str.contains(r"^-?\d+\.0$").all()
    return (spelled.str.strip_suffix(".0") if whole else column).alias("label"), spelled


def _finite(texts: pl.Series) -> pl.Series:
    number = texts.cast(pl.Float64, strict=False)
    return pl.select(pl.when(number.is_finite().fill_null(value=False)).then(number)).to_series()


def _plain(column: pl.Series) -> pl.Series:
    """A class or a number as JSON has it. Whole numbers that became floats because some are missing are whole again."""
    kind = column.dtype
    if kind.is_decimal():
        column = column.cast(pl.Float64)
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.drop_nulls()
        if whole.is_finite().all() and (whole == whole.floor()).all() and (whole.abs() < 2**53).all():
            column = column.cast(pl.Int64)
    elif kind in (pl.Categorical, pl.Enum, pl.Null):
        column = column.cast(pl.String)
    elif not (kind.is_integer() or kind in (pl.String, pl.Boolean)):
        raise DataError(
            f"the column {column.name!r} is of type {kind}", expected="classes or numbers", next_step="choose another --label"
        )
    return column.alias("label")

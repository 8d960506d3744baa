"""Labels from a file or a database: rows with their numbers, and what is wrong with those that can be no label."""

import os
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from flyball.adapters.csv_lines import NOT_UTF8, Line, is_utf16, lines, refuse_no_table
from flyball.adapters.source_files import read_csv
from flyball.adapters.source_times import UTC_TIME, parse_times
from flyball.adapters.sources import Secret, read_sql
from flyball.adapters.user_code import words_of
from flyball.control.label_import import LabelImport
from flyball.errors import DataError, NotFound, SourceFailed
from flyball.spec.data import SqlSpec

_PARQUET = b"PAR1"
_HEAD_BYTES = 4096
_MARK = "\ufffd"

UNREAD = "__unread"
"""Why a line of a CSV file is no row; null: it is one."""


class LabelRow(NamedTuple):
    number: int
    """In the file or the result of the query, counted from 1 (a CSV file's header is not counted)."""
    label: dict[str, Any]
    """As the gateway's door takes it."""
    wrong: str = ""
    """Why it is none; empty: it may be one, or its outcome is not known yet."""

    @property
    def not_known_yet(self) -> bool:
        """There is nothing to send: what became of the prediction will be known later."""
        return not self.wrong and self.label["label"] is None


def file_labels(path: Path, wanted: LabelImport, *, numbers: bool = False) -> pl.DataFrame:
    """Of CSV, Parquet or JSON lines, told from content. Where it does not say when an outcome became known, that is when it was last written.
    `numbers`: of a regression. Raises NotFound, DataError, SourceFailed."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            written_us = _last_written_us(os.fstat(file.fileno()))
        if not head or not (head.startswith(_PARQUET) or is_utf16(head) or _is_text(head)):
            found = "no text" if head else "empty"
            raise DataError(f"{path} is {found}", expected="CSV with a header in UTF-8, Parquet, or JSON lines")
        return _chosen(_read(path, head, wanted), wanted, numbers=numbers, known_us=written_us)
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
    return _chosen(read_sql(sql, secret(sql.url_env)), wanted, numbers=numbers, known_us=None)


def undated(frame: pl.DataFrame) -> int:
    """Rows of `file_labels` or `sql_labels` that have an outcome of which nothing tells when it became known."""
    return frame.filter(pl.col("label").is_not_null() & pl.col("written").is_null() & pl.col("observed").is_null()).height


def label_rows(frame: pl.DataFrame) -> Iterator[LabelRow]:
    """The rows of `file_labels` or `sql_labels`."""
    contradicted = _contradicted(frame)
    for number, (each, label, spelled, observed, written, reward, said, unread) in enumerate(frame.iter_rows(), start=1):
        wrong = unread or _wrong(each, label, spelled, observed, written) or contradicted.get(number, "")
        if not wrong and said is not None and reward is None:
            wrong = f"reward: found {said!r}, expected a finite number, or --reward '' if that is no reward"
        optional = {"observed_at": observed, "reward": reward}
        told = {"id": each, "label": label, **{name: value for name, value in optional.items() if value is not None}}
        yield LabelRow(number, told, wrong)


def _contradicted(frame: pl.DataFrame) -> dict[int, str]:
    """Number → what is wrong, of rows that say two things of one id and moment: which of them is the correction nobody can know, and neither their
    order nor how they fall into requests may decide it."""
    labels = frame.with_row_index("number", offset=1).filter(
        pl.col("label").is_not_null()
        & pl.col("id").is_not_null()
        & (pl.col("written").is_null() | pl.col("observed").is_not_null())
    )
    several = pl.col("label").n_unique().over("id", "observed") > 1
    found = labels.filter(pl.struct("id", "observed").is_duplicated()).filter(several)
    groups: dict[tuple[str, str | None], list[tuple[int, Any]]] = {}
    for number, each, label, observed in found.select("number", "id", "label", "observed").iter_rows():
        groups.setdefault((each, observed), []).append((number, label))
    words: dict[int, str] = {}
    for rows in groups.values():
        (first, one), (other, another) = rows[0], next(row for row in rows if row[1] != rows[0][1])
        for number, label in rows:
            place, there = (other, another) if label == one else (first, one)
            words[number] = (
                f"label: found {label!r}, and {there!r} for the same id and moment in row {place},"
                " expected one of them, or the time of each (--observed-at)"
            )
    return words


def _wrong(each: Any, label: Any, spelled: Any, observed: Any, written: Any) -> str:
    if each is None:
        return "id: found nothing, expected the id of a prediction"
    if label is None and spelled is not None:
        return f"label: found {spelled!r}, expected a finite number"
    if label is None:
        return ""
    if written is not None and observed is None:
        return f"observed_at: found {written!r}, expected a time such as 2026-01-31T12:00:00Z"
    return ""


def _read(path: Path, head: bytes, wanted: LabelImport) -> pl.DataFrame:
    # `glob`: `out[1].csv` is a name, and not that of out1.csv.
    if head.startswith(_PARQUET):
        return pl.read_parquet(path, glob=False)
    if _is_json(head):
        return _json_lines(path)
    refuse_no_table(path, path)
    try:
        frame = read_csv(path, typed=False).frame  # "007" is an id, and no number
    except pl.exceptions.PolarsError:
        return _line_by_line(path, wanted)
    # What a line lacks, it lacks at its end: of an outcome that is cut off nobody may say that it is not known yet.
    cut = frame.width and frame[:, -1].null_count() and any(line.short for line in lines(path))
    return _line_by_line(path, wanted) if cut else frame


def _line_by_line(path: Path, wanted: LabelImport) -> pl.DataFrame:
    """All rows of a file of which some are none: these are empty but for UNREAD."""
    every = lines(path)
    header = next(every, None)
    if header is None:
        raise DataError(f"{path} has nothing but empty lines", expected="CSV with a header, Parquet, or JSON lines")
    names = _told_apart(header.fields)
    used = {wanted.id, wanted.label, wanted.observed_at or "observed_at", wanted.reward or "reward"}
    places = [at for at, name in enumerate(names) if name in used]
    least = max((at + 1 for at, name in enumerate(names) if name in (wanted.id, wanted.label)), default=0)
    rows = [_row(line, len(names), places, least) for line in every]
    return pl.DataFrame(rows, schema=dict.fromkeys([*names, UNREAD], pl.String), orient="row")


def _told_apart(header: list[str]) -> list[str]:
    """As Polars calls columns of one name."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for name in header:
        told = f"{name}_duplicated_{seen[name] - 1}" if seen[name] else name
        while told in names:  # that stands there by itself
            seen[name] += 1
            told = f"{name}_duplicated_{seen[name] - 1}"
        names.append(told)
        seen[name] += 1
    return names


def _row(line: Line, width: int, used: list[int], least: int) -> list[str | None]:
    """The fields, and why they are none; None: they are. `least`: fields that a label has."""
    fields = line.fields
    wrong = line.wrong
    if line.short and len(fields) >= least:
        wrong = ""  # what it lacks is no part of a label, or may be left out
    if len(fields) > width and not any(field.strip() for field in fields[width:]):
        wrong = ""  # a comma at the end of the line
    if not wrong and line.lossy and any(_MARK in fields[at] for at in used if at < len(fields)):
        wrong = NOT_UTF8
    if wrong:
        return [*[None] * width, f"line {line.number} has {wrong}"]
    padded = [field or None for field in fields[:width]]
    return [*padded, *[None] * (width - len(padded)), None]


def _json_lines(path: Path) -> pl.DataFrame:
    with path.open("rb") as file:  # of a path it would make a pattern
        return pl.read_ndjson(file, infer_schema_length=None)


def _is_json(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def _is_text(head: bytes) -> bool:
    """Of CSV each line is held against UTF-8 by itself."""
    if not _is_json(head):
        return b"\0" not in head
    try:
        return "\0" not in head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character that is cut where the head ends


def _last_written_us(file: os.stat_result) -> int:
    """Anybody may set the time of writing, also to one that is still to come; when that was done the kernel notes by itself."""
    return min(file.st_mtime_ns, file.st_ctime_ns) // 1000


def _chosen(frame: pl.DataFrame, wanted: LabelImport, *, numbers: bool, known_us: int | None) -> pl.DataFrame:
    """id, label (and its text), observed_at as text with its zone (and what was written), reward as a number (and what was written).

    `known_us`: when outcomes became known of which the rows do not say it; None: nobody knows."""
    observed = wanted.observed_at or ("observed_at" if "observed_at" in frame.columns else None)
    named = ((wanted.id, "--id"), (wanted.label, "--label"), (observed, "--observed-at"), (wanted.reward or None, "--reward"))
    there = [name for name in frame.columns if name != UNREAD]
    for name, option in named:
        if name is not None and name not in there:
            near = get_close_matches(name, there, n=1)
            hint = f"did you mean {option} {near[0]}?" if near else f"name the column with {option}"
            raise DataError(f"there is no column {name!r}", expected=f"one of {', '.join(there[:20])}", next_step=hint)
    if frame.is_empty():
        raise DataError("there is not one row", expected="a row a label")
    written = frame[observed] if observed is not None else pl.Series([None] * frame.height, dtype=pl.String)
    return pl.DataFrame(
        [
            _id(frame[wanted.id]),
            *_labels(frame[wanted.label], numbers=numbers),
            _times(written, known_us),
            written.cast(pl.String).alias("written"),
            *_rewards(frame, wanted.reward),
            (frame[UNREAD] if UNREAD in frame.columns else pl.Series([None] * frame.height, dtype=pl.String)).alias("unread"),
        ]
    )


def _times(written: pl.Series, known_us: int | None) -> pl.Series:
    """Null where what is written is no time."""
    told = parse_times(written).cast(UTC_TIME)
    at = pl.when(written.is_null()).then(pl.lit(known_us, dtype=pl.Int64).cast(UTC_TIME)).otherwise(told)
    return pl.select(at.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias("observed")).to_series()


def _rewards(frame: pl.DataFrame, name: str | None) -> tuple[pl.Series, pl.Series]:
    """`name` None: of a column `reward` that holds numbers; under that name may stand something else. Empty: there are none."""
    none = pl.Series([None] * frame.height, dtype=pl.String)
    column = frame[name or "reward"] if name or (name is None and "reward" in frame.columns) else none
    if column.dtype not in (pl.String, pl.Null) and not column.dtype.is_numeric():
        if name:
            found = f"the column {name!r} is of type {column.dtype}"
            raise DataError(found, expected="numbers: what each prediction earned", next_step="choose another --reward")
        column = none
    said = column.cast(pl.String).str.strip_chars().replace("", None)
    earned = _finite(said)
    return earned.alias("reward"), (said if name or earned.count() else none).alias("said")


def _id(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String and not column.dtype.is_integer():
        raise DataError(
            f"the column {column.name!r} is of type {column.dtype}", expected="ids as text", next_step="choose another --id"
        )
    return column.cast(pl.String).alias("id")


def _labels(column: pl.Series, *, numbers: bool) -> tuple[pl.Series, pl.Series]:
    """The labels, and the text of those that are text or no number: of a regression the number that each spells, or none."""
    if column.dtype != pl.String:
        return _plain(column)
    spelled = column.str.strip_chars().replace("", None).alias("spelled")
    if numbers:
        return _finite(spelled).alias("label"), spelled
    # pandas writes classes 0 and 1 as 0.0 and 1.0 to CSV once a label is missing.
    whole = spelled.drop_nulls().str.contains(r"^-?\d+\.0$").all()
    classes = spelled.str.strip_suffix(".0") if whole else column
    return pl.select(pl.when(spelled.is_not_null()).then(classes).alias("label")).to_series(), spelled


def _finite(texts: pl.Series) -> pl.Series:
    number = texts.cast(pl.Float64, strict=False)
    return pl.select(pl.when(number.is_finite().fill_null(value=False)).then(number)).to_series()


def _plain(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Classes or numbers as JSON has them, and the text of those that it does not have."""
    kind = column.dtype
    if kind.is_float() or kind.is_decimal():
        return _floats(column.cast(pl.Float64))
    if kind in (pl.Categorical, pl.Enum, pl.Null):
        column = column.cast(pl.String)
    elif not (kind.is_integer() or kind in (pl.String, pl.Boolean)):
        raise DataError(
            f"the column {column.name!r} is of type {kind}", expected="classes or numbers", next_step="choose another --label"
        )
    return column.alias("label"), pl.Series("spelled", [None] * column.len(), dtype=pl.String)


def _floats(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """NaN is what was missing; an infinity is something that was said. Whole numbers that became floats because some are missing are whole again."""
    column = column.fill_nan(None)
    finite = column.is_finite()
    spelled = pl.select(pl.when(~finite).then(column.cast(pl.String)).alias("spelled")).to_series()
    labels = pl.select(pl.when(finite).then(column).alias("label")).to_series()
    there = labels.drop_nulls()
    if (there == there.floor()).all() and (there.abs() < 2**53).all():
        labels = labels.cast(pl.Int64)
    return labels, spelled

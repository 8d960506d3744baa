"""Files of rows as one table: CSV or Parquet, told from content; names written in digits stay as they are written."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from flyball.adapters import csv_lines
from flyball.errors import DataError
from flyball.pipelines.labels import class_name

_WHOLE = r"^(?:0|-?[1-9]\d*)$"
_WHOLE_AS_FLOAT = r"^(?:0|-?[1-9]\d*)(?:\.0)?$"
_NEEDLESS_ZERO = r"^(0|-?[1-9]\d*)\.0$"
_FRACTION = r"^-?(?:0\.0{0,3}[1-9](?:\d*[1-9])?|[1-9]\d*\.\d*[1-9])$"
"""Python writes what is smaller with an exponent."""
_FRACTION_CHARACTERS = 16
"""15 digits and the point: as many as a float64 gives back whatever they are."""
EXACT = 2**53
"""From here on a float64 does not hold every whole number."""


class File(NamedTuple):
    frame: pl.DataFrame
    csv: Path | None
    """None: Parquet, whose columns have types of their own."""
    escaped: Mapping[str, str] = MappingProxyType({})
    """Column → what Polars calls it, where that is something else."""
    short: str = ""
    """In words, which lines lack fields; empty: none."""


class Names(NamedTuple):
    """Columns whose values are names, though they may be written in digits: `01234` is a zip code, and no 1234."""

    said: frozenset[str]
    unsaid: frozenset[str] = frozenset()
    """Nobody has said yet what they are: names where one of the files holds texts."""


def read_file(path: Path, name: object = None) -> File:
    """`name`: what it is called in words. Raises DataError, OSError, PolarsError."""
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise DataError(f"the file {name or path.name} is empty", expected="CSV with a header, or Parquet")
    # A bracket in the name of a file is no pattern.
    if magic == b"PAR1":
        return File(pl.read_parquet(path, glob=False), None)
    csv_lines.refuse_no_table(path, f"the file {name or path.name}")
    try:
        found = read_csv(path)
    except pl.exceptions.PolarsError as error:
        if (fault := csv_lines.fault_of(path)) is None:
            raise
        words, mend = fault
        raise DataError(
            f"the file {name or path.name} cannot be read: {words}", expected="CSV in UTF-8, the header's fields in every line",
            next_step=mend,
        ) from error  # fmt: skip
    # What a line lacks, it lacks at its end.
    cut = found.frame.width and found.frame[:, -1].null_count()
    return found._replace(short=csv_lines.short_lines(path)) if cut else found


def read_csv(path: Path, *, typed: bool = True) -> File:
    """`typed`: otherwise all columns are texts. Raises OSError, PolarsError."""
    frame = pl.read_csv(path, infer_schema=typed, infer_schema_length=None, glob=False)
    names = _unescaped(path, frame.columns)
    return File(frame.rename(names), path, {name: escaped for escaped, name in names.items()})


def _unescaped(path: Path, columns: Sequence[str]) -> dict[str, str]:
    """What Polars calls a column → its name: it takes the quotes around a name in the header away, and leaves those within doubled."""
    doubled = [column for column in columns if '""' in column]
    header = _header(path) if doubled else []
    if len(header) != len(columns):
        return {}
    names: dict[str, str] = {}
    taken = set(columns).difference(doubled)
    for column, name in zip(columns, header, strict=True):
        if column in doubled:
            once = next((each for each in (name, f"{name}_duplicated_0") if each not in taken), column)
            taken.add(once)
            names[column] = once
    return names


def _header(path: Path) -> list[str]:
    """As Polars looks for it: empty lines before it are none, and bytes that are no UTF-8 are marks. Empty: it cannot be told."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return next((row for row in csv.reader(file) if row), [])
        except csv.Error:  # no name is as long as a field may be
            return []


def refuse_repeated_columns(file: File, wanted: list[str], name: Path) -> None:
    """Polars renames a column that a CSV file has twice, and would go by the first. Raises DataError."""
    renamed = [column for column in wanted if f"{column}_duplicated_0" in file.frame.columns]
    if file.csv is None or not renamed:
        return
    header = _header(file.csv)
    for column in renamed:
        times = header.count(column) if len(header) == file.frame.width else 2
        if times > 1:
            raise DataError(f"the file {name} has the column {column!r} {times} times", expected="each column once",
                            next_step="rename one of them in the source")  # fmt: skip


def joined(files: list[File], names: Names) -> pl.DataFrame:
    """One table of all, which have the same columns. Raises PolarsError where they have no type in common."""
    if len(files) > 1:
        files = [file._replace(frame=_without_types_of_nothing(file.frame)) for file in files]
    return pl.concat(_as_written(files, names), how="vertical_relaxed")


def _without_types_of_nothing(frame: pl.DataFrame) -> pl.DataFrame:
    """A column without a value is text to a CSV reader. Beside files with numbers in it, it would make texts of them all."""
    empty = [name for name in frame.columns if frame[name].dtype == pl.String and frame[name].null_count() == frame.height]
    return frame.with_columns(pl.Series(name, [None] * frame.height, dtype=pl.Null) for name in empty)


def _as_written(files: list[File], names: Names) -> list[pl.DataFrame]:
    """Columns of `names` that were taken for numbers are read once more as texts where a number has no room for what is written, in any of the files."""
    kinds = {name: [file.frame[name].dtype for file in files] for name in sorted(names.said | names.unsaid)}
    mixed = [name for name, found in kinds.items() if pl.String in found and any(not _is_text(kind) for kind in found)]
    numeric = [name for name in names.said.difference(mixed) if any(kind.is_numeric() for kind in kinds[name])]
    again = sorted([*mixed, *numeric])
    if not again:
        return [file.frame for file in files]
    written = [None if file.csv is None else _texts(file, file.csv, again) for file in files]
    lost = mixed + [name for name in numeric if not _told_by_numbers(name, files, written)]
    floats = {name for name in lost if any(kind.is_float() for kind in kinds[name])}
    return [
        file.frame.with_columns(
            _named(file.frame[name], None if table is None else table[name], as_floats=name in floats) for name in lost
        )
        for file, table in zip(files, written, strict=True)
    ]


def _texts(file: File, path: Path, columns: list[str]) -> pl.DataFrame:
    called = {file.escaped.get(column, column): column for column in columns}
    return pl.read_csv(path, columns=list(called), infer_schema=False, glob=False).rename(called)


def _named(parsed: pl.Series, written: pl.Series | None, *, as_floats: bool) -> pl.Series:
    """A file's column as texts. `as_floats`: what a column of floats would call otherwise, 1.0 and a missing NaN, is called as it would be there: one value
    that is written in another way gives no other value a new name."""
    if written is None:
        if not parsed.dtype.is_float():
            return parsed
        return pl.Series(
            parsed.name, [None if each is None else class_name(each) for each in parsed.fill_nan(None)], dtype=pl.String
        )
    if not as_floats:
        return written
    if parsed.dtype.is_float():
        written = written.set(parsed.is_nan().fill_null(value=False), None)
    return written.str.replace(_NEEDLESS_ZERO, "${1}")


def _is_text(kind: pl.DataType) -> bool:
    return kind in (pl.String, pl.Null)


def _told_by_numbers(name: str, files: list[File], written: list[pl.DataFrame | None]) -> bool:
    """Whether each number of a column, written by `class_name`, is what stood in its file. 1.0 may become 1: a source that had missing values writes so."""
    tell = _told_by_floats if any(file.frame[name].dtype.is_float() for file in files) else _told_by_integers
    return all(
        tell(table[name], file.frame[name])
        for file, table in zip(files, written, strict=True)
        if table is not None and file.frame[name].dtype.is_numeric()
    )


def _told_by_integers(written: pl.Series, _: pl.Series) -> bool:
    return bool(written.str.contains(_WHOLE).all())


def _told_by_floats(written: pl.Series, number: pl.Series) -> bool:
    value = number.cast(pl.Float64)
    whole = written.str.contains(_WHOLE_AS_FLOAT) & (value.abs() < EXACT)
    fraction = written.str.contains(_FRACTION) & (written.str.len_bytes() <= _FRACTION_CHARACTERS)
    return bool((whole | fraction | value.is_nan()).all())

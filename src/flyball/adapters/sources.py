"""The user's rows: read from files, Delta, SQL or a loader, with times in UTC and only what was known at a moment."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from flyball.adapters.environment import own_files
from flyball.adapters.places import NAMED_BY_URLS, TABLE_READ, letters_in
from flyball.adapters.schema_file import types_in
from flyball.adapters.source_files import EXACT, Names, joined, read_file, refuse_repeated_columns
from flyball.adapters.source_times import lacks_zone, utc
from flyball.adapters.user_code import kind_and_place, user_code, words_of
from flyball.control.ports import SCHEMA
from flyball.errors import DataError, FlyballError, NotInstalled, SourceFailed
from flyball.pipelines.keys import refuse_repeated
from flyball.records.signature import ColumnType, Task
from flyball.spec import DataSpec
from flyball.spec.data import SqlSpec
from flyball.spec.fields import parse_duration

if TYPE_CHECKING:
    from sqlalchemy import Engine

Secret = Callable[[str], str]
"""Name of an environment variable → its value. Raises a FlyballError when it is not set."""

Types = Mapping[str, ColumnType]
"""Feature → what it is."""


class Asked(NamedTuple):
    """What else is known of the rows, and who hears what was made of them."""

    task: Task = "binary"
    types: Types = MappingProxyType({})
    """By schema.yaml; flyball.yaml comes first."""
    say: Callable[[str], None] = lambda _: None
    """Told once a load of what was taken for granted: a zone, the end of a line that is cut short."""


LABEL_KNOWN = "__label_known"
"""When a row's label became known: `data.label_time`, else time + `data.label_delay`."""

_NOTHING = Asked()

_FILES_TOLD = 5


class _Granted(NamedTuple):
    """What was taken for granted in reading."""

    naive: dict[str, None]
    """Columns of times, of which some have no zone."""
    short: list[str]
    """Of files, in words."""

    def told(self) -> list[str]:
        naive = [f"no zone in {' and '.join(map(repr, self.naive))}: taken as UTC"] if self.naive else []
        return [*naive, *self.short[:_FILES_TOLD], *(["and of more files"] if len(self.short) > _FILES_TOLD else [])]


class Known(NamedTuple):
    """What could be known at a moment, and how many rows were not."""

    frame: pl.DataFrame
    dropped: dict[str, int]
    """Reason → rows: `after_as_of`, `label_unknown`, `label_null`, `before_history`."""


class SourceHistory:
    """The user's source, for a replay. Reads it once per `until`; rows are kept in memory."""

    def __init__(self, data: DataSpec, project_dir: Path, secret: Secret, task: Task = "binary") -> None:
        self._data, self._project_dir, self._secret, self._task = data, project_dir, secret, task
        self._loaded: tuple[datetime, pl.DataFrame] | None = None

    def rows(self, since: datetime, until: datetime) -> pl.DataFrame:
        if self._loaded is None or self._loaded[0] < until:
            asked = Asked(self._task, types_in(self._project_dir / SCHEMA))
            self._loaded = (until, load(self._data, self._project_dir, self._secret, until, asked))
        time = pl.col(self._data.time)
        return self._loaded[1].filter((time >= since) & (time < until))


def load(data: DataSpec, project_dir: Path, secret: Secret, until: datetime, asked: Asked = _NOTHING) -> pl.DataFrame:
    """All rows that the source has, declared columns only and then LABEL_KNOWN, sorted by time and key.

    Columns are Boolean, Int64, Float64 (NaN made null), String, times in UTC microseconds. Raises DataError, SourceFailed.
    """
    names = _names(data, asked)
    granted = _Granted({}, [])
    frame = _read(data, project_dir, secret, until, (names, granted))
    wanted = _declared(data)
    _refuse_missing(frame, wanted)
    if frame.is_empty():
        raise DataError("the data are empty", expected="at least one row", next_step="look at data.source in flyball.yaml")
    times = _times(data)
    frame = _in_utc(frame.select(wanted), data, granted)
    for words in granted.told():
        asked.say(words)
    frame = frame.with_columns(_plain(frame[name], named=name in names.said) for name in wanted if name not in times)
    known = pl.col(data.label_time) if data.label_time else pl.col(data.time) + (data.label_delay or timedelta())
    return frame.with_columns(known.alias(LABEL_KNOWN)).sort(data.time, data.key)


_LEFT_OUT = {
    "after_as_of": ("is later than that", "are later than that"),
    "label_unknown": ("has a label that is known later, or never", "have labels that are known later, or never"),
    "label_null": ("has no label", "have no label"),
}
"""Why a row, or rows, are not trained on."""


def known_at(frame: pl.DataFrame, data: DataSpec, as_of: datetime, history: timedelta | None) -> Known:
    """Of `load`'s frame, what may be trained on at `as_of`. Raises DataError when nothing is left, or the label is null or keys repeat.

    `history` counts back from the newest row that is left, not from `as_of`: unchanged data give the same rows whenever they are asked for.
    """
    label = pl.col(data.label)
    dropped: dict[str, int] = {}
    if frame[data.label].null_count() == frame.height:
        raise DataError(
            f"the label {data.label!r} is null in all {frame.height} rows", next_step="check data.label in flyball.yaml"
        )
    for reason, keep in (
        ("after_as_of", pl.col(data.time) < as_of),
        ("label_unknown", pl.col(LABEL_KNOWN).is_null().not_() & (pl.col(LABEL_KNOWN) <= as_of)),
        ("label_null", label.is_not_null()),
    ):
        before = frame.height
        frame = frame.filter(keep)
        dropped[reason] = before - frame.height
    if frame.is_empty():
        told = ", ".join(f"{n:,} {'row' if n == 1 else 'rows'} {_LEFT_OUT[why][n != 1]}" for why, n in dropped.items() if n)
        raise DataError(
            f"no row with a known label at {as_of:%Y-%m-%d %H:%M} UTC ({told})",
            next_step="check data.time, label_time and label_delay",
        )
    if history is not None:
        newest = frame[data.time].max()
        before = frame.height
        frame = frame.filter(pl.col(data.time) > pl.lit(newest) - history)
        dropped["before_history"] = before - frame.height
    refuse_repeated(frame, data.key)
    return Known(frame, dropped)


def history_of(overrides: Mapping[str, Any], declared: timedelta | None) -> timedelta | None:
    """The window to train on: an override (`60d`, `all`) wins over flyball.yaml; None: everything."""
    given = overrides.get("history")
    if given is None:
        return declared
    if given == "all":
        return None
    try:
        window = parse_duration(given)
    except ValueError as error:
        raise DataError(f"the history {given!r} of this job is not a duration", expected=str(error)) from error
    return window if isinstance(window, timedelta) else None


def _declared(data: DataSpec) -> list[str]:
    names = (data.time, data.key, data.label, *((data.label_time,) if data.label_time else ()), *data.feature_names)
    return list(dict.fromkeys(names))


def _times(data: DataSpec) -> list[str]:
    return [name for name in (data.time, data.label_time) if name is not None]


def _names(data: DataSpec, asked: Asked) -> Names:
    """A class is a name, and a number that is to be predicted is none."""
    types = {name: data.feature(name).type or asked.types.get(name) for name in data.feature_names}
    categories = [name for name, kind in types.items() if kind == ColumnType.CATEGORY]
    unsaid = frozenset(name for name, kind in types.items() if kind is None)
    return Names(frozenset([data.key, *categories, *([] if asked.task == "regression" else [data.label])]), unsaid)


def _refuse_missing(frame: pl.DataFrame, wanted: list[str], *, of: str = "the data lack") -> None:
    missing = [name for name in wanted if name not in frame.columns]
    if not missing:
        return
    words = []
    for name in missing:
        near = get_close_matches(name, frame.columns, n=1)
        words.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    have = ", ".join(frame.columns[:12]) + (", …" if len(frame.columns) > 12 else "")
    raise DataError(f"{of} the column{'s' if len(missing) > 1 else ''} {', '.join(words)}", expected=f"columns among: {have}",
                    next_step="mend data in flyball.yaml, or the source")  # fmt: skip


def _in_utc(frame: pl.DataFrame, data: DataSpec, granted: _Granted) -> pl.DataFrame:
    granted.naive.update(dict.fromkeys(name for name in _times(data) if lacks_zone(frame[name])))
    return frame.with_columns(utc(frame[name], may_be_null=name != data.time) for name in _times(data))


def _plain(column: pl.Series, *, named: bool) -> pl.Series:
    """One type for each kind of value, whatever the source's own: the same data give the same digest from CSV and Parquet.

    `named`: the values are names, of which no digit may be lost.
    """
    kind = column.dtype
    if kind.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count() == column.null_count():
            return whole
        return column.cast(pl.String if named else pl.Float64)
    if kind.is_decimal() and named and (column.cast(pl.Float64).abs() >= EXACT).any():
        return column.cast(pl.String)
    if kind.is_float() or kind.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if kind in (pl.Boolean, pl.String):
        return column
    if kind in (pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String)
    raise DataError(f"the column {column.name!r} is of type {kind}", expected="numbers, true/false or texts",
                    next_step="derive numbers from it in the source (the hour of a time, the length of a list), or make it a text there")  # fmt: skip


def _read(data: DataSpec, project_dir: Path, secret: Secret, until: datetime, how: tuple[Names, _Granted]) -> pl.DataFrame:
    source = data.source
    try:
        if source.files is not None:
            return _read_files(source.files, data, project_dir, *how)
        if source.delta is not None:
            return _read_delta(_below(project_dir / source.delta, project_dir))
        if source.sql is not None:
            return read_sql(source.sql, secret(source.sql.url_env))
        return _call_loader(str(source.loader), project_dir, until)
    except FlyballError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(error) from error
    except Exception as error:
        # The Delta reader and database drivers have error trees of their own.
        raise _unreadable(error) from error


def _unreadable(error: Exception, what: str = "the source") -> SourceFailed:
    """Without its words: a reader quotes the values that it stumbles over."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return SourceFailed(f"{what} could not be read: {why}", detail=words_of(error))


def _read_delta(path: Path) -> pl.DataFrame:
    from flyball.adapters import delta_files

    if found := letters_in(path, TABLE_READ):
        raise DataError(
            f"the Delta table {path} has {found} in its path, and Delta {NAMED_BY_URLS}",
            next_step="rename it, and data.source.delta in flyball.yaml",
        )
    return delta_files.read(path)


def _read_files(pattern: str, data: DataSpec, project_dir: Path, names: Names, granted: _Granted) -> pl.DataFrame:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(f"data.source.files is {pattern!r}", expected="a pattern below the project's directory")
    found = (path for path in project_dir.glob(pattern) if path.is_file())
    # `**/*.parquet` must not find the snapshots of the rows that it found before, nor a backup's.
    paths = own_files(project_dir, found)
    if not paths:
        raise DataError(
            f"no file matches {pattern!r} below {project_dir}",
            next_step="mend data.source.files in flyball.yaml, or put the file there",
        )
    files, wanted = [], _declared(data)
    for path in paths:
        name = path.relative_to(project_dir)
        try:
            file = read_file(_below(path, project_dir), name)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise _unreadable(error, f"the file {name}") from error
        _refuse_missing(file.frame, wanted, of=f"the file {name} lacks" if len(paths) > 1 else "the data lack")
        refuse_repeated_columns(file, wanted, name)
        if file.short:
            granted.short.append(f"the file {name}: {file.short}")
        # Times file by file: as texts, dates and timestamps of any zone they have no type in common.
        files.append(file._replace(frame=_in_utc(file.frame.select(wanted), data, granted)))
    return joined(files, names)


def _below(path: Path, project_dir: Path) -> Path:
    """`path` with links followed. Raises DataError when it leads out of the project: flyball.yaml of a stranger must not read this machine."""
    real = path.resolve()
    if not real.is_relative_to(project_dir.resolve()):
        raise DataError(f"{path} leads out of the project's directory", expected=f"a path below {project_dir}")
    if not real.exists():
        raise DataError(f"{path} does not exist", next_step="mend data.source in flyball.yaml")
    return real


def read_sql(sql: SqlSpec, url: str) -> pl.DataFrame:
    """The result of a query. Raises SourceFailed, NotInstalled."""
    import sqlalchemy

    engine = _engine(sql, url)
    try:
        with engine.connect() as connection:
            return pl.read_database(sql.query, connection, infer_schema_length=None)
    except sqlalchemy.exc.SQLAlchemyError as error:
        # Only the driver's own sentence, and only at the terminal: a sentence may quote values.
        raise SourceFailed(
            f"the database behind {sql.url_env} failed: {type(error).__name__}",
            next_step="check the variable and the query",
            detail=_first_line(getattr(error, "orig", None) or ""),
        ) from error
    except Exception as error:
        # What makes a table of a driver's answer has an error tree of its own, and none for an answer without rows.
        raise SourceFailed(
            f"what the database behind {sql.url_env} answered is no table: {type(error).__name__}",
            expected="a query whose result has rows and columns",
            detail=_first_line(error),
        ) from error


def _engine(sql: SqlSpec, url: str) -> "Engine":
    """Nothing of the URL is told: it holds a password."""
    import sqlalchemy

    try:
        return sqlalchemy.create_engine(url)
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f"the driver of the database behind {sql.url_env}, {error.name}, is not installed",
            next_step="pip install it beside Flyball, or name another in the URL: postgresql+psycopg://…",
        ) from error
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise SourceFailed(
            f"what {sql.url_env} holds is no URL of a database: {type(error).__name__}",
            expected="as SQLAlchemy takes it: postgresql+psycopg://USER:PASSWORD@HOST/DATABASE",
        ) from error


def _call_loader(entrypoint: str, project_dir: Path, until: datetime) -> pl.DataFrame:
    with user_code(project_dir) as loaded:
        function = loaded(entrypoint)
        try:
            frame = function(until)
        except FlyballError:
            raise
        except (Exception, SystemExit) as error:
            raise SourceFailed(
                f"the loader {entrypoint} failed: {kind_and_place(error, project_dir)}", detail=words_of(error)
            ) from error
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        raise DataError(f"the loader {entrypoint} answered with {type(frame).__name__}", expected="a polars.DataFrame")
    return frame


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]

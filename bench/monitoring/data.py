"""The tables that streams are made of: real rows, each with a model's score and a label."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.monitoring.frames import Floats, Frame, Ints

DATA = Path("../shared/data")
"""Beside the checkout; `--data` says otherwise."""


class Absent(Exception):
    """These data are not here; what would have used them is skipped with this reason."""


@dataclass(frozen=True)
class Table:
    """Rows, and which of them belong to a week together."""

    name: str
    frame: Frame
    weeks: tuple[Ints, ...] = ()
    """Row numbers of each whole week, in order of time; empty: rows are independent once shuffled."""


def read(data: Path, name: str) -> pl.DataFrame:
    path = data / name / "data.csv.gz"
    if not path.is_file():
        raise Absent(f"no {path}")
    return pl.read_csv(path, infer_schema_length=None)


def _categories(values: pl.Series) -> NDArray[Any]:
    return np.asarray(values.cast(pl.String).str.strip_chars().fill_null("").replace("?", "").to_list(), dtype=object)


def _numbers(values: pl.Series) -> Floats:
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()


def columns_of(table: pl.DataFrame, names: list[str], codes: frozenset[str] = frozenset()) -> dict[str, NDArray[Any]]:
    """Words are categories, and so are the numbers that are `codes`."""
    return {
        name: _categories(table[name]) if name in codes or table[name].dtype == pl.String else _numbers(table[name])
        for name in names
    }


def encoded(columns: dict[str, NDArray[Any]]) -> Floats:
    """(n_rows, n_columns): categories as the place of their name in the alphabet."""
    return np.column_stack(
        [np.unique(v.astype(str), return_inverse=True)[1].astype(float) if v.dtype == object else v for v in columns.values()]
    )


def out_of_fold(columns: dict[str, NDArray[Any]], label: Floats, task: str) -> Floats:
    """Scores of rows by a model that has not seen them (two folds, each over alternate blocks of 50 rows)."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingClassifier if task == "binary" else HistGradientBoostingRegressor
    X, half = encoded(columns), (np.arange(label.size) // 50) % 2
    scores = np.empty(label.size)
    with threadpool_limits(1):  # on a shared machine its threads wait for one another
        for fold in (0, 1):
            model = kind(max_iter=40, random_state=fold).fit(X[half != fold], label[half != fold])
            held = X[half == fold]
            scores[half == fold] = model.predict_proba(held)[:, 1] if task == "binary" else model.predict(held)
    return scores


def _adult(data: Path) -> Table:
    table = read(data, "adult_iid_pool")
    columns = columns_of(table, [name for name in table.columns if name != "income"])
    label = np.asarray(["<" not in text for text in table["income"].to_list()], dtype=float)
    return Table("adult", Frame(columns, out_of_fold(columns, label, "binary"), label))


def _hotel(data: Path) -> Table:
    table = read(data, "hotel_booking")
    left_out = {"Index", "y_pred", "y_pred_proba", "is_canceled", "timestamp", "period"}
    columns = columns_of(table, [name for name in table.columns if name not in left_out], frozenset({"agent", "company"}))
    return Table("hotel", Frame(columns, _numbers(table["y_pred_proba"]), _numbers(table["is_canceled"])))


def _employment(data: Path) -> Table:
    table = read(data, "employment_ma")
    left_out = {"id", "employed", "year", "prediction", "predicted_probability", "period"}
    names = [name for name in table.columns if name not in left_out]
    columns = columns_of(table, names, frozenset(names) - {"AGEP", "SCHL"})
    return Table("employment", Frame(columns, _numbers(table["predicted_probability"]), _numbers(table["employed"])))


def _weeks(hours: Ints, fewest: int) -> tuple[Ints, ...]:
    """Row numbers of the weeks (Monday to Sunday) of which at least `fewest` hours are there."""
    weeks = (hours + 72) // 168  # 1970-01-01 was a Thursday: three days after a Monday
    starts = np.flatnonzero(np.diff(weeks)) + 1
    return tuple(part for part in np.split(np.arange(hours.size), starts) if part.size >= fewest)


def _hourly(name: str, table: pl.DataFrame, columns: dict[str, NDArray[Any]], target: str) -> Table:
    hours = table["hour"].to_numpy()
    label = _numbers(table[target])
    scores = out_of_fold(columns, label, "regression")
    frame = Frame(columns, scores, label, hours.astype(np.int64) * 3_600_000_000, "regression")
    return Table(name, frame, _weeks(hours, 150))


def _metro(data: Path) -> Table:
    table = read(data, "metro_traffic").with_columns(pl.col("date_time").str.to_datetime("%Y-%m-%dT%H:%M"))
    table = table.unique("date_time", keep="first", maintain_order=True).sort("date_time")
    table = table.with_columns(
        hour=pl.col("date_time").dt.epoch("s") // 3600,
        hour_of_day=pl.col("date_time").dt.hour(),
        weekday=pl.col("date_time").dt.weekday(),
    )
    names = ["temp", "rain_1h", "snow_1h", "clouds_all", "weather_main", "weather_description", "hour_of_day", "weekday"]
    return _hourly("metro", table, columns_of(table, names, frozenset({"weekday"})), "traffic_volume")


def _bike(data: Path) -> Table:
    table = read(data, "bike_sharing_hourly").with_columns(pl.col("dteday").str.to_date())
    table = table.with_columns(hour=pl.col("dteday").dt.epoch("d") * 24 + pl.col("hr"))
    names = ["hr", "holiday", "weekday", "workingday", "weathersit", "temp", "atemp", "hum", "windspeed"]
    return _hourly("bike", table, columns_of(table, names, frozenset({"weekday", "weathersit"})), "cnt")


def _gas(data: Path) -> Table:
    table = read(data, "gas_sensor_drift")
    columns = columns_of(table, [name for name in table.columns if name not in {"batch", "gas", "concentration"}])
    label = (table["gas"].to_numpy() == 1).astype(float)
    return Table("gas", Frame(columns, out_of_fold(columns, label, "binary"), label))


def _faulty(data: Path) -> Table:
    """Adult with everything that tests of drift stumble over: missing values, ties, constants, a column nearly empty, one of ids."""
    frame, draw = load(data, "adult").frame, np.random.default_rng(7)
    n = len(frame)
    spoiled: dict[str, NDArray[Any]] = {
        "age": np.where(draw.random(n) < 0.1, np.nan, frame.columns["age"]),
        "fnlwgt": np.round(frame.columns["fnlwgt"], -5),
        "constant": np.full(n, 3.0),
        "one_word": np.asarray(["same"] * n, dtype=object),
        "nearly_empty": np.where(draw.random(n) < 0.995, np.nan, draw.normal(size=n)),
        "empty": np.full(n, np.nan),
        "an_id": np.asarray([f"id-{k}" for k in draw.permutation(n)], dtype=object),
        "zero_or_heavy_tail": np.where(draw.random(n) < 0.8, 0.0, draw.standard_cauchy(n)),
    }
    return Table("adult-faulty", frame.with_columns(spoiled))


TABLES: dict[str, Callable[[Path], Table]] = {
    "adult": _adult,
    "hotel": _hotel,
    "employment": _employment,
    "metro": _metro,
    "bike": _bike,
    "gas": _gas,
    "adult-faulty": _faulty,
}


@functools.cache
def load(data: Path, name: str) -> Table:
    """Raises Absent when the data are not there."""
    return TABLES[name](data)

"""Streams of rows in the order in which they came, cut into blocks. Each has a task, features known before the outcome, and the rows where it is known to change."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.monitoring.data import Absent, columns_of, encoded, read

Floats = NDArray[np.float64]

BLOCKS, FIRST = 50, 10
"""Blocks of a stream, and how many the first model learns on: 40 are answered, and after 39 of them one may retrain."""
MOST_ROWS = 40_000
"""Longer streams are thinned evenly. A block is then 800 rows."""
SYNTHETIC = (
    "mixed_0101_abrupto", "rt_2563789698568873_abrupto", "sea_0123_gradual_noise_0_2", "sine_0123_abrupto", "stagger_0120_gradual",
)  # fmt: skip


class Stream(NamedTuple):
    name: str
    task: str
    """`binary`, `multiclass`, `regression`."""
    features: NDArray[np.float32]
    """(n_rows, n_features): categories by their place in the alphabet."""
    labels: Floats
    """(n_rows,): index of the class, or the number."""
    block: int
    """Rows of one."""
    changes: tuple[int, ...] = ()
    """Rows at which it is known to change."""
    scale: float = 1.0
    """Regression: the error that counts as 1, learned from the first blocks."""

    @property
    def blocks(self) -> int:
        return len(self.labels) // self.block

    def rows(self, first: int, last: int) -> slice:
        """Of blocks [first, last)."""
        return slice(first * self.block, last * self.block)


class _Raw(NamedTuple):
    task: str
    columns: dict[str, NDArray[np.object_] | Floats]
    labels: Floats
    groups: NDArray[np.int64] | None = None
    """Rows within one have no order in time, and get a random one; None: all rows have."""
    changes: tuple[int, ...] = ()


def names() -> tuple[str, ...]:
    return tuple(LOADERS)


def for_development(name: str) -> bool:
    """Which half the method was developed on: by a digest of the name, so nobody chose; and all that is made up."""
    return name not in LOADERS or hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def load(data: Path, name: str, seed: int) -> Stream:
    """`seed` moves where blocks begin (by up to one block), and orders rows whose order nobody knows. Raises Absent when the data are not there."""
    raw = LOADERS[name](data)
    draw = np.random.default_rng([seed, 11])
    n = len(raw.labels)
    order = np.arange(n)
    if raw.groups is not None:
        order = np.lexsort((draw.random(n), raw.groups))
    kept = order[np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(int)]
    block = len(kept) // (BLOCKS + 1)
    first = int(draw.integers(0, block)) if seed else 0
    kept = kept[first : first + block * BLOCKS]
    labels = raw.labels[kept]
    moved = tuple(int(np.searchsorted(np.sort(kept), row)) for row in raw.changes)
    known = labels[: FIRST * block]
    scale = float(2.0 * (np.quantile(known, 0.95) - np.quantile(known, 0.05))) if raw.task == "regression" else 1.0
    features = encoded(raw.columns)[kept].astype(np.float32)
    return Stream(name, raw.task, features, labels, block, moved, scale)


def _classes(values: pl.Series) -> Floats:
    return np.unique(values.cast(pl.String).to_numpy().astype(str), return_inverse=True)[1].astype(float)


def _elec2(data: Path) -> _Raw:
    table = read(data, "elec2")
    columns = columns_of(table, ["day", "period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"])
    return _Raw("binary", columns, (table["class"].cast(pl.String) == "UP").to_numpy().astype(float), changes=(17_424,))


def _elec2_demand(data: Path) -> _Raw:
    table = read(data, "elec2")
    columns = columns_of(table, ["day", "period", "nswprice", "vicprice", "vicdemand", "transfer"])
    return _Raw("regression", columns, table["nswdemand"].to_numpy())


def _noaa(data: Path) -> _Raw:
    table = read(data, "noaa_weather")
    return _Raw("binary", columns_of(table, [c for c in table.columns if c != "target"]), _classes(table["target"]))


def _usenet(data: Path) -> _Raw:
    table = read(data, "usenet1")
    columns = columns_of(table, [c for c in table.columns if c != "interesting"])
    return _Raw("binary", columns, _classes(table["interesting"]), changes=(300, 600, 900, 1_200))


def _gas(data: Path) -> _Raw:
    """Rows of a batch are sorted by the gas, so their order within it is none in time. Of each sensor's eight features its steady state in two ways."""
    table = read(data, "gas_sensor_drift")
    columns = columns_of(table, [f"f{8 * sensor + k}" for sensor in range(16) for k in (1, 2)])
    return _Raw("multiclass", columns, _classes(table["gas"]), table["batch"].to_numpy().astype(np.int64))


def _hotel(data: Path) -> _Raw:
    table = read(data, "hotel_booking").sort("timestamp", maintain_order=True)
    left_out = {"Index", "y_pred", "y_pred_proba", "is_canceled", "timestamp", "period"}
    columns = columns_of(table, [c for c in table.columns if c not in left_out], frozenset({"agent", "company"}))
    return _Raw("binary", columns, table["is_canceled"].cast(pl.Float64).to_numpy())


def _metro(data: Path) -> _Raw:
    table = read(data, "metro_traffic").with_columns(pl.col("date_time").str.to_datetime("%Y-%m-%dT%H:%M"))
    table = table.unique("date_time", keep="first", maintain_order=True).sort("date_time")
    table = table.with_columns(hour=pl.col("date_time").dt.hour(), weekday=pl.col("date_time").dt.weekday())
    used = ["hour", "weekday", "holiday", "temp", "rain_1h", "snow_1h", "clouds_all", "weather_main"]
    return _Raw("regression", columns_of(table, used), table["traffic_volume"].cast(pl.Float64).to_numpy())


def _bike(data: Path) -> _Raw:
    table = read(data, "bike_sharing_hourly")
    used = ["hr", "holiday", "weekday", "workingday", "weathersit", "temp", "atemp", "hum", "windspeed"]
    return _Raw("regression", columns_of(table, used), table["cnt"].cast(pl.Float64).to_numpy())


def _airlines(data: Path) -> _Raw:
    """Rows without the outcome are the questions; the outcome comes in a row of its own."""
    table = read(data, "airlines_2008_latency").with_row_index("place")
    known = table.filter(pl.col("ValueToPredict") != "?")
    asked = table.filter(pl.col("ValueToPredict") == "?").unique("instanceId", keep="first")
    told = known.unique("instanceId", keep="first").select("instanceId", label="ValueToPredict")
    table = asked.join(told, on="instanceId").sort("place")
    used = ["UniqueCarrier", "CRSArrTime", "CRSDepTime", "CRSElapsedTime", "Origin", "Distance"]
    return _Raw("multiclass", columns_of(table, used, frozenset({"UniqueCarrier", "Origin"})), _classes(table["label"]))


def _employment(data: Path) -> _Raw:
    """Rows of a year are ordered by a key that is not time."""
    table = read(data, "employment_ma")
    left_out = {"id", "employed", "year", "prediction", "predicted_probability", "period"}
    columns = columns_of(table, [c for c in table.columns if c not in left_out])
    return _Raw("binary", columns, table["employed"].cast(pl.Float64).to_numpy(), table["year"].to_numpy().astype(np.int64))


def _adult(data: Path) -> _Raw:
    table = read(data, "adult_iid_pool")
    columns = columns_of(table, [c for c in table.columns if c != "income"])
    label = np.asarray(["<" not in text for text in table["income"].to_list()], dtype=float)
    return _Raw("binary", columns, label, np.zeros(len(label), dtype=np.int64))


def _flights(_: Path) -> _Raw:
    from examples.flights import pipeline

    try:
        table = pipeline.flights()
    except ModuleNotFoundError as why:
        raise Absent(str(why)) from None
    return _Raw("binary", columns_of(table, pipeline.FEATURES), table["late"].cast(pl.Float64).to_numpy())


def _synthetic(name: str) -> Callable[[Path], _Raw]:
    def loader(data: Path) -> _Raw:
        table = read(data, f"known_drift_synthetic/{name}")
        changes = (9_500, 20_000, 30_500) if "gradual" in name else (10_000, 20_000, 30_000)
        return _Raw(
            "binary", columns_of(table, [c for c in table.columns if c != "class"]), _classes(table["class"]), changes=changes
        )

    return loader


LOADERS: dict[str, Callable[[Path], _Raw]] = {
    "adult": _adult, "airlines": _airlines, "bike": _bike, "elec2": _elec2, "elec2_demand": _elec2_demand, "employment": _employment,
    "flights": _flights, "gas": _gas, "hotel": _hotel, "metro": _metro, "noaa": _noaa, "usenet1": _usenet,
    **{name.partition("_")[0]: _synthetic(name) for name in SYNTHETIC},
}  # fmt: skip

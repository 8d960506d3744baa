"""The worked example is honest: nothing is known before it was, and a year is the year that the README speaks of."""

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from flyball.spec.load import load_project

EXAMPLE = Path(__file__).parents[3] / "examples" / "flights"
MARCH = datetime(2013, 3, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def pipeline() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flights_pipeline", EXAMPLE / "pipeline.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def year(pipeline: ModuleType) -> pl.DataFrame:
    return pipeline.load(datetime(2014, 1, 2, tzinfo=UTC))


def test_the_year_is_whole_and_march_to_december_is_what_the_replay_sends(year: pl.DataFrame) -> None:
    replay = load_project(EXAMPLE / "flyball.yaml").replay
    sent = year.filter((pl.col("time") >= replay.start) & (pl.col("time") < replay.until))
    assert (year.height, sent.height) == (336_776, 284_821)


def test_every_flight_has_its_own_key_and_they_come_in_order_of_departure(year: pl.DataFrame) -> None:
    assert year["key"].n_unique() == year.height
    assert year["time"].is_sorted()


def test_a_key_does_not_depend_on_how_much_of_the_year_is_asked_for(pipeline: ModuleType, year: pl.DataFrame) -> None:
    part = pipeline.load(MARCH)
    assert part.equals(year.head(part.height))
    assert part["time"].max() < MARCH


def test_no_outcome_is_known_before_departure_and_every_flight_has_one(year: pl.DataFrame) -> None:
    assert ((year["known_at"] - year["time"]) > timedelta(0)).all()
    assert year["known_at"].null_count() == year["late"].null_count() == 0


def test_the_weather_is_that_of_the_hour_before(pipeline: ModuleType, year: pl.DataFrame) -> None:
    table = pipeline._table("weather.csv").with_columns(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    )
    row = year.filter(pl.col("temp").is_not_null()).row(5_000, named=True)
    hour_before = row["time"].replace(minute=0) - timedelta(hours=1)
    reading = table.filter((pl.col("origin") == row["origin"]) & (pl.col("time_hour") == hour_before))
    assert reading["temp"].to_list() == pytest.approx([row["temp"]])
    assert reading["pressure"].to_list() == pytest.approx([row["pressure"]])


def test_only_declared_features_are_in_the_data_and_all_of_them(pipeline: ModuleType, year: pl.DataFrame) -> None:
    project = load_project(EXAMPLE / "flyball.yaml")
    assert list(project.data.feature_names) == pipeline.FEATURES
    assert set(year.columns) == {"key", "time", "late", "known_at", *pipeline.FEATURES}


def test_the_policies_cannot_retrain_more_than_six_times_a_year() -> None:
    retraining = [policy for policy in load_project(EXAMPLE / "flyball.yaml").policies if policy.do.action == "retrain"]
    assert all(policy.budget.per == timedelta(days=365) for policy in retraining)
    assert sum(policy.budget.times for policy in retraining) == 6


def test_the_same_rows_give_the_same_model_and_unknown_airports_an_answer(pipeline: ModuleType, year: pl.DataFrame) -> None:
    parameters = load_project(EXAMPLE / "flyball.yaml").train.parameters
    numbers = [
        pl.col(name).cast(pl.Float32).fill_null(float("nan")) for name in pipeline.FEATURES if name not in pipeline.CATEGORIES
    ]
    rows = year.head(5_000)
    features = rows.select(*numbers, *pipeline.CATEGORIES)
    one, two = (pipeline.train(features, rows["late"], parameters, 7).predict_proba(features) for _ in range(2))
    assert np.array_equal(one, two)
    unknown = features.head(3).with_columns(dest=pl.lit("???"), temp=pl.lit(float("nan"), dtype=pl.Float32))
    assert np.isfinite(pipeline.train(features, rows["late"], parameters, 7).predict_proba(unknown)).all()

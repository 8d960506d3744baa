"""A served form answers like the trained model at the values by which it divides, and far from all that it saw."""

import importlib
from typing import Any

import numpy as np
import polars as pl
import pytest
from converted import converted, frame, labels, signature
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, PowerTransformer, RobustScaler, StandardScaler

from flyball.adapters.conversion import rows_to_compare
from flyball.adapters.conversion.choice import convert
from flyball.adapters.conversion.comparison import MOST_ROWS
from flyball.adapters.estimators import dump, score
from flyball.records.signature import Signature
from flyball.records.unit import Format

NAMES = ["a", "b", "count", "day"]
SCALERS = {
    "standard": StandardScaler(), "minmax": MinMaxScaler(), "robust": RobustScaler(), "maxabs": MaxAbsScaler(), "power": PowerTransformer(),
    "normalizer": Normalizer(), "pca": PCA(3, random_state=0),
}  # fmt: skip


def trees(name: str) -> Any:
    if name == "xgboost":
        return pytest.importorskip("xgboost").XGBClassifier(n_estimators=20, n_jobs=1, random_state=0)
    if name == "lightgbm":
        return importlib.import_module("lightgbm").LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1, random_state=0)
    return {
        "forest": RandomForestClassifier(10, random_state=0), "histogram": HistGradientBoostingClassifier(max_iter=20, random_state=0),
        "boosting": GradientBoostingClassifier(n_estimators=20, random_state=0),
    }[name]  # fmt: skip


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("booster", ["xgboost", "lightgbm", "forest", "histogram", "boosting"])
def test_trees_behind_a_scaler_answer_the_rows_they_were_trained_on(scaler: str, booster: str) -> None:
    rows = frame().select(NAMES)
    model = make_pipeline(SimpleImputer(), SCALERS[scaler], trees(booster)).fit(rows, labels(frame(), "binary"))
    served = converted(model, "binary", NAMES, tolerance=1e-4)
    wanted = model.predict_proba(rows)[:, 1:]
    np.testing.assert_allclose(served.run(rows), wanted, atol=1e-4)
    if scaler in ("standard", "minmax", "robust", "maxabs"):
        assert served.format is Format.ONNX, served.words


def test_neighbours_far_from_all_that_was_seen_are_those_of_the_trained_model() -> None:
    rows = frame().select("a", "count", "day")
    model = make_pipeline(SimpleImputer(), KNeighborsClassifier(7)).fit(rows, labels(frame(), "binary"))
    served = converted(model, "binary", ["a", "count", "day"])
    for value in (1e4, 1e6):
        far = frame(200, seed=5).select("a", "count", "day").with_columns(pl.lit(value, dtype=pl.Float32).alias("day"))
        np.testing.assert_allclose(served.run(far), model.predict_proba(far)[:, 1:], atol=1e-4)


def test_a_line_keeps_its_fast_form_though_its_values_far_out_have_no_more_digits() -> None:
    rows = frame().select("a", "day")
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(rows, labels(frame(), "regression"))
    served = converted(model, "regression", ["a", "day"])
    assert served.format is Format.ONNX
    assert "in double precision" not in served.compared_speeds


def test_rows_far_out_stay_within_what_requests_may_hold() -> None:
    rows = frame().select("day")
    model = LinearRegression().fit(rows, labels(frame(), "regression"))
    asked = signature("regression", ["day"])
    bounded = Signature(
        task="regression", columns=(type(asked.columns[0])(name="day", type=asked.columns[0].type, minimum=0, maximum=20_000),)
    )
    open_ended, within = (rows_to_compare(model, rows, rows.head(9), each) for each in (asked, bounded))
    assert open_ended.frame["day"].max() > 6e6
    assert 6e3 < within.frame["day"].max() <= 20_000
    assert within.far_rows == 3


def test_of_many_rows_every_value_that_repeats_is_compared_and_it_is_told_how_many() -> None:
    draw = np.random.default_rng(3)
    # five hundred prices of two rows each: an even sample of a third would pass most of them over
    price = np.where(np.arange(60_000) % 60 == 1, 1_000 + np.arange(60_000) // 120, draw.integers(0, 5, 60_000))
    rows = pl.DataFrame({"a": draw.normal(size=60_000), "day": price}, schema={"a": pl.Float32, "day": pl.Float32})
    model = LinearRegression().fit(rows, price)
    compared = rows_to_compare(model, rows, rows.tail(100), signature("regression", ["a", "day"]))
    near = compared.frame.head(compared.frame.height - compared.far_rows)
    assert set(rows["day"]) <= set(near["day"])
    assert MOST_ROWS < compared.frame.height < MOST_ROWS + 300
    assert any(f"of {rows.height:,} rows" in words for words in compared.refused)


def test_what_the_model_cannot_answer_of_its_own_rows_is_told_and_left_out() -> None:
    rows = frame(800).select("a")
    model = _RefusesLow().fit()
    holdout = rows.filter(pl.col("a") > 0)
    compared = rows_to_compare(model, rows, holdout, signature("regression", ["a"]))
    assert any(
        words.startswith("the trained model refuses rows that it was trained on: ValueError") for words in compared.refused
    )
    assert compared.scores.shape[0] == compared.frame.height


class _RefusesLow:
    def fit(self) -> "_RefusesLow":
        return self

    def predict(self, rows: pl.DataFrame) -> Any:
        if (rows["a"] < -1).any():
            raise ValueError("too low")
        return rows["a"].to_numpy()


class _Long:
    steps = ()

    def predict(self, rows: pl.DataFrame) -> Any:
        return rows["a"].to_numpy()


def test_of_a_long_reason_the_end_is_told_too() -> None:
    rows = frame(100).select("a")
    asked = signature("regression", ["a"])
    compared = rows_to_compare(_Long(), rows, rows, asked)
    told = convert(_Long(), dump(_Long(), ()), asked, compared, 1e-4, 1.0).words
    (words,) = [each for each in told if each.startswith("ONNX: ")]
    assert " … " in words
    assert len(words) < 300
    assert score(_Long(), rows, asked).shape == (100, 1)

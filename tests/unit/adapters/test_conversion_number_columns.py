"""Numbers that are categories, and missing ones that are filled in, convert as scikit-learn treats them."""

from typing import Any

import numpy as np
import pytest
from converted import converted, frame, labels
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from flyball.records.unit import Format

ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
ORDINAL = {"handle_unknown": "use_encoded_value", "unknown_value": -1}


def fitted(encoder: Any, model: Any) -> Any:
    prepare = ColumnTransformer([("counts", encoder, ["count", "day"]), ("rest", SimpleImputer(), ["a", "b"])])
    return Pipeline([("prepare", prepare), ("model", clone(model))]).fit(
        frame().select("a", "b", "count", "day"), labels(frame(), "binary")
    )


@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param(ONE_HOT, id="one-hot, missing is a category"),
        pytest.param(make_pipeline(SimpleImputer(strategy="most_frequent"), ONE_HOT), id="one-hot, missing filled in"),
        pytest.param(OrdinalEncoder(**ORDINAL, encoded_missing_value=-2), id="ordinal, missing has a place"),
        pytest.param(make_pipeline(SimpleImputer(strategy="median"), OrdinalEncoder(**ORDINAL)), id="ordinal, missing filled in"),
    ],
)
@pytest.mark.parametrize("model", [LogisticRegression(), HistGradientBoostingClassifier(max_iter=10)], ids=["linear", "trees"])
def test_the_encoded_numbers_are_served_as_onnx(encoder: Any, model: Any) -> None:
    served = converted(fitted(encoder, model), "binary", ["a", "b", "count", "day"])
    assert served.format is Format.ONNX, served.words


def test_a_missing_number_without_a_place_stays_missing_for_the_trees() -> None:
    model = fitted(OrdinalEncoder(**ORDINAL), HistGradientBoostingClassifier(max_iter=10))
    served = converted(model, "binary", ["a", "b", "count", "day"])
    assert served.format is Format.ONNX, served.words


def test_a_fraction_is_no_known_category_of_whole_numbers() -> None:
    model = fitted(ONE_HOT, LogisticRegression())
    served = converted(model, "binary", ["a", "b", "count", "day"])
    between = frame(20).select("a", "b", "count", "day")
    between = between.with_columns(between["count"].fill_nan(1.0) + np.float32(0.5))
    np.testing.assert_allclose(served.run(between)[:, 0], model.predict_proba(between)[:, 1], atol=1e-5)

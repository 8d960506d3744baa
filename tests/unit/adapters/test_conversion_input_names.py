"""Whatever a column is called: the model converts as it would with any other name, and its inputs are called as the columns are."""

from typing import Any

import numpy as np
import onnx
import pytest
from converted import converted, frame, labels, signature
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from flyball.adapters.conversion import Served
from flyball.adapters.conversion.input_names import plain, readable
from flyball.adapters.model_input import feeds_of
from flyball.gateway.runtimes.onnx import OnnxRuntime
from flyball.records.unit import Format

NUMBERS, ALL = ["a", "b", "count"], ["a", "b", "count", "kind"]

CALLED = {
    "odd": ["order date", "a.b", "n'q", "ki(n)d"],
    "the same once they are cleaned": ["a b", "a_b", "a.b", "a_b1"],
    "digits": ["1", "2", "01", "_1"],
    "not of ASCII": ["größe", "数", "☃", "☂"],
    "quotes and line ends": ['n"q', "x\ty", "l\nb", "{k}"],
    "what skl2onnx calls its own": ["label", "probabilities", "variable", "transformed_column"],
    "what Flyball calls its own": ["flyball/a", "flyball/flyball/a/double", "flyball_matrix", "flyball_column_61"],
    "what a scan's body calls its own": ["next_in", "next", "next_out", "scan_out"],
    "beside what stands for it in double precision": ["a", "a/double", "a b", "a b/double"],
}

ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
SCALED = make_pipeline(SimpleImputer(), StandardScaler())
LINEAR, HISTOGRAM = LogisticRegression(), HistGradientBoostingClassifier(max_iter=10, categorical_features=[0])


def pipeline(parts: list[Any], model: Any, remainder: Any = "drop") -> Any:
    return Pipeline([("prepare", ColumnTransformer(parts, remainder=remainder)), ("model", clone(model))])


def linear(called: list[str]) -> Any:
    return pipeline([("numbers", SCALED, called[:3]), ("texts", ONE_HOT, called[3:])], LINEAR)


def nested(called: list[str]) -> Any:
    inner = ColumnTransformer([("some", SCALED, called[1:3]), ("other", StandardScaler(), [called[0]])])
    return pipeline([("numbers", inner, called[:3]), ("texts", make_pipeline(ONE_HOT), [called[3]])], LINEAR)


def trees_behind_a_scaler(called: list[str]) -> Any:
    return pipeline([("texts", ORDINAL, [called[3]]), ("numbers", StandardScaler(), called[:3])], HISTOGRAM)


def neighbours(called: list[str]) -> Any:
    """Its graph has one within it."""
    return pipeline([("numbers", SCALED, called[:3])], KNeighborsClassifier(3))


def boosted(called: list[str]) -> Any:
    booster = LGBMClassifier(n_estimators=10, n_jobs=1, verbose=-1)
    return pipeline([("numbers", "passthrough", called[:3]), ("texts", ONE_HOT, [called[3]])], booster)


def fitted(model: Any, called: list[str]) -> Served:
    rows = frame().select(ALL).rename(dict(zip(ALL, called, strict=True)))
    return converted(model.fit(rows, labels(frame(), "binary")), "binary", ALL, called=called)


def inputs_of(served: Served) -> list[str]:
    return [each.name for each in onnx.load_model_from_string(served.content).graph.input]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        *((make, named) for make in (linear, trees_behind_a_scaler) for named in CALLED),
        *((make, named) for make in (nested, boosted) for named in ("odd", "the same once they are cleaned")),
        *((neighbours, named) for named in ("odd", "what a scan's body calls its own")),
    ],
)
def test_a_pipeline_is_proven_as_onnx_and_takes_the_columns_by_their_names(make: Any, named: str) -> None:
    called = CALLED[named]
    chosen = fitted(make(called), called)
    served = chosen.otherwise or chosen  # of neighbours the code may be the faster one
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-5
    assert inputs_of(served) == called


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([("numbers", SCALED, [0, 1, 2]), ("texts", ONE_HOT, [3])], id="positions"),
        pytest.param([("numbers", SCALED, slice(0, 3)), ("texts", ONE_HOT, slice(3, 4))], id="slices"),
        pytest.param([("numbers", SCALED, slice(None, -1)), ("texts", ONE_HOT, slice(3, None))], id="open slices"),
        pytest.param([("numbers", SCALED, slice("a b", "a.b")), ("texts", ONE_HOT, [-1])], id="slices of names, places from the end"),
        pytest.param([("numbers", SCALED, [True, True, True, False]), ("texts", ONE_HOT, np.arange(4) == 3)], id="masks"),
        pytest.param([("texts", ONE_HOT, lambda rows: rows.columns[3:]), ("numbers", SCALED, lambda _: slice(0, 3))], id="callables"),
    ],
)  # fmt: skip
def test_columns_may_be_chosen_otherwise_than_by_name(parts: list[Any]) -> None:
    called = CALLED["the same once they are cleaned"]
    served = fitted(pipeline(parts, LINEAR), called)
    assert served.format is Format.ONNX, served.words


def test_a_pipeline_that_was_fitted_on_columns_in_another_order_takes_them_by_name() -> None:
    called = CALLED["odd"]
    rows = frame().select(ALL).rename(dict(zip(ALL, called, strict=True)))
    other = rows.select(called[3], *called[:3]).with_columns(more=1.0)
    served = converted(linear(called).fit(other, labels(frame(), "binary")), "binary", ALL, called=called)
    assert served.format is Format.ONNX, served.words


def test_the_remaining_columns_may_be_those() -> None:
    served = fitted(pipeline([("texts", ONE_HOT, ["ki(n)d"])], LINEAR, remainder=SCALED), CALLED["odd"])
    assert served.format is Format.ONNX, served.words


def test_xgboost_behind_one_hot_columns_takes_them_too() -> None:
    xgboost = pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")
    called = CALLED["odd"]
    parts = [("numbers", "passthrough", called[:3]), ("texts", ONE_HOT, [called[3]])]
    served = fitted(pipeline(parts, xgboost.XGBClassifier(n_estimators=10, n_jobs=1)), called)
    assert served.format is Format.ONNX, served.words


@pytest.mark.parametrize("called", CALLED.values(), ids=CALLED)
def test_so_is_a_model_of_one_matrix(called: list[str]) -> None:
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    model.fit(frame().select(NUMBERS).to_numpy(), labels(frame(), "binary"))
    served = converted(model, "binary", NUMBERS, called=called[:3])
    assert served.format is Format.ONNX, served.words
    bare = LogisticRegression().fit(np.nan_to_num(frame().select("a", "day").to_numpy()), labels(frame(), "binary"))
    alone = converted(bare, "binary", ["a", "day"], called=called[1:3])
    assert "ONNX of one matrix" in alone.compared_speeds, alone.words
    assert inputs_of(alone) == called[1:3]


def test_a_gateway_feeds_it_by_those_names() -> None:
    called = CALLED["odd"]
    model = linear(called)
    served = fitted(model, called)
    rows = frame(30, seed=5).select(ALL).rename(dict(zip(ALL, called, strict=True)))
    scores = OnnxRuntime(served.content, signature("binary", ALL, called)).score(feeds_of(rows), 30)
    np.testing.assert_allclose(np.asarray(scores).ravel(), model.predict_proba(rows)[:, 1], atol=1e-5)


def test_why_a_model_does_not_convert_is_told_with_the_names_of_columns() -> None:
    said = f"no such input '{plain('order date')}', but {plain('数')}, and flyball_column_ is none"
    assert readable(said) == "no such input 'order date', but 数, and flyball_column_ is none"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_onnx_does_not_take_is_told(name: str) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        frame().select("a", "day").to_numpy(), labels(frame(), "binary")
    )
    served = converted(model, "binary", ["a", "day"], called=["day", name])
    assert served.format is Format.CODE
    assert any(f"rename the column {name!r}: ONNX cannot be made with that name" in words for words in served.words)

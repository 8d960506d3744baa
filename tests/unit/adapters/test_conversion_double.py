"""In double precision every kind of model behind the usual preparation loads, and answers like the trained one where single precision has no digits left."""

import warnings
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from flyball.adapters.conversion import convert, onnx_graph, rows_to_compare
from flyball.adapters.estimators import dump
from flyball.adapters.runtimes import model_of, open_model
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format

N = 300
DRAW = np.random.default_rng(0)
ROWS = pl.DataFrame(
    {
        # An account, or seconds since 1970: a scaler in single precision takes a mean off that it cannot write.
        "far": pl.Series(1.7e9 + 1e3 * DRAW.normal(size=N), dtype=pl.Float32),
        "near": pl.Series(DRAW.normal(size=N), dtype=pl.Float32),
        "kind": DRAW.choice(["x", "y"], N),
    }
)
VALUE = ROWS["near"].to_numpy() + (ROWS["far"].to_numpy() > 1.7e9) + DRAW.normal(size=N) / 3
COLUMNS = (
    Column(name="far", type=ColumnType.NUMBER, missing=True),
    Column(name="near", type=ColumnType.NUMBER, missing=True),
    Column(name="kind", type=ColumnType.CATEGORY, categories=("x", "y")),
)
SIGNATURES = {
    "binary": Signature(task="binary", columns=COLUMNS, classes=("0", "1")),
    "multiclass": Signature(task="multiclass", columns=COLUMNS, classes=("0", "1", "2")),
    "regression": Signature(task="regression", columns=COLUMNS),
}


def label(task: str) -> Any:
    return VALUE if task == "regression" else np.digitize(VALUE, [0.5] if task == "binary" else [0.0, 1.0])


def fitted(model: Any, task: str) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    prepare = ColumnTransformer(
        [("texts", OneHotEncoder(handle_unknown="ignore"), ["kind"]), ("numbers", numbers, ["far", "near"])],
        sparse_threshold=0.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # networks that are not done in so few rounds, and libraries that will change
        return make_pipeline(prepare, model).fit(ROWS, label(task))


def stacked(kind: type, forest: Any, line: Any) -> Any:
    return kind([("forest", forest), ("line", line)], cv=3)


@pytest.mark.filterwarnings("ignore:Attribute `prob:FutureWarning")
@pytest.mark.parametrize(
    ("task", "model"),
    [
        pytest.param("binary", LogisticRegression(), id="logistic"),
        pytest.param("multiclass", LogisticRegression(), id="logistic of three"),
        pytest.param("binary", SGDClassifier(loss="log_loss", random_state=0), id="descent"),
        pytest.param("binary", MLPClassifier((8,), max_iter=30, random_state=0), id="network"),
        pytest.param("multiclass", MLPClassifier((8,), max_iter=30, random_state=0), id="network of three"),
        pytest.param("binary", KNeighborsClassifier(), id="neighbours"),
        pytest.param("binary", SVC(probability=True, random_state=0), id="support vectors"),
        pytest.param("binary", GaussianNB(), id="naive Bayes"),
        pytest.param("binary", CalibratedClassifierCV(LogisticRegression(), cv=3), id="calibrated"),
        pytest.param(
            "binary", stacked(StackingClassifier, RandomForestClassifier(5, random_state=0), LogisticRegression()), id="stacked"
        ),
        pytest.param("binary", RandomForestClassifier(5, random_state=0), id="forest"),
        pytest.param("regression", Ridge(), id="line"),
        pytest.param("regression", MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0), id="network of values"),
        pytest.param("regression", KNeighborsRegressor(), id="neighbours' values"),
        pytest.param(
            "regression", stacked(StackingRegressor, RandomForestRegressor(5, random_state=0), Ridge()), id="stacked values"
        ),
        pytest.param("binary", GradientBoostingClassifier(n_estimators=5, random_state=0), id="boosting"),
        pytest.param("regression", GradientBoostingRegressor(n_estimators=5, random_state=0), id="boosting of values"),
    ],
)
def test_a_model_beside_an_encoder_answers_in_double_precision_as_it_was_trained(task: str, model: Any) -> None:
    signature = SIGNATURES[task]
    estimator = fitted(model, task)
    wanted = model_of(estimator, signature)(ROWS)
    served = open_model(Format.ONNX, onnx_graph.of_columns(estimator, signature, double=True), signature)
    # Trees and support vectors add up in single precision whatever they are given.
    np.testing.assert_allclose(served(ROWS), wanted, atol=5e-6)


TREES = {
    "binary": (
        RandomForestClassifier(5, random_state=0),
        ExtraTreesClassifier(5, random_state=0),
        DecisionTreeClassifier(random_state=0),
        ExtraTreeClassifier(random_state=0),
        GradientBoostingClassifier(n_estimators=5, random_state=0),
    ),
    "multiclass": (
        RandomForestClassifier(5, random_state=0),
        GradientBoostingClassifier(n_estimators=5, random_state=0),
    ),
    "regression": (
        RandomForestRegressor(5, random_state=0),
        ExtraTreesRegressor(5, random_state=0),
        DecisionTreeRegressor(random_state=0),
        ExtraTreeRegressor(random_state=0),
        GradientBoostingRegressor(n_estimators=5, random_state=0),
    ),
}


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()], ids=["standard", "range"])
@pytest.mark.parametrize(
    ("task", "trees"),
    [pytest.param(task, trees, id=f"{type(trees).__name__} {task}") for task, several in TREES.items() for trees in several],
)
def test_trees_behind_a_scaler_of_numbers_alone_answer_in_double_precision_as_they_were_trained(
    task: str, trees: Any, scaler: Any
) -> None:
    signature = msgspec.structs.replace(SIGNATURES[task], columns=COLUMNS[:2])
    numbers = ROWS.select("far", "near")
    estimator = make_pipeline(scaler, trees).fit(numbers, label(task))
    wanted = model_of(estimator, signature)(numbers)
    served = open_model(Format.ONNX, onnx_graph.of_columns(estimator, signature, double=True), signature)
    np.testing.assert_allclose(served(numbers), wanted, atol=5e-6)


def test_a_line_beside_a_far_column_is_served_as_onnx() -> None:
    signature = SIGNATURES["binary"]
    estimator = fitted(LogisticRegression(), "binary")
    compared = rows_to_compare(estimator, ROWS.head(200), ROWS.tail(100), signature)
    served = convert(estimator, dump(estimator, ()), signature, compared, 1e-4, 1.0)
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-9
    assert any(words.startswith("ONNX: differs by") for words in served.words)
    assert any("take ONNX in double precision" in words for words in served.words)

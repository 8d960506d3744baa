"""scikit-learn's histogram trees become ONNX that goes the same way at every split."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from converted import converted, frame, labels
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from flyball.records.unit import Format

TASKS = ("binary", "multiclass", "regression")
ALL = ["a", "kind", "b", "count"]


def trees(task: str, **parameters: Any) -> Any:
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return kind(**{"max_iter": 30, "random_state": 0, **parameters})


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("names", "categorical"),
    [
        pytest.param(["a", "b"], None, id="numbers"),
        pytest.param(ALL, ["kind", "count"], id="texts and whole numbers as categories"),
        pytest.param(["b", "count"], ["count"], id="numbers as categories in one matrix"),
        pytest.param(["kind"], ["kind"], id="nothing but a category"),
    ],
)
def test_the_trees_alone_are_served_as_onnx(task: str, names: list[str], categorical: list[str] | None) -> None:
    rows = frame()
    model = trees(task, **({} if categorical is None else {"categorical_features": categorical}))
    served = converted(model.fit(rows.select(names), labels(rows, task)), task, names)
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-5


@pytest.mark.parametrize("task", TASKS)
def test_behind_a_scaler_and_one_hot_columns_they_are_served_as_onnx(task: str) -> None:
    rows = frame().with_columns(pl.col("count").fill_nan(4.0))
    prepare = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["a", "b"]),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]),
            ("counts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["count"]),
        ]
    )
    fitted = Pipeline([("prepare", prepare), ("trees", trees(task))]).fit(rows.select(ALL), labels(rows, task))
    served = converted(fitted, task, ALL, rows=rows)
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-5


@pytest.mark.parametrize("scaled", [False, True])
def test_a_value_at_a_split_or_beside_it_goes_the_same_way(scaled: bool) -> None:
    rows = frame().select("a", "b")
    steps = [("scale", StandardScaler())] if scaled else []
    model = Pipeline([*steps, ("trees", trees("regression", max_iter=20))]).fit(rows, labels(frame(), "regression"))
    served = converted(model, "regression", ["a", "b"])
    nodes = [tree.nodes for (tree,) in model[-1]._predictors]
    inner = np.concatenate([each[each["is_leaf"] == 0] for each in nodes])
    split = inner["num_threshold"][inner["feature_idx"] == 0].astype(np.float64)
    if scaled:  # back to where the scaler takes them from, as near as float32 comes
        split = split * model[0].scale_[0] + model[0].mean_[0]
    exact = split.astype(np.float32)
    beside = [exact]
    for direction in (-np.inf, np.inf):
        step = exact
        for _ in range(3):
            step = np.nextafter(step, np.float32(direction))
            beside.append(step)
    values = np.concatenate(beside)
    asked = pl.DataFrame({"a": values, "b": np.full(len(values), np.nan, dtype=np.float32)})
    assert len(np.unique(model.predict(asked))) > 10
    np.testing.assert_allclose(served.run(asked)[:, 0], model.predict(asked), atol=1e-5)


def test_a_split_that_only_missing_values_take_is_kept() -> None:
    rows = frame()
    label = labels(rows, "regression") + 5.0 * np.isnan(rows["count"].to_numpy())
    model = trees("regression", categorical_features=["count"]).fit(rows.select("a", "count"), label)
    served = converted(model, "regression", ["a", "count"])
    alone = [tree for (tree,) in model._predictors if not all(row.any() for row in tree.raw_left_cat_bitsets)]
    assert alone, "no such split was learnt: the test shows nothing"
    assert served.format is Format.ONNX, served.words


@pytest.mark.parametrize("loss", ["poisson", "gamma", "absolute_error", "quantile"])
def test_every_loss_of_the_regressor_is_known(loss: str) -> None:
    rows = frame()
    more = {"quantile": 0.3} if loss == "quantile" else {}
    model = trees("regression", loss=loss, **more).fit(rows.select("a", "b"), np.exp(labels(rows, "regression") / 3))
    served = converted(model, "regression", ["a", "b"])
    assert served.format is Format.ONNX, served.words


def test_trees_of_one_leaf_give_the_baseline() -> None:
    rows = frame()
    label = labels(rows, "regression")
    model = trees("regression", max_iter=2, min_samples_leaf=5000).fit(rows.select("a", "b"), label)
    served = converted(model, "regression", ["a", "b"])
    assert served.format is Format.ONNX, served.words
    assert served.run(rows.select("a", "b")) == pytest.approx(label.mean(), abs=1e-5)


def test_values_that_float32_cannot_tell_apart_are_served_in_double_precision() -> None:
    rows = frame()
    model = trees("regression").fit(rows.select("a", "b"), labels(rows, "regression") + 1e6)
    served = converted(model, "regression", ["a", "b"])
    assert served.format is Format.ONNX, served.words
    assert served.parity < 1e-5
    assert any("one matrix: differs by" in words for words in served.words)
    assert any("take ONNX in double precision" in words for words in served.words)

"""Which proven form is served, and what is said of the others."""

import numpy as np
import polars as pl
import pytest
from converted import converted, frame, labels
from lightgbm import LGBMRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer

from flyball.adapters.conversion.timing import Timing, faster_as_trained, fastest
from flyball.records.unit import Format


def test_one_row_decides() -> None:
    assert fastest([Timing(30.0, 500.0), Timing(10.0, 900.0)]) == 1


def test_a_form_that_is_far_behind_at_many_rows_is_out() -> None:
    assert fastest([Timing(30.0, 400.0), Timing(10.0, 900.0)]) == 0


def test_a_hair_does_not_displace_the_form_before_it() -> None:
    assert fastest([Timing(10.0, 500.0), Timing(9.0, 500.0)]) == 0
    assert fastest([Timing(10.0, 500.0), Timing(7.9, 500.0)]) == 1


@pytest.mark.parametrize(
    ("form", "trained", "wins"),
    [
        pytest.param(Timing(5_000.0, 50_000.0), Timing(1_000.0, 5_000.0), True, id="slower at both"),
        pytest.param(Timing(200.0, 50_000.0), Timing(1_000.0, 5_000.0), False, id="quicker at one row"),
        pytest.param(Timing(5_000.0, 4_000.0), Timing(1_000.0, 5_000.0), False, id="quicker at many"),
        pytest.param(Timing(900.0, 5_000.0), Timing(400.0, 1_000.0), False, id="not by more than a process of its own costs"),
    ],
)
def test_code_is_served_only_where_it_is_clearly_faster_at_both(form: Timing, trained: Timing, wins: bool) -> None:
    assert faster_as_trained(form, trained) is wins


def test_nearest_neighbours_whose_onnx_computes_every_distance_are_served_as_code() -> None:
    rows = frame(4000).select("a")
    model = KNeighborsRegressor(15, algorithm="kd_tree").fit(rows.to_numpy(), labels(frame(4000), "regression"))
    served = converted(model, "regression", ["a"])
    assert served.format is Format.CODE, served.words
    assert served.parity == 0.0
    assert any(words.endswith("served as code, which is faster at both") for words in served.words)
    assert served.otherwise is not None
    assert served.otherwise.format is Format.ONNX
    assert served.otherwise.parity <= 1e-5


def test_the_figures_of_all_forms_are_told() -> None:
    rows = frame().select("a", "b")
    served = converted(
        LGBMRegressor(n_estimators=20, n_jobs=1, verbose=-1).fit(rows.to_numpy(), labels(frame(), "regression")),
        "regression",
        ["a", "b"],
    )
    assert served.format in (Format.ONNX, Format.LIGHTGBM)
    assert served.compared_speeds in served.words
    for told in ("one row and 256 take", "ONNX of one matrix", "LightGBM's own text", "the trained model"):
        assert told in served.compared_speeds
    assert served.timing is not None
    assert served.trained is not None
    assert 0.0 < served.timing.one_row_us < served.trained.one_row_us


def test_where_onnx_differs_too_much_the_next_form_is_served() -> None:
    rows = frame().select("a", "b")
    model = LGBMRegressor(n_estimators=20, n_jobs=1, verbose=-1).fit(rows.to_numpy(), labels(frame(), "regression") * 1e4)
    served = converted(model, "regression", ["a", "b"], tolerance=1e-9)
    assert served.format is Format.LIGHTGBM
    assert served.parity <= 1e-9
    assert any(words.startswith("ONNX of one matrix: differs by") and "more than 1e-09" in words for words in served.words)


def test_what_does_not_convert_is_served_as_code_and_why_is_told() -> None:
    rows = frame().select("a", "b")
    trees = HistGradientBoostingClassifier(max_iter=5)
    model = make_pipeline(FunctionTransformer(_doubled), trees).fit(rows, labels(frame(), "binary"))
    served = converted(model, "binary", ["a", "b"])
    assert served.format is Format.CODE
    assert served.parity == 0.0
    assert served.timing is None
    assert any(words.startswith("ONNX: ") and "FunctionTransformer" in words for words in served.words)


def test_what_no_form_can_answer_exactly_is_served_as_code() -> None:
    rows = frame().select("a", "b")
    model = RandomForestRegressor(10, random_state=0).fit(rows, labels(frame(), "regression") * 1e4)
    served = converted(model, "regression", ["a", "b"], tolerance=1e-12)
    assert served.format is Format.CODE
    assert sum("differs by" in words for words in served.words) >= 1


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_forest_sends_missing_values_where_it_learnt_to(task: str) -> None:
    rows = frame().select("a", "b", "count")
    forest = RandomForestRegressor if task == "regression" else RandomForestClassifier
    model = forest(20, min_samples_leaf=3, random_state=0, n_jobs=1).fit(rows, labels(frame(), task))
    served = converted(model, task, ["a", "b", "count"])
    assert served.format is Format.ONNX, served.words
    gone = pl.DataFrame({name: np.full(1, np.nan, dtype=np.float32) for name in rows.columns})
    wanted = model.predict(gone) if task == "regression" else model.predict_proba(gone)
    np.testing.assert_allclose(served.run(gone), wanted[:, 1:] if task == "binary" else wanted.reshape(1, -1), atol=1e-5)


def test_so_many_quantiles_that_they_would_convert_for_an_hour_are_served_as_code() -> None:
    rows = frame().select("a", "day")
    model = make_pipeline(QuantileTransformer(random_state=0), LogisticRegression()).fit(rows, labels(frame(), "binary"))
    served = converted(model, "binary", ["a", "day"])
    assert served.format is Format.CODE
    assert any("1,000 quantiles takes too long to convert" in words and "n_quantiles=127" in words for words in served.words)


def _doubled(values: pl.DataFrame) -> pl.DataFrame:
    return values * 2

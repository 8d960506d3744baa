"""A class of which there is no row to fit on: a rare one, whose only rows are the newest."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from projects import LIGHTGBM, LOGISTIC, Told, package_in, project, request, rows, served, spec

from flyball.adapters.model_input import feeds_of, frame_of
from flyball.adapters.packages import LocalPackages
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.adapters.steps import run_steps
from flyball.errors import TrainingError
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.units import load
from flyball.records.unit import Format

XGBOOST = """
from xgboost import XGBClassifier

def train(features, label, parameters, seed):
    numbers = features.select("hour", "wind").to_numpy()
    return XGBClassifier(n_estimators=3, n_jobs=1).fit(numbers, label.to_numpy())
"""


def with_a_new_class(begin: int) -> pl.DataFrame:
    """`fast`, the first of three classes, from the row `begin` on."""
    early = pl.int_range(pl.len()) < begin
    speed = pl.when(early & (pl.col("speed") == "fast")).then(pl.lit("usual")).otherwise(pl.col("speed"))
    return rows().with_columns(speed.alias("speed"))


def of_speed(**changes: Any) -> Any:
    return spec(task="multiclass", data={"label": "speed"}, **changes)


@pytest.mark.parametrize("code", [LOGISTIC, LIGHTGBM.format(kind="Classifier")])
def test_a_class_that_only_the_holdout_has_is_given_no_chance_and_the_model_is_served(tmp_path: Path, code: str) -> None:
    told, directory = Told(), project(tmp_path / "p", code, with_a_new_class(500))
    package = package_in(directory, run_steps(request(directory, of_speed()), told))
    assert "no row to fit on has the class fast: the model gives it a probability of 0" in [each.words for each in told]
    unit = served(package)
    assert (unit.format, unit.signature.classes) == (Format.CODE, ("fast", "slow", "usual"))
    asked = frame_of(rows(), unit.signature.columns).head(5)
    expected = PackageScorer(in_child=True).score_frame(package, asked)
    assert expected.shape == (5, 3)
    assert expected[:, 0].tolist() == [0.0] * 5
    model = load(unit, CodeLimits(environment=tuple(os.environ.items())))
    np.testing.assert_allclose(model.score(feeds_of(asked), 5), expected, atol=1e-6)
    model.close()
    evidence = {item.name: item for item in LocalPackages().evaluation(package)}
    assert evidence["parity_max_difference"].value == pytest.approx(0.0, abs=1e-6)


def test_parameters_are_tuned_where_only_the_newest_rows_to_train_on_have_a_class(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", LOGISTIC, with_a_new_class(400))
    tuned = {"entrypoint": "pipeline:train", "seed": 1, "tuning": {"trials": 2, "space": {"C": [0.1, 10.0]}}}
    results = run_steps(request(directory, of_speed(train=tuned)), Told())
    assert served(package_in(directory, results)).format is Format.ONNX, "fitted on all of them it knows all classes"


def test_a_function_that_cannot_do_without_a_class_is_told_which(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", XGBOOST, with_a_new_class(500))
    with pytest.raises(TrainingError, match="pipeline:train, without a row of the class fast to fit on, failed: ValueError"):
        run_steps(request(directory, of_speed()), Told())


ENCODED = (
    LOGISTIC
    + """
well = train

def train(features, label, parameters, seed):
    import polars as pl
    from sklearn.preprocessing import LabelEncoder

    return well(features, pl.Series(LabelEncoder().fit_transform(label.to_numpy())), parameters, seed)
"""
)


def test_of_a_function_that_numbers_the_classes_anew_no_column_is_guessed(tmp_path: Path) -> None:
    """`slow` and `usual`, 1 and 2, are 0 and 1 to its model: its column 0 is not that of `fast`."""
    directory = project(tmp_path / "p", ENCODED, with_a_new_class(500))
    with pytest.raises(TrainingError, match=r"the estimator knows the classes \[.*0.*1.*\]\. Expected: the indices 0 to 2"):
        run_steps(request(directory, of_speed()), Told())


SECRETIVE = (
    LOGISTIC
    + """
class Secretive:
    def predict(self, frame):
        return frame

    predict_proba = predict

    @property
    def classes_(self):
        raise RuntimeError("hunter2")

def train(features, label, parameters, seed):
    return Secretive()
"""
)


def test_a_model_that_fails_when_it_is_asked_for_its_classes_is_told_as_such(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", SECRETIVE, with_a_new_class(500))
    with pytest.raises(TrainingError, match=r"pipeline:train, .* failed: RuntimeError at pipeline\.py:"):
        run_steps(request(directory, of_speed()), Told())

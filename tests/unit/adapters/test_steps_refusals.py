"""A model that refuses values which its holdout does not have is made all the same, and what it refuses is told."""

import os
from pathlib import Path

import numpy as np
import pytest
from projects import Told, package_in, project, request, rows, served, spec

from flyball.adapters.model_input import feeds_of, frame_of
from flyball.adapters.packages import checked_bytes
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.adapters.steps import run_steps
from flyball.errors import ModelFailed
from flyball.gateway.runtimes.contract import CodeLimits
from flyball.gateway.units import load
from flyball.monitoring import harm
from flyball.records import codec

REFUSING = """
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

def logged(frame):
    numbers = frame.to_numpy()
    if numbers.min() < 0:
        raise ValueError("hunter2")
    return np.log1p(numbers)

def train(features, label, parameters, seed):
    prepare = ColumnTransformer([
        ("numbers", FunctionTransformer(logged), ["hour"]),
        ("texts", OneHotEncoder(), ["carrier"]),
    ])
    return make_pipeline(prepare, LogisticRegression()).fit(features, label)
"""


def test_a_model_that_refuses_unseen_categories_and_numbers_out_of_range_is_packaged(tmp_path: Path) -> None:
    told = Told()
    directory = project(tmp_path / "p", REFUSING)
    package = package_in(directory, run_steps(request(directory, spec(data={"features": ["hour", "carrier"]})), told))
    table = codec.decode(checked_bytes(package, harm.FILE), harm.HarmTable)
    hour, carrier = (table.streams[name].sensitivity for name in ("hour", "carrier"))
    assert hour is not None
    assert carrier is not None
    assert (hour.refused, set(hour.probes)) == (("below",), {"above"})
    assert (carrier.refused, carrier.probes) == (("unseen",), {})
    assert carrier.used
    (words,) = [progress.words for progress in told if "the served model refuses" in progress.words]
    assert "values below the range of hour, unseen categories of carrier" in words
    assert "(ValueError" in words
    assert "hunter2" not in words


WEEKDAYS = """
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def train(features, label, parameters, seed):
    prepare = ColumnTransformer([("known", OneHotEncoder(), ["hour"])])
    return make_pipeline(prepare, LogisticRegression()).fit(features, label)
"""


@pytest.mark.parametrize(("code", "features"), [(REFUSING, ["hour", "carrier"]), (WEEKDAYS, ["hour"])])
def test_a_gateway_loads_a_model_that_takes_ordinary_rows_alone(tmp_path: Path, code: str, features: list[str]) -> None:
    """It is warmed up on rows of its package: of invented ones (-1 o'clock) it need not know anything."""
    directory = project(tmp_path / "p", code)
    package = package_in(directory, run_steps(request(directory, spec(data={"features": features})), Told()))
    unit, limits = served(package), CodeLimits(environment=tuple(os.environ.items()))
    model = load(unit, limits)
    asked = frame_of(rows(), unit.signature.columns).tail(3)
    np.testing.assert_allclose(
        model.score(feeds_of(asked), 3), PackageScorer(in_child=True).score_frame(package, asked), atol=1e-6
    )
    strange = feeds_of(asked.with_columns(hour=-1.0).cast(asked.schema))
    with pytest.raises(ModelFailed):
        model.score(strange, 3)
    model.close()

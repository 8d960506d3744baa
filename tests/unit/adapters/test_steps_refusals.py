"""A model that refuses values which its holdout does not have is made all the same, and what it refuses is told."""

from pathlib import Path

from projects import Told, package_in, project, request, spec

from flyball.adapters.packages import checked_bytes
from flyball.adapters.steps import run_steps
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

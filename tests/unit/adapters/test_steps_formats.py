"""Each kind of estimator goes through all steps, and what is served answers like it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from projects import HISTOGRAM, LIGHTGBM, LOGISTIC, NATIVE, Told, package_in, project, request, rows, spec

from flyball.adapters.packages import LocalPackages, verify_package
from flyball.adapters.scorer_onnx import PackageScorer
from flyball.adapters.steps import run_steps
from flyball.errors import Conflict
from flyball.records.unit import Format

CLASSIFIER, REGRESSOR = LIGHTGBM.format(kind="Classifier"), LIGHTGBM.format(kind="Regressor")

BARE = """
from lightgbm import LGBMClassifier, Dataset, train as boost
import numpy as np

def bare(features, label, parameters, seed):
    return LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1).fit(features.to_numpy(), label.to_numpy())

def booster(features, label, parameters, seed):
    data = Dataset(features.to_numpy(), label.to_numpy())
    return boost({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 10)
"""


@pytest.mark.parametrize(
    ("code", "changes", "form"),
    [
        pytest.param(LOGISTIC, {}, Format.ONNX, id="logistic"),
        pytest.param(CLASSIFIER, {}, Format.ONNX, id="lightgbm"),
        pytest.param(HISTOGRAM, {}, Format.CODE, id="a function of the user's"),
        pytest.param(NATIVE.format(kind="Classifier"), {}, Format.ONNX, id="histogram trees with a category"),
        pytest.param(REGRESSOR, {"task": "regression", "data": {"label": "minutes"}}, Format.ONNX, id="regression"),
        pytest.param(CLASSIFIER, {"task": "multiclass", "data": {"label": "speed"}}, Format.ONNX, id="multiclass"),
        pytest.param(LOGISTIC, {"task": "multiclass", "data": {"label": "speed"}}, Format.ONNX, id="logistic of three"),
    ],
)
def test_a_run_ends_in_a_package_whose_served_form_answers_like_the_trained_model(
    tmp_path: Path, code: str, changes: dict, form: Format
) -> None:
    told = Told()
    results = run_steps(request(project(tmp_path / "p", code), spec(**changes)), told)
    package = package_in(tmp_path / "p", results)
    assert told.statuses("done") == ["snapshot", "validate", "train", "evaluate", "package"]
    assert verify_package(package, results[-1].values["manifest_digest"]).format == form
    evidence = {item.name: item for item in LocalPackages().evaluation(package)}
    assert evidence["parity_max_difference"].value < 1e-5
    assert 0 < evidence["latency_p99_ms"].value < 1000
    assert ("speedup_one_row" in evidence) == (form is not Format.CODE)
    primary = evidence[spec(**changes).primary_metric]
    assert primary.lower < primary.value < primary.upper
    assert set(LocalPackages().metrics(package)) == set(spec(**changes).metrics)


@pytest.mark.parametrize(("function", "forms"), [("bare", {Format.ONNX, Format.LIGHTGBM}), ("booster", {Format.LIGHTGBM})])
def test_lightgbm_without_a_pipeline_is_served_as_data(tmp_path: Path, function: str, forms: set[Format]) -> None:
    declared = spec(data={"features": {"hour": None, "wind": {"missing": True}}}, train={"entrypoint": f"pipeline:{function}"})
    results = run_steps(request(project(tmp_path / "p", BARE), declared), Told())
    package = package_in(tmp_path / "p", results)
    assert LocalPackages().manifest(package).format in forms
    scores = PackageScorer().score(package, [{"hour": 20, "wind": 30.0}, {"hour": 5, "wind": None}])
    assert scores.shape == (2, 1)
    assert scores[0, 0] > 0.5 > scores[1, 0]


def test_no_server_process_runs_a_code_format(tmp_path: Path) -> None:
    package = package_in(tmp_path / "p", run_steps(request(project(tmp_path / "p", HISTOGRAM)), Told()))
    with pytest.raises(Conflict, match="worker process"):
        PackageScorer().score(package, [{}])
    scores = PackageScorer(in_child=True).score(package, [{"hour": 20, "wind": 30.0, "carrier": "B6"}])
    assert scores[0, 0] > 0.5


def test_unseen_categories_and_missing_values_are_part_of_the_proof(tmp_path: Path) -> None:
    results = run_steps(request(project(tmp_path / "p", CLASSIFIER)), Told())
    package = package_in(tmp_path / "p", results)
    compared = next(item for item in LocalPackages().evaluation(package) if item.name == "parity_max_difference")
    assert compared.n > results[3].values["rows"]
    signature = LocalPackages().signature(package)
    assert [(column.name, column.missing) for column in signature.columns] == [
        ("hour", False),
        ("wind", True),
        ("carrier", False),
    ]
    assert signature.classes == ("0", "1")


def test_twenty_thousand_continuous_rows_are_served_as_they_were_learnt(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    frame = rows(20_000, days=60).with_columns(
        pl.Series(f"x{i}", draw.normal(size=20_000)) for i in range(4)
    )  # fmt: skip
    declared = spec(
        data={"features": ["hour", "wind", "carrier", "x0", "x1", "x2", "x3"]}, train={"entrypoint": "pipeline:train"}
    )
    results = run_steps(request(project(tmp_path / "p", CLASSIFIER, frame), declared), Told())
    assert results[-1].values["format"] == "onnx", results[-1].values["words"]
    assert results[-1].values["parity"] < 1e-5

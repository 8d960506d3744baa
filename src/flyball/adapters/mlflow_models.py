"""Models in MLflow's directory format, so that `mlflow.*` and its UI load what is served."""

import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flyball.adapters.estimators import read
from flyball.adapters.quiet_mlflow import quiet
from flyball.records.unit import Format


def save_model(directory: Path, kind: Format, content: bytes, project_dir: Path, code: Sequence[Path]) -> None:
    """Make `directory`. `code`: the project's files, relative to it; they go into `code/` with a code format only.

    The requirements are named: without them MLflow loads the model to find out, which takes seconds.
    """
    with quiet():
        if kind is Format.ONNX:
            _save_onnx(directory, content)
        elif kind is Format.LIGHTGBM:
            _save_lightgbm(directory, content)
        else:
            _save_code(directory, content)
    if kind is Format.CODE:
        for relative in code:
            target = directory / "code" / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project_dir / relative, target)


def _save_onnx(directory: Path, content: bytes) -> None:
    import mlflow.onnx
    import onnx

    model = onnx.load_model_from_string(content)
    mlflow.onnx.save_model(model, str(directory), pip_requirements=_pinned("onnx", "onnxruntime", "numpy"), save_as_external_data=False,
                           onnx_execution_providers=["CPUExecutionProvider"])  # fmt: skip
    # MLflow writes what it parsed; what was proven equal is these bytes.
    (directory / "model.onnx").write_bytes(content)


def _save_lightgbm(directory: Path, content: bytes) -> None:
    import lightgbm
    import mlflow.lightgbm

    booster = lightgbm.Booster(model_str=content.decode())
    mlflow.lightgbm.save_model(booster, str(directory), pip_requirements=_pinned("lightgbm", "numpy"))
    (directory / "model.lgb").write_bytes(content)


def _save_code(directory: Path, content: bytes) -> None:
    import mlflow.sklearn

    estimator: Any = read(content)
    mlflow.sklearn.save_model(
        estimator, str(directory), serialization_format="cloudpickle",
        pip_requirements=_pinned("scikit-learn", "cloudpickle", "polars", "numpy", "lightgbm", "xgboost", "xgboost-cpu", "catboost", "torch"),
    )  # fmt: skip
    # Functions of the project are pickled by value in these bytes; MLflow's own pickle would name modules that nobody else has.
    (directory / "model.pkl").write_bytes(content)


def _pinned(*names: str) -> list[str]:
    """Of those that are installed."""
    found = []
    for name in names:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return found

"""What this process's environment says to it, and what of that its children see."""

import os

from flyball.adapters.quiet_mlflow import ENVIRONMENT as QUIET_MLFLOW
from flyball.errors import DataError


def quiet_libraries() -> None:
    """Before MLflow or onnxruntime is imported anywhere: no telemetry, no chatter."""
    for name, value in QUIET_MLFLOW.items():
        os.environ.setdefault(name, value)


def secret_of(name: str) -> str:
    """The value of an environment variable that flyball.yaml names. Raises DataError."""
    value = os.environ.get(name)
    if not value:
        raise DataError(f"the environment variable {name} is not set", next_step=f"set {name} where flyball is started")
    return value


PLAIN = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "OMP_WAIT_POLICY",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "ORT_DISABLE_TELEMETRY",
    "MLFLOW_DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
)
"""What the code of a metric, or of a model that is asked, needs of the environment: no URL of a database, no token."""


def plain_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PLAIN if name in os.environ}

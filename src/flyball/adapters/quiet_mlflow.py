"""MLflow without its chatter: what it says to a terminal is for people who call it themselves."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, which MLflow, the conversion and the scorers import: it tells its maker of every session
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    # Threads of OpenMP (LightGBM, scikit-learn) spin while they wait. Beside a gateway on the same two cores that made a training of
    # 0.7 s on one thread take 34 s on two, and 1.1 s on two that sleep.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Must be in the environment before these libraries are imported: wiring sets it at process start, and children inherit it."""


@contextmanager
def quiet() -> Iterator[None]:
    """Within: MLflow and alembic log errors only, and their warnings are kept from the terminal."""
    loggers = [
        logging.getLogger(name) for name in ("mlflow", "mlflow.sklearn", "mlflow.onnx", "mlflow.store.db.utils", "alembic")
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

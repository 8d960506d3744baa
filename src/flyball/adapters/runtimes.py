"""The served forms of a model, run on frames: the same three that a gateway runs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from flyball.adapters import estimators
from flyball.adapters.estimators import Scores
from flyball.adapters.model_input import feeds_of
from flyball.records.signature import Signature
from flyball.records.unit import Format

Run = Callable[[pl.DataFrame], Scores]
"""Frame of Float32 and String columns in signature order → (n_rows, n_scores)."""

MODEL_FILES = {Format.ONNX: "model.onnx", Format.LIGHTGBM: "model.lgb", Format.CODE: "model.pkl"}
"""Below `model/` of a package, as MLflow's flavours name them."""


def open_model(kind: Format, content: bytes, signature: Signature) -> Run:
    """The model that `content` holds. CODE unpickles: only for a child process, and only what this project trained."""
    if kind is Format.ONNX:
        return _onnx(content, signature)
    if kind is Format.LIGHTGBM:
        return _lightgbm(content, signature)
    estimator = estimators.read(content)
    return lambda frame: estimators.score(estimator, frame, signature)


def _onnx(content: bytes, signature: Signature) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # As in a gateway worker: one row has nothing to divide, and threads that spin take the cores of others.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    wanted = [item.name for item in session.get_inputs()]
    outputs = [item.name for item in session.get_outputs()]
    asked = outputs[-1] if signature.task != "regression" else outputs[0]

    def run(frame: pl.DataFrame) -> Scores:
        feeds = feeds_of(frame.select(wanted))
        answer: Any = session.run([asked], feeds)[0]
        return estimators.shaped(np.asarray(answer), frame.height, signature)

    return run


def _lightgbm(content: bytes, signature: Signature) -> Run:
    import lightgbm

    booster = lightgbm.Booster(model_str=content.decode())
    names = [column.name for column in signature.columns]

    def run(frame: pl.DataFrame) -> Scores:
        matrix = frame.select(names).to_numpy()
        return estimators.shaped(np.asarray(booster.predict(matrix, num_threads=1)), frame.height, signature)

    return run

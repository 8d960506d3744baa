"""The served forms of a model, run on frames: the same three that a gateway runs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flyball.adapters import estimators
from flyball.adapters.model_input import Feeds, feeds_of
from flyball.machine.onnx_session import open_session
from flyball.records.scores import Scores
from flyball.records.signature import Signature
from flyball.records.unit import Format

MODEL_FILES = {Format.ONNX: "model.onnx", Format.LIGHTGBM: "model.lgb", Format.CODE: "model.pkl"}
"""Below `model/` of a package, as MLflow's flavours name them."""


class Model(NamedTuple):
    """Frame of Float32 and String columns in signature order → (n_rows, n_scores), in two steps, of which the second is the model's own work."""

    feed: Callable[[pl.DataFrame], Any]
    """As a gateway hands the rows over."""
    score: Callable[[Any], Scores]

    def __call__(self, frame: pl.DataFrame) -> Scores:
        return self.score(self.feed(frame))


def open_model(kind: Format, content: bytes, signature: Signature) -> Model:
    """The model that `content` holds. CODE unpickles: only for a child process, and only what this project trained."""
    if kind is Format.ONNX:
        return _onnx(content, signature)
    if kind is Format.LIGHTGBM:
        return _lightgbm(content, signature)
    return model_of(estimators.read(content), signature)


def model_of(estimator: Any, signature: Signature) -> Model:
    """The trained estimator itself."""
    return Model(lambda frame: frame, lambda frame: estimators.score(estimator, frame, signature))


def _onnx(content: bytes, signature: Signature) -> Model:
    session = open_session(content)
    wanted = [item.name for item in session.get_inputs()]
    outputs = [item.name for item in session.get_outputs()]
    asked = [outputs[-1] if signature.task != "regression" else outputs[0]]

    def score(feeds: Feeds) -> Scores:
        answer: Any = session.run(asked, feeds)[0]
        return estimators.shaped(np.asarray(answer), len(feeds[wanted[0]]), signature)

    return Model(lambda frame: feeds_of(frame.select(wanted)), score)


def _lightgbm(content: bytes, signature: Signature) -> Model:
    import lightgbm

    booster = lightgbm.Booster(model_str=content.decode())
    names = [column.name for column in signature.columns]

    def score(feeds: Feeds) -> Scores:
        matrix = np.hstack([feeds[name] for name in names])
        return estimators.shaped(np.asarray(booster.predict(matrix, num_threads=1)), len(matrix), signature)

    return Model(feeds_of, score)

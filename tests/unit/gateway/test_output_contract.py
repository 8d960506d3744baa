"""Claims about what a model may answer: everything else is a failure of the model, never an answer to a client, and refused before there is a version."""

import numpy as np
import polars as pl
import pytest

from flyball.adapters.estimators import score, shaped
from flyball.errors import ModelFailed, TrainingError
from flyball.gateway.code_worker import scores_of
from flyball.records.scores import as_scores, checked
from flyball.records.signature import Column, ColumnType, Signature

BINARY = Signature(task="binary", columns=(), classes=("no", "yes"))
THREE = Signature(task="multiclass", columns=(), classes=("a", "b", "c"))
VALUE = Signature(task="regression", columns=())


ODD = [
    ([[0.3, np.nan]], 1, BINARY),
    ([[0.5, np.inf]], 1, BINARY),
    ([[2.0, -1.0]], 1, BINARY),
    ([0.5, 0.5], 1, BINARY),
    ([], 1, BINARY),
    ([[0.1, 0.2, 0.7]], 1, BINARY),
    ([["no"]], 1, BINARY),
    ([[None]], 1, BINARY),
    ([[0.9, 0.9]], 1, BINARY),
    ([[0.5, 0.5], [0.5, 0.51]], 2, BINARY),
    ([[0.5, 0.5, 0.5]], 1, THREE),
    ([[0.2, 0.3, 0.5], [0.2, 0.3, 0.4]], 2, THREE),
    ([[0.5, 0.5]], 1, THREE),
    ([[[0.1, 0.2, 0.7]]], 1, THREE),
    ([0.3], 1, THREE),
    ([np.nan], 1, VALUE),
    ([-np.inf], 1, VALUE),
    ([[1.0, 2.0]], 1, VALUE),
    ([True], 1, VALUE),
    ([1j], 1, VALUE),
    ([np.datetime64("2026-01-01")], 1, VALUE),
]


@pytest.mark.parametrize(("raw", "n", "signature"), ODD)
def test_an_invalid_output_is_a_failure_of_the_model_and_of_its_training(raw, n, signature):
    with pytest.raises(ModelFailed, match="invalid output"):
        checked(as_scores(raw, signature), n, signature)
    with pytest.raises(TrainingError, match="the model gave"):
        shaped(raw, n, signature)


@pytest.mark.parametrize(
    ("raw", "signature", "scores"),
    [
        ([[0.25, 0.75], [1, 0]], BINARY, [[0.75], [0.0]]),
        ([0.75, 0.5], BINARY, [[0.75], [0.5]]),
        ([[1.0 + 5e-7]], BINARY, [[1.0]]),
        ([[0.2504, 0.7504]], BINARY, [[0.7504]]),
        ([[0.25, 0.25, 0.5]], THREE, [[0.25, 0.25, 0.5]]),
        ([-1e30, 7], VALUE, [[-1e30], [7.0]]),
    ],
)
def test_a_valid_output_becomes_scores(raw, signature, scores):
    assert checked(as_scores(raw, signature), len(raw), signature).tolist() == scores
    assert shaped(raw, len(raw), signature).tolist() == scores


class Rule:
    def __init__(self, answers):
        self.answers = answers

    def predict(self, _):
        return self.answers


@pytest.mark.parametrize("answers", [np.array([True, False]), np.array([0.5, 1.0], dtype=object), ["0.5", "1"], [0.5, None]])
def test_what_a_worker_of_code_does_not_take_for_numbers_training_does_not_either(answers):
    one = Signature(task="regression", columns=(Column(name="a", type=ColumnType.NUMBER),))
    with pytest.raises(TypeError, match="expected numbers"):
        scores_of(Rule(answers), {"a": np.zeros((2, 1), dtype=np.float32)}, one)
    with pytest.raises(TrainingError, match=r"the model gave answers of type .* let predict end with \.astype"):
        score(Rule(answers), pl.DataFrame({"a": [0.0, 0.0]}), one)

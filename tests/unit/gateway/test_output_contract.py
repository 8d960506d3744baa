"""Claims about what a model may answer: everything else is a failure of the model, never an answer to a client."""

import numpy as np
import pytest

from flyball.errors import ModelFailed
from flyball.gateway.runtimes.contract import as_scores, checked
from flyball.records.signature import Signature

BINARY = Signature(task="binary", columns=(), classes=("no", "yes"))
THREE = Signature(task="multiclass", columns=(), classes=("a", "b", "c"))
VALUE = Signature(task="regression", columns=())


@pytest.mark.parametrize(
    ("raw", "n", "signature"),
    [
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
    ],
)
def test_an_invalid_output_is_a_failure_of_the_model(raw, n, signature):
    with pytest.raises(ModelFailed, match="invalid output"):
        checked(as_scores(raw, signature), n, signature)


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

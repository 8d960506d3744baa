"""What the answers of a model must be, wherever they are asked for: while it is trained, where its served form is compared, and in a gateway."""

import math
from typing import Any

import numpy as np

from flyball.errors import ModelFailed
from flyball.records.signature import Signature

Scores = np.ndarray[Any, np.dtype[np.float64]]
"""(n_rows, n_scores)"""

NUMBERS = "fiu"
"""Kinds of numpy's types that are scores. Not truth values: what answers yes and no has no probability to tell."""
PROBABILITY_SLACK = 1e-6
"""A float32 softmax may exceed 1 by its rounding; without this slack such a sound answer would be refused. Clipped afterwards."""
SUM_SLACK = 1e-3
"""Of the probabilities of a row: a float32 softmax over a thousand classes stays within a tenth of it."""


def checked(scores: np.ndarray[Any, Any], n: int, signature: Signature) -> Scores:
    """`scores` as float64 (n, n_scores); raises ModelFailed when they are not what the signature promises."""
    wanted = (n, signature.n_scores)
    if scores.shape != wanted:
        raise ModelFailed(f"invalid output: scores of shape {scores.shape}", expected=f"shape {wanted}")
    if scores.dtype.kind not in NUMBERS:
        raise ModelFailed(f"invalid output: scores of type {scores.dtype}", expected="numbers")
    exact = scores.astype(np.float64, copy=False)
    lowest, highest = exact.min(), exact.max()  # both are NaN where any score is
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ModelFailed("invalid output: a score that is NaN or infinite", expected="finite numbers")
    if signature.task == "regression":
        return exact
    if signature.n_scores > 1:
        _check_sums(exact.sum(axis=1))
    if lowest < -PROBABILITY_SLACK or highest > 1 + PROBABILITY_SLACK:
        raise ModelFailed(f"invalid output: scores from {lowest:g} to {highest:g}", expected="probabilities in [0, 1]")
    return np.clip(exact, 0.0, 1.0) if lowest < 0.0 or highest > 1.0 else exact


def as_scores(raw: Any, signature: Signature) -> np.ndarray[Any, Any]:
    """A model's raw output as (n, n_scores): one dimension becomes a column; of two binary probabilities the positive one stays.
    Raises ModelFailed when the two are not those of one event."""
    scores = np.asarray(raw)
    if scores.ndim == 1:
        scores = scores.reshape(-1, 1)
    if signature.task == "binary" and scores.ndim == 2 and scores.shape[1] == 2:
        if scores.dtype.kind == "f":
            _check_sums(scores[:, 0] + scores[:, 1])
        scores = scores[:, 1:]
    return scores


def _check_sums(sums: np.ndarray[Any, Any]) -> None:
    """Raises ModelFailed when the probabilities of a row do not sum to one. (What is NaN is told as such elsewhere.)"""
    # One row, as most requests are, costs a twentieth of what numpy takes over an array.
    off = abs(sums.item(0) - 1.0) if len(sums) == 1 else np.abs(sums - 1.0).max(initial=0.0)
    if off > SUM_SLACK:
        worst = float(sums[int(np.argmax(np.abs(sums - 1.0)))])
        raise ModelFailed(f"invalid output: probabilities of a row that sum to {worst:g}", expected="a sum of 1")

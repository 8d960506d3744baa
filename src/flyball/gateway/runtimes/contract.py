"""What every runtime promises, and what every answer of a model must be before anyone sees it."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from flyball.errors import ModelFailed
from flyball.records.signature import Column, ColumnType, Signature

Columns = Mapping[str, np.ndarray[Any, Any]]
"""Column name → (n_rows, 1): float32 with NaN for missing, or object of str with '' for missing."""

Scores = np.ndarray[Any, np.dtype[np.float64]]
"""(n_rows, n_scores)"""

PROBABILITY_SLACK = 1e-6
"""A float32 softmax may exceed 1 by its rounding; without this slack such a sound answer would be refused. Clipped afterwards."""


SUM_SLACK = 1e-3
"""Of the probabilities of a row: a float32 softmax over a thousand classes stays within a tenth of it."""

GOLDEN = 0.6180339887498949
"""Multiples of it, modulo one, fall evenly into [0, 1) (the additive recurrence of lowest discrepancy)."""


class Runtime(Protocol):
    """A loaded model. Safe to call from several threads."""

    @property
    def steady(self) -> bool:
        """How long a call takes depends on the number of rows and not on what is in them: what was measured once may run on the event loop."""
        ...

    def score(self, columns: Columns, n: int) -> Scores:
        """Raises ModelFailed when the model crashed, hung or cannot take the rows."""
        ...

    def close(self) -> None:
        """Give back what it holds; idempotent. Nobody calls `score` afterwards."""
        ...


class CodeLimits(NamedTuple):
    """What a worker process of a code format may use."""

    deadline_seconds: float = 5.0
    """Of one call; then the worker is killed."""
    memory_bytes: int = 4 * 1024**3
    """Address space (RLIMIT_AS): allocators reserve far more than they touch, so this is well above the resident size."""
    start_seconds: float = 60.0
    """Importing the libraries of a model on a cold disk may take tens of seconds."""
    environment: tuple[tuple[str, str], ...] = ()
    """All that the worker sees of the environment: secrets are absent, not masked."""


def checked(scores: np.ndarray[Any, Any], n: int, signature: Signature) -> Scores:
    """`scores` as float64 (n, n_scores); raises ModelFailed when they are not what the signature promises."""
    wanted = (n, signature.n_scores)
    if scores.shape != wanted:
        raise ModelFailed(f"invalid output: scores of shape {scores.shape}", expected=f"shape {wanted}")
    if scores.dtype.kind not in "fiu":
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


def packed(columns: Columns, signature: Signature, n: int) -> dict[str, Any]:
    """Rows for a pipe: numbers as little-endian float32 bytes, categories as strings, in the signature's order."""
    listed = (columns[column.name][:, 0] for column in signature.columns)
    return {
        "n": n,
        "columns": [
            each.tolist() if each.dtype == object else np.ascontiguousarray(each).astype("<f4", copy=False).tobytes()
            for each in listed
        ],
    }


def unpacked(request: dict[str, Any], signature: Signature) -> dict[str, np.ndarray[Any, Any]]:
    """What `packed` made, as columns again."""
    columns: dict[str, np.ndarray[Any, Any]] = {}
    for column, values in zip(signature.columns, request["columns"], strict=True):
        if column.type is ColumnType.CATEGORY:
            columns[column.name] = np.array([*values, None], dtype=object)[:-1].reshape(-1, 1)
        else:
            columns[column.name] = np.frombuffer(values, dtype="<f4").reshape(-1, 1)
    return columns


def sample(signature: Signature, n: int) -> dict[str, np.ndarray[Any, Any]]:
    """`n` rows for warming up and timing: known categories in turn, numbers spread over their limits, or over four orders of magnitude.

    All alike they would tell a lie: a tree ensemble that takes the same way through every tree is twice as fast as on real rows.
    """
    rows = np.arange(n)
    columns: dict[str, np.ndarray[Any, Any]] = {}
    for at, column in enumerate(signature.columns):
        if column.type is ColumnType.CATEGORY:
            known = column.categories or ("a",)
            columns[column.name] = np.array([known[(row * 7 + at) % len(known)] for row in rows.tolist()], dtype=object).reshape(
                n, 1
            )
        else:
            columns[column.name] = _spread(column, rows, at).astype(np.float32).reshape(n, 1)
    return columns


def _spread(column: Column, rows: np.ndarray[Any, Any], at: int) -> np.ndarray[Any, Any]:
    """(n,) floats that the column allows."""
    unit = (rows * (at + 1) * GOLDEN) % 1.0
    if column.type is ColumnType.BOOLEAN:
        return np.round(unit)
    values = (unit - 0.5) * 2.0 * 10.0 ** ((rows + at) % 4)
    if column.minimum is not None and column.maximum is not None:
        values = column.minimum + unit * (column.maximum - column.minimum)
    elif column.minimum is not None:
        values = column.minimum + np.abs(values)
    elif column.maximum is not None:
        values = column.maximum - np.abs(values)
    if column.type is ColumnType.INTEGER:
        low, high = (
            (-np.inf if column.minimum is None else np.ceil(column.minimum)),
            (np.inf if column.maximum is None else np.floor(column.maximum)),
        )
        return np.clip(np.round(values), low, high)
    return values

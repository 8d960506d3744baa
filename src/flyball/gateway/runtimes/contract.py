"""What every runtime promises, and the rows that it is handed."""

from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from flyball.records.background import Background
from flyball.records.scores import Scores
from flyball.records.signature import Column, ColumnType, Signature

Columns = Mapping[str, np.ndarray[Any, Any]]
"""Column name → (n_rows, 1): float32 with NaN for missing, or object of str with '' for missing."""

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

    @property
    def begun_rows(self) -> int:
        """Of so many at most `begin` may take a call; 0: the model is in this process."""
        ...

    def begin(self, columns: Columns, n: int) -> Awaitable[Scores] | None:
        """As `score`, by a process that answers the running event loop. None: here, or now, it is `score` in a thread."""
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


def ordinary(signature: Signature, known: Background | None, n: int) -> dict[str, np.ndarray[Any, Any]]:
    """`n` rows for warming up and timing: those that the package holds, in turn. The model answered them when it was made; of one of an earlier Flyball, which
    holds none, they are invented."""
    if known is None or any(column.name not in known.columns for column in signature.columns):
        return _invented(signature, n)
    return {name: np.resize(values, (n, 1)) for name, values in arrays_of(signature, known).items()}


def arrays_of(signature: Signature, known: Background) -> dict[str, np.ndarray[Any, Any]]:
    """All rows that a package holds, as a runtime takes them."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for column in signature.columns:
        kind = object if column.type is ColumnType.CATEGORY else np.float32
        values = np.empty((len(known.columns[column.name]), 1), dtype=kind)
        values[:, 0] = known.columns[column.name]
        arrays[column.name] = values
    return arrays


def _invented(signature: Signature, n: int) -> dict[str, np.ndarray[Any, Any]]:
    """`n` rows: known categories in turn, numbers spread over their limits, or over four orders of magnitude.

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

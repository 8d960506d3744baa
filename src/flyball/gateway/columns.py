"""From validated rows to what a model takes: one numpy call for all numbers of all requests of a batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flyball.gateway.runtimes.contract import Columns
from flyball.gateway.validation import Rows, as_array
from flyball.records.signature import ColumnType, Signature


class ColumnBuilder:
    """Of one signature; rows are tuples in its order."""

    def __init__(self, signature: Signature) -> None:
        self._columns = signature.columns
        self._numbers = [(at, c.name) for at, c in enumerate(signature.columns) if c.type is not ColumnType.CATEGORY]
        self._texts = [(at, c) for at, c in enumerate(signature.columns) if c.type is ColumnType.CATEGORY]

    def of_tuples(self, tuples: Sequence[tuple[Any, ...]]) -> dict[str, np.ndarray[Any, Any]]:
        """`tuples` is not empty."""
        n = len(tuples)
        values = tuple(zip(*tuples, strict=True))
        columns: dict[str, np.ndarray[Any, Any]] = {}
        if self._numbers:
            block = np.array([values[at] for at, _ in self._numbers], dtype=np.float32)  # None becomes NaN
            for (_, name), line in zip(self._numbers, block, strict=True):
                columns[name] = line.reshape(n, 1)
        for at, column in self._texts:
            columns[column.name] = as_array(column, values[at], n)
        return columns

    def of_rows(self, rows: Rows) -> Columns:
        return self.of_tuples(rows.tuples) if rows.tuples is not None else rows.columns

    def merged(self, requests: Sequence[Rows]) -> Columns:
        """The rows of several requests, one behind the other."""
        if all(rows.tuples is not None for rows in requests):
            return self.of_tuples([each for rows in requests for each in rows.tuples or ()])
        parts = [self.of_rows(rows) for rows in requests]
        if len(parts) == 1:
            return parts[0]
        return {column.name: np.concatenate([part[column.name] for part in parts]) for column in self._columns}

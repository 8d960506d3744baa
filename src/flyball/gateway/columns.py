"""From validated rows to what a model takes and what is kept of it: one numpy call for all numbers of all requests of a batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flyball.gateway.runtimes.contract import Columns
from flyball.gateway.validation import Rows, as_array
from flyball.records.signature import ColumnType, Signature


class Table:
    """Rows as columns."""

    __slots__ = ("_numbers", "columns")

    def __init__(self, columns: Columns, numbers: "Numbers | None" = None) -> None:
        self.columns = columns
        """(n, 1) each: float32 with NaN for missing, or object of str with '' for missing."""
        self._numbers = numbers

    def used(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Features as the model saw them (float32), a missing number as None: stored numbers are finite."""
        if self._numbers is None:
            return {name: _listed(self.columns[name]) for name in names}
        of_numbers = self._numbers.listed()
        return {name: of_numbers[name] if name in of_numbers else self.columns[name][:, 0].tolist() for name in names}

    def rows(self, index: Sequence[int]) -> "Table":
        return Table({name: values[index] for name, values in self.columns.items()})


class Numbers:
    """The numeric columns as one block."""

    __slots__ = ("_block", "_may_miss", "_names")

    def __init__(self, names: Sequence[str], block: np.ndarray[Any, Any], *, may_miss: bool) -> None:
        """`block`: (n_columns, n_rows) float32."""
        self._names = names
        self._block = block
        self._may_miss = may_miss

    def listed(self) -> dict[str, list[Any]]:
        lists: list[list[Any]] = self._block.tolist()
        if self._may_miss and np.isnan(self._block).any():
            lists = [[None if value != value else value for value in line] for line in lists]  # noqa: PLR0124 - only NaN differs from itself
        return dict(zip(self._names, lists, strict=True))


class ColumnBuilder:
    """Of one signature; rows are tuples in its order."""

    def __init__(self, signature: Signature) -> None:
        columns = self._columns = signature.columns
        numeric = [(at, c) for at, c in enumerate(columns) if c.type is not ColumnType.CATEGORY]
        self._numbers = [at for at, _ in numeric]
        self._names = [column.name for _, column in numeric]
        self._may_miss = any(column.missing for _, column in numeric)
        self._texts = [(at, c) for at, c in enumerate(columns) if c.type is ColumnType.CATEGORY]

    def of_tuples(self, tuples: Sequence[tuple[Any, ...]]) -> Table:
        """`tuples` is not empty."""
        n = len(tuples)
        values = tuple(zip(*tuples, strict=True))
        columns: dict[str, np.ndarray[Any, Any]] = {}
        block = np.array([values[at] for at in self._numbers], dtype=np.float32)  # None becomes NaN
        for name, line in zip(self._names, block, strict=True):
            columns[name] = line.reshape(n, 1)
        for at, column in self._texts:
            columns[column.name] = as_array(column, values[at], n)
        return Table(columns, Numbers(self._names, block, may_miss=self._may_miss))

    def of_rows(self, rows: Rows) -> Table:
        return self.of_tuples(rows.tuples) if rows.tuples is not None else Table(rows.columns)

    def merged(self, requests: Sequence[Rows]) -> Table:
        """The rows of several requests, one behind the other."""
        if all(rows.tuples is not None for rows in requests):
            return self.of_tuples([each for rows in requests for each in rows.tuples or ()])
        parts = [self.of_rows(rows).columns for rows in requests]
        if len(parts) == 1:
            return Table(parts[0])
        return Table({column.name: np.concatenate([part[column.name] for part in parts]) for column in self._columns})


def _listed(values: np.ndarray[Any, Any]) -> list[Any]:
    listed: list[Any] = values[:, 0].tolist()
    if values.dtype == object or not np.isnan(values).any():
        return listed
    return [None if value != value else value for value in listed]  # noqa: PLR0124 - only NaN differs from itself

"""A tensor's JSON list that is taken piece by piece: of each piece stays what the model takes, so that a million values are never a list of them."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from flyball.errors import Fault
from flyball.gateway.tensors.columns import ColumnCheck
from flyball.gateway.validation import MAX_FAULTS
from flyball.records.signature import ColumnType

Array = np.ndarray[Any, Any]

FEW_TEXTS = 4096
"""Of one column: categories come again and again, and each is kept once. Beyond so many different ones they are no categories."""


class PiecedColumn:
    """The values of one column."""

    def __init__(self, check: ColumnCheck | None, datatype: str, n: int, most: int) -> None:
        """`n`: as many as its shape says; `most`: as many as can come. `check` None: they are counted only, since the tensor is refused or passed over
        whatever they are."""
        self._check = check
        self._datatype = datatype
        self._n = n
        self._count = 0
        self._nested = False
        self._known: dict[str, str] = {}
        self.faults: list[Fault] = []
        category = check is not None and check.column.type is ColumnType.CATEGORY
        self.array: Array = np.empty((min(n, most) if check is not None else 0, 1), dtype=object if category else np.float32)
        """(n, 1); not to be used where there are faults."""

    def __len__(self) -> int:
        return self._count

    def add(self, values: list[Any]) -> bool:
        """Take the next values. False: only the whole list tells what is to be said of them."""
        if values and not self._count:
            self._nested = isinstance(values[0], list)
        # [n, 1] may be nested: [[1], [2]]
        self.take([each[0] if isinstance(each, list) and len(each) == 1 else each for each in values] if self._nested else values)
        return True

    def take(self, values: list[Any]) -> None:
        start, self._count = self._count, self._count + len(values)
        if self._check is None or self._count > self._n or len(self.faults) >= MAX_FAULTS:
            return
        if self.array.dtype == object:
            values = self._once(values)
        found: list[Fault] = []
        taken = self._check.listed(values, self._datatype, found, start)
        if found:
            self.faults += found
        else:
            self.array[start : self._count] = taken

    def _once(self, values: list[Any]) -> list[Any]:
        if len(self._known) > FEW_TEXTS:
            return values
        known = self._known.setdefault
        return [known(each, each) if isinstance(each, str) else each for each in values]


class PiecedMatrix:
    """The values of all columns, row after row."""

    def __init__(self, columns: Sequence[PiecedColumn]) -> None:
        self.columns = columns
        self.n_values = 0
        self._nested = False
        self._left: list[Any] = []
        """Of a row that is not whole yet."""

    def __len__(self) -> int:
        """Values, where they lie flat; rows, where these are lists: as a list of them would say."""
        return self.n_values // len(self.columns) if self._nested else self.n_values

    def add(self, values: list[Any]) -> bool:
        width = len(self.columns)
        if values and not self.n_values:
            self._nested = isinstance(values[0], list)
        if self._nested:
            if not all(isinstance(each, list) and len(each) == width for each in values):
                return False
            values = list(chain.from_iterable(values))
        self.n_values += len(values)
        values = self._left + values
        whole = len(values) // width * width
        self._left = values[whole:]
        for at, column in enumerate(self.columns if whole else ()):
            column.take(values[at:whole:width])
        return True

"""Numbers outside what training saw, where the signature says that an answer to them is flagged."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flyball.gateway.fields import shown
from flyball.gateway.narrow import NARROW
from flyball.records.signature import Column

Array = np.ndarray[Any, Any]

Flags = dict[int, list[dict[str, str]]]
"""Row → what is to be said about it: field, found, flag. Rows that nothing is said about are absent."""

OUTSIDE = "outside what training saw"


class Ranges:
    """Of the columns that have one to be held against; without any nothing is looked at."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._ranges = tuple((at, column.name, column.seen) for at, column in enumerate(columns) if column.seen is not None)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def of_tuples(self, tuples: Sequence[tuple[Any, ...]], flags: Flags) -> None:
        """Rows as they came. What is missing is None or NaN, and outside of nothing."""
        for at, name, (low, high) in self._ranges:
            for row, values in enumerate(tuples):
                value = values[at]
                if value is not None and (value < low or value > high):
                    _add(flags, row, name, value)

    def of_columns(self, columns: Mapping[str, Array], rounded: Mapping[str, str] | None, flags: Flags) -> None:
        """The model's numbers, float32: what they cannot tell from an end of the range is within it."""
        for _, name, seen in self._ranges:
            datatype = (rounded or {}).get(name, "")
            low, high = NARROW[datatype](*seen) if datatype else seen
            values = columns[name][:, 0]
            for row in np.flatnonzero((values < low) | (values > high)).tolist():
                _add(flags, row, name, values[row].item())


def _add(flags: Flags, row: int, name: str, value: float) -> None:
    flags.setdefault(row, []).append({"field": name, "found": shown(value), "flag": OUTSIDE})

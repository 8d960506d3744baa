"""Rows of a window, kept until it is judged: what estimates, causes and slices need beside counts.

A sample of at most `SAMPLE_ROWS` a window: those whose ids have the smallest hashes. So it is the same sample in whatever order the records are
read and however often control is started again, and taking a row costs nothing but its hash once a window is full.
"""

import heapq
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.records.captured import PredictionBatch
from flyball.records.signature import ColumnType, Signature

SAMPLE_ROWS = 2_000
"""4.4 MB with forty features, and 0.7 in columns; an estimate of a mean over so many is within 0.02 of all rows'."""


class SampledRows(NamedTuple):
    ids: list[str]
    at_us: npt.NDArray[np.int64]
    columns: dict[str, npt.NDArray[Any]]
    """Features whose every value was captured: float64 with NaN, or objects with ''."""
    scores: npt.NDArray[np.float64]
    """(n_rows, n_scores)"""


def together(parts: Sequence[SampledRows]) -> SampledRows:
    """Rows of several windows, in their order; columns that all of them have. At least one."""
    common = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    return SampledRows(
        [name for part in parts for name in part.ids],
        np.concatenate([part.at_us for part in parts]),
        {name: np.concatenate([part.columns[name] for part in parts]) for name in common},
        np.concatenate([part.scores for part in parts]),
    )


class Row(NamedTuple):
    """Ordered by hash, largest first in the heap."""

    place: int
    id: str
    at_us: int
    values: dict[str, Any]
    scores: list[float]


class WindowSample:
    """Of one window."""

    def __init__(self, most: int = SAMPLE_ROWS) -> None:
        self._most = most
        self._rows: list[tuple[int, str, Row]] = []
        self._known: set[str] = set()
        self._told: tuple[Signature, SampledRows] | None = None
        """What was asked last: a window is asked for its rows when it closes, when it matures, and for causes of a loss that rose later."""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, batch: PredictionBatch) -> None:
        """A repeated id changes nothing: its first answer was the one that was shown."""
        for at, name in enumerate(batch.ids):
            place = -zlib.crc32(name.encode("utf-8", "surrogatepass"))
            full = len(self._rows) >= self._most
            if (full and (place, name) <= self._rows[0][:2]) or name in self._known:
                continue
            values = {column: of[at] for column, of in batch.columns.items()}
            entry = (place, name, Row(place, name, batch.at_us, values, batch.scores[at]))
            self._known.add(name)
            self._told = None
            if full:
                self._known.discard(heapq.heapreplace(self._rows, entry)[1])
            else:
                heapq.heappush(self._rows, entry)

    def keep_at_most(self, most: int) -> None:
        """From now on; more again would be more of what came late."""
        self._most = min(self._most, most)
        while len(self._rows) > self._most:
            self._known.discard(heapq.heappop(self._rows)[1])
            self._told = None

    def rows(self, signature: Signature) -> SampledRows:
        """In order of event time. A column that capture keeps only now and then, or not at all, is left out."""
        if self._told is None or self._told[0] != signature:
            self._told = signature, self._in_columns(signature)
        return self._told[1]

    def _in_columns(self, signature: Signature) -> SampledRows:
        kept = sorted((entry[2] for entry in self._rows), key=lambda row: (row.at_us, row.id))
        columns: dict[str, npt.NDArray[Any]] = {}
        whole = {column.name for column in signature.columns}
        for row in kept:
            if not row.values.keys() >= whole:
                whole &= row.values.keys()
        for column in signature.columns:
            if column.name in whole:
                values = [row.values[column.name] for row in kept]
                if column.type is ColumnType.CATEGORY:
                    columns[column.name] = np.array(["" if value is None else value for value in values], dtype=object)
                else:
                    columns[column.name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        return SampledRows(
            [row.id for row in kept],
            np.array([row.at_us for row in kept], dtype=np.int64),
            columns,
            np.array([row.scores for row in kept], dtype=np.float64).reshape(len(kept), signature.n_scores),
        )

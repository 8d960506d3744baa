"""The latest requests as they were answered: what a challenger is asked before it sees a live one."""

from collections import deque
from typing import Any, NamedTuple

from flyball.records.captured import PredictionBatch
from flyball.records.signature import Signature


class AnsweredRow(NamedTuple):
    id: str
    unit: str
    """That answered."""
    at_us: int
    values: dict[str, Any]
    scores: list[float]


class RecentRows:
    """Of the champion's answers, so many; 0: none are kept."""

    def __init__(self, most: int) -> None:
        self._rows: deque[AnsweredRow] = deque(maxlen=most)

    def add(self, batch: PredictionBatch) -> None:
        if batch.role != "champion" or not self._rows.maxlen:
            return
        for at, each in enumerate(batch.ids):
            values = {name: of[at] for name, of in batch.columns.items()}
            self._rows.append(AnsweredRow(each, batch.unit, batch.at_us, values, batch.scores[at]))

    def forget_until(self, horizon_us: int) -> None:
        self._rows = deque((row for row in self._rows if row.at_us >= horizon_us), maxlen=self._rows.maxlen)

    def whole(self, unit: str, signature: Signature) -> list[AnsweredRow]:
        """Those that this unit answered and of which capture kept every column that the signature asks for, oldest first."""
        names = [column.name for column in signature.columns]
        return sorted(
            (row for row in self._rows if row.unit == unit and all(name in row.values for name in names)),
            key=lambda row: (row.at_us, row.id),
        )

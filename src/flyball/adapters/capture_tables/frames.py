"""Captured records → rows of four tables."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from flyball.adapters.capture_tables.names import FAILURES, FEATURE_TYPES, HASH, LABELS, PREDICTIONS, REFUSALS, Names
from flyball.records.captured import Captured, FailureBatch, LabelBatch, PredictionBatch, RefusalBatch, Refused, Sample
from flyball.records.signature import ColumnType, Signature

TABLES = ("predictions", "labels", "failures", "refusals")


class Served(NamedTuple):
    """What is known of a unit that answered."""

    signature: Signature
    threshold: float | None


class Shape:
    """The columns of the predictions; the same for every export that knows the same units."""

    def __init__(self, units: Mapping[str, Served]) -> None:
        """`units`: in the order in which they were made, all that there are."""
        self._units = units
        self.names = Names()
        self._kinds = {(unit, column.name): column.type for unit, served in units.items() for column in served.signature.columns}
        for (_, feature), kind in self._kinds.items():
            self.names.of(feature, kind)

    def column(self, unit: str, feature: str, values: Sequence[Any]) -> str:
        """Where a unit's values of a feature go. Of a unit that nobody knows any more the values tell what they are."""
        kind = self._kinds.get((unit, feature))
        if kind is None:
            kind = ColumnType.CATEGORY if any(isinstance(value, str) for value in values) else ColumnType.NUMBER
        return self.names.of(feature, kind)

    def labels(self, unit: str, scores: Sequence[Sequence[float]]) -> list[str | None]:
        """The classes that the scores mean; None where there are none, or the unit is not known."""
        served = self._units.get(unit)
        if served is None or served.signature.task == "regression":
            return [None] * len(scores)
        classes = served.signature.classes
        if served.signature.task == "binary":
            bound = 0.5 if served.threshold is None else served.threshold
            return [classes[each[0] >= bound] for each in scores]
        return [classes[max(range(len(each)), key=each.__getitem__)] for each in scores]


class Columns:
    """Lists that grow together; a column that a batch does not have is null there."""

    def __init__(self) -> None:
        self.height = 0
        self._lists: dict[str, list[Any]] = {}

    def extend(self, columns: Mapping[str, Sequence[Any]]) -> None:
        n = max(map(len, columns.values()))
        for name, values in columns.items():
            standing = self._lists.setdefault(name, [])
            if len(standing) < self.height:
                standing.extend([None] * (self.height - len(standing)))
            standing.extend(values)
        self.height += n

    def frame(self, schema: Mapping[str, Any]) -> pl.DataFrame:
        """All rows in the columns of `schema`."""
        return pl.DataFrame([self._series(name, kind) for name, kind in schema.items()])

    def _series(self, name: str, kind: Any) -> pl.Series:
        values = self._lists.get(name, [])
        if len(values) < self.height:
            values.extend([None] * (self.height - len(values)))
        if kind in (pl.Int64, pl.Boolean) and any(isinstance(value, float) for value in values):
            # Whole numbers and yes/no reached the model as float32, and were captured so.
            return pl.Series(name, values, dtype=pl.Float64).cast(kind, strict=False)
        if isinstance(kind, pl.Datetime):
            return pl.Series(name, values, dtype=pl.Int64).cast(kind)
        return pl.Series(name, values, dtype=kind)


class Rows:
    """Rows of some tables that wait to be written."""

    def __init__(self, shape: Shape, tables: Sequence[str]) -> None:
        self._shape = shape
        self.waiting = {table: Columns() for table in tables}

    def add(self, records: Iterable[Captured]) -> None:
        """Of tables that are not among ours, nothing is taken. Records that are alike are put together: column by column it costs a tenth."""
        alike: dict[Hashable, list[Any]] = {}
        for record in records:
            alike.setdefault(_likeness(record), []).append(record)
        for group in alike.values():
            table, columns_of = _PARTS[type(group[0])]
            if table in self.waiting:
                self.waiting[table].extend(columns_of(group, self._shape))

    def frames(self) -> dict[str, pl.DataFrame]:
        """Table → its rows so far, perhaps none."""
        features = {name: FEATURE_TYPES[kind] for name, kind in self._shape.names.columns().items()}
        schemas = {"predictions": {**PREDICTIONS, **features}, "labels": LABELS, "failures": FAILURES, "refusals": REFUSALS}
        return {table: columns.frame(schemas[table]) for table, columns in self.waiting.items()}


def _likeness(record: Captured) -> Hashable:
    if isinstance(record, PredictionBatch):
        return record.unit, len(record.scores[0]), *record.columns, 0, *record.sampled, 0, *record.hashed
    return type(record)


def _predictions(group: Sequence[PredictionBatch], shape: Shape) -> dict[str, Sequence[Any]]:
    first = group[0]
    scores = [row for batch in group for row in batch.scores]
    columns: dict[str, Sequence[Any]] = {
        "id": [each for batch in group for each in batch.ids],
        "predicted_at": [batch.at_us for batch in group for _ in batch.ids],
        "model": [batch.model for batch in group for _ in batch.ids],
        "unit": [first.unit] * len(scores),
        "role": [batch.role for batch in group for _ in batch.ids],
        "revision": [batch.revision for batch in group for _ in batch.ids],
        "key": [key or None for batch in group for key in batch.keys],
        "latency_us": [batch.latency_us for batch in group for _ in batch.ids],
        "label": shape.labels(first.unit, scores),
    }
    columns |= {"scores": scores} if len(scores[0]) > 1 else {"score": [row[0] for row in scores]}
    for feature in first.columns:
        values = [None if value == "" else value for batch in group for value in batch.columns[feature]]
        columns[shape.column(first.unit, feature, values)] = values
    for feature in first.sampled:
        values = [value for batch in group for value in _spread(batch.sampled[feature], len(batch.ids))]
        columns[shape.column(first.unit, feature, values)] = values
    for feature in first.hashed:
        columns[shape.names.of(feature, HASH)] = [value for batch in group for value in batch.hashed[feature]]
    return columns


def _spread(sample: Sample, n: int) -> list[Any]:
    values: list[Any] = [None] * n
    for row, value in zip(sample.rows, sample.values, strict=True):
        values[row] = None if value == "" else value
    return values


def _labels(group: Sequence[LabelBatch], _: Shape) -> dict[str, Sequence[Any]]:
    values = [value for batch in group for value in batch.values]
    return {
        "id": [each for batch in group for each in batch.ids],
        "model": [batch.model for batch in group for _ in batch.ids],
        "label": [value if isinstance(value, str) else None for value in values],
        "value": [None if isinstance(value, str) else float(value) for value in values],
        "reward": [reward for batch in group for reward in batch.rewards or [None] * len(batch.ids)],
        "observed_at": [observed for batch in group for observed in batch.observed_us],
        "received_at": [batch.at_us for batch in group for _ in batch.ids],
    }


def _failures(group: Sequence[FailureBatch], _: Shape) -> dict[str, Sequence[Any]]:
    return {
        "failed_at": [each.at_us for each in group], "model": [each.model for each in group], "unit": [each.unit for each in group],
        "role": [each.role for each in group], "n": [each.n for each in group], "reason": [each.reason for each in group],
        "answered_by": [each.answered_by for each in group],
    }  # fmt: skip


def _refusals(group: Sequence[RefusalBatch], _: Shape) -> dict[str, Sequence[Any]]:
    rows = [(batch, each) for batch in group for each in batch.refused]
    return {
        "refused_at": [batch.at_us for batch, _ in rows], "model": [batch.model for batch, _ in rows], "revision": [batch.revision for batch, _ in rows],
        **{name: [getattr(each, name) or None for _, each in rows] for name in Refused.__struct_fields__},
    }  # fmt: skip


_PARTS: dict[type, tuple[str, Any]] = {
    PredictionBatch: ("predictions", _predictions), LabelBatch: ("labels", _labels), FailureBatch: ("failures", _failures),
    RefusalBatch: ("refusals", _refusals),
}  # fmt: skip

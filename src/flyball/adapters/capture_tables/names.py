"""Which column of a table a feature's values go to: the same in every run, whatever the feature is called and however its type changed."""

import re

import polars as pl

from flyball.records.signature import ColumnType

HASH = "hash"
"""The type of what is left of a hashed feature."""

UTC = pl.Datetime("us", "UTC")

PREDICTIONS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String, "predicted_at": UTC, "model": pl.String, "unit": pl.String, "role": pl.String, "revision": pl.Int64, "key": pl.String,
    "latency_us": pl.Int64, "score": pl.Float64, "scores": pl.List(pl.Float64), "label": pl.String,
}  # fmt: skip
"""Columns before the features. `score` is of two classes or of numbers, `scores` of more classes; the other one is null."""

LABELS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String, "model": pl.String, "label": pl.String, "value": pl.Float64, "reward": pl.Float64, "observed_at": UTC, "received_at": UTC,
}  # fmt: skip
"""`label` is a class, `value` a number; the other one is null."""

FAILURES: dict[str, pl.DataType | type[pl.DataType]] = {
    "failed_at": UTC, "model": pl.String, "unit": pl.String, "role": pl.String, "n": pl.Int64, "reason": pl.String, "answered_by": pl.String,
}  # fmt: skip

REFUSALS: dict[str, pl.DataType | type[pl.DataType]] = {
    "refused_at": UTC, "model": pl.String, "revision": pl.Int64, "reason": pl.String, "status": pl.Int64, "requests": pl.Int64, "rows": pl.Int64,
    "field": pl.String, "fault": pl.String, "found": pl.String, "expected": pl.String,
}  # fmt: skip

FEATURE_TYPES: dict[str, type[pl.DataType]] = {
    ColumnType.NUMBER: pl.Float32, ColumnType.INTEGER: pl.Int64, ColumnType.BOOLEAN: pl.Boolean, ColumnType.CATEGORY: pl.String,
    HASH: pl.String,
}  # fmt: skip
"""Numbers as the model saw them."""

_REFUSED = re.compile(r"[ ,;{}()\n\t=]")
"""Characters that Delta and Spark refuse in the name of a column."""


class Names:
    """Hands out names; two that differ in case alone would be one column to DuckDB and Spark."""

    def __init__(self) -> None:
        self._taken = {name.casefold() for name in PREDICTIONS}
        self._names: dict[tuple[str, str], str] = {}
        self._of_feature: set[str] = set()

    def of(self, feature: str, kind: str) -> str:
        """The column of a feature's values of one type; the first type that a feature had has the plain name."""
        known = self._names.get((feature, kind))
        if known is None:
            known = self._names[feature, kind] = self._new(feature, kind)
        return known

    def columns(self) -> dict[str, str]:
        """Name → type, in the order in which they were first asked for."""
        return {name: kind for (_, kind), name in self._names.items()}

    def changed(self) -> dict[str, str]:
        """Feature → column, where they differ."""
        return {feature: name for (feature, _), name in self._names.items() if feature != name}

    def _new(self, feature: str, kind: str) -> str:
        name = _REFUSED.sub("_", feature)
        if kind == HASH or feature in self._of_feature:
            name = f"{name}_{kind}"
        if kind != HASH:
            self._of_feature.add(feature)
        while name.casefold() in self._taken:
            name += "_"
        self._taken.add(name.casefold())
        return name

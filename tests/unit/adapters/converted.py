"""Rows with every kind of column, and the conversion of an estimator that was fitted on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flyball.adapters.conversion import Served, convert, rows_to_compare
from flyball.adapters.estimators import adopted, dump
from flyball.records.signature import Column, ColumnType, Signature

TYPES = {
    "a": ColumnType.NUMBER,
    "b": ColumnType.NUMBER,
    "kind": ColumnType.CATEGORY,
    "count": ColumnType.INTEGER,
    "day": ColumnType.INTEGER,
}
MISSING = {"b", "count", "kind"}


def frame(n: int = 1500, seed: int = 1) -> pl.DataFrame:
    """`b`, `kind` and `count` are missing now and then; as a model takes them (adapters/model_input.py)."""
    draw = np.random.default_rng(seed)
    some = [draw.random(n) < 0.1 for _ in range(3)]
    return pl.DataFrame(
        {
            "a": pl.Series(draw.normal(size=n), dtype=pl.Float32),
            "b": pl.Series(np.where(some[0], np.nan, draw.gamma(2.0, size=n)), dtype=pl.Float32),
            "kind": [("" if gone else f"k{kind}") for gone, kind in zip(some[1], draw.integers(0, 40, n), strict=True)],
            "count": pl.Series(np.where(some[2], np.nan, draw.integers(0, 9, n)), dtype=pl.Float32),
            "day": pl.Series(draw.integers(1, 8, n), dtype=pl.Float32),
        }
    )


def labels(rows: pl.DataFrame, task: str) -> NDArray[Any]:
    kind = np.array([int(value[1:] or 0) if value else 3 for value in rows["kind"]])
    value = (
        rows["a"].to_numpy() + np.nan_to_num(rows["b"].to_numpy(), nan=1.0) + 2.0 * np.isin(kind % 5, [1, 3]) + np.isin(rows["count"].to_numpy(), [2, 5])
    )  # fmt: skip
    value = value + np.random.default_rng(2).normal(size=rows.height) / 3
    if task == "regression":
        return value
    return np.digitize(value, [float(np.median(value))] if task == "binary" else np.quantile(value, [0.3, 0.6]).tolist())


def signature(task: str, names: list[str], called: Sequence[str] = ()) -> Signature:
    """`called`: instead of `names`, in their order."""
    classes = {"binary": ("0", "1"), "multiclass": ("0", "1", "2"), "regression": ()}[task]
    columns = tuple(
        Column(name=other, type=TYPES[name], missing=name in MISSING) for name, other in zip(names, called or names, strict=True)
    )
    return Signature(task=task, columns=columns, classes=classes)  # type: ignore[arg-type]


def converted(
    fitted: Any,
    task: str,
    names: list[str],
    *,
    tolerance: float = 1e-5,
    rows: pl.DataFrame | None = None,
    called: Sequence[str] = (),
) -> Served:
    """By way of the bytes that a run keeps; compared on rows that were not fitted, and edge rows. `called`: as `signature` has it."""
    asked = signature(task, names, called)
    others = dict(zip(names, called or names, strict=True))
    estimator = adopted(fitted, asked)
    seen = (frame() if rows is None else rows).select(names).rename(others)
    compared = rows_to_compare(estimator, seen, frame(400, seed=9).select(names).rename(others), asked)
    return convert(estimator, dump(estimator, ()), asked, compared, tolerance, 1.0)

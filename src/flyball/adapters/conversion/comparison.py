"""On which rows a served form must answer like the trained estimator."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flyball.adapters import estimators
from flyball.adapters.runtimes import Model
from flyball.records.scores import Scores
from flyball.records.signature import ColumnType, Signature

UNSEEN = "flyball: an unseen category"
MISSING = "missing values"


class Compared(NamedTuple):
    """Rows on which the served form must answer like the estimator, and the estimator's answers."""

    frame: pl.DataFrame
    scores: Scores
    refused: tuple[str, ...]
    """What the estimator itself cannot answer, in words; those rows are left out."""
    refuses_missing: tuple[str, ...] = ()
    """Columns of which the signature takes a missing value, and the estimator does not."""


def difference(run: Model, compared: Compared, scale: float) -> float:
    return float(np.abs(run(compared.frame) - compared.scores).max() / scale)


def rows_to_compare(estimator: Any, features: pl.DataFrame, holdout: pl.DataFrame, signature: Signature) -> Compared:
    """The holdout, and edge rows: each column missing, unseen and at and beyond its extremes, in three rows of the holdout."""
    edges = _edges(features, holdout.gather_every(max(1, holdout.height // 3)).head(3), signature)
    refused: list[str] = []
    refuses_missing = []
    kept = []
    for name, rows in edges.items():
        try:
            estimators.score(estimator, rows, signature)
            kept.append(rows)
        except Exception as error:  # noqa: BLE001 - the user's estimator: what it cannot answer is told, not compared
            refused.append(f"the trained model refuses {name}: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
            refuses_missing += [column.name for column in signature.columns if name == f"{MISSING} of {column.name}"]
    frame = pl.concat([holdout, *kept])
    return Compared(frame, estimators.score(estimator, frame, signature), tuple(refused), tuple(refuses_missing))


def _edges(features: pl.DataFrame, base: pl.DataFrame, signature: Signature) -> dict[str, pl.DataFrame]:
    edges = {}
    for column in signature.columns:
        seen = features[column.name]
        if column.type is ColumnType.CATEGORY:
            changes: dict[str, list[Any]] = {"unseen": [UNSEEN], "known": seen.unique().sort().head(50).to_list()}
            missing: Any = ""
        else:
            known = seen.drop_nans()
            low, high = (float(known.min()), float(known.max())) if known.len() else (0.0, 0.0)  # type: ignore[arg-type]
            width = high - low + 1.0
            changes = {
                "extreme": [low, high] if column.type is ColumnType.BOOLEAN else [low, high, low - width, high + width, 0.0]
            }
            missing = float("nan")
        if column.missing:
            changes["missing"] = [missing]
        for kind, values in changes.items():
            edges[f"{kind} values of {column.name}"] = pl.concat(
                base.with_columns(pl.lit(value, dtype=seen.dtype).alias(column.name)) for value in values
            )
    return edges

"""Captured batches as columns."""

from typing import Any

import numpy as np
import numpy.typing as npt

from flyball.records.captured import PredictionBatch
from flyball.records.signature import ColumnType, Signature


def columns_of(signature: Signature, batches: list[PredictionBatch]) -> dict[str, npt.NDArray[Any]]:
    """Columns of all batches together, as monitoring counts them: float64 with NaN, or objects with ''.

    Of rows whose value was not captured (dropped, hashed, not in the sample, no column of the unit) nothing is counted: unknown is not missing.
    """
    columns: dict[str, npt.NDArray[Any]] = {}
    for column in signature.columns:
        values = [value for batch in batches for value in _captured(batch, column.name)]
        if column.type is ColumnType.CATEGORY:
            columns[column.name] = np.array(["" if v is None else v for v in values], dtype=object)
        else:
            columns[column.name] = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return columns


def _captured(batch: PredictionBatch, name: str) -> list[Any]:
    values = batch.columns.get(name)
    if values is not None:
        return values
    sample = batch.sampled.get(name)
    return sample.values if sample is not None else []

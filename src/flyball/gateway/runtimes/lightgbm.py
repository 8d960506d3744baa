"""LightGBM's own text format in the gateway's process."""

from typing import Any

import numpy as np

from flyball.errors import ArtifactDamaged, ModelFailed
from flyball.gateway.runtimes.contract import Columns
from flyball.records.scores import as_scores
from flyball.records.signature import ColumnType, Signature


class LightgbmRuntime:
    """All columns are numeric and form one float matrix in the signature's order."""

    steady = True
    begun_rows = 0

    def __init__(self, model: bytes, signature: Signature) -> None:
        import lightgbm

        named = [column.name for column in signature.columns if column.type is ColumnType.CATEGORY]
        if named:
            raise ArtifactDamaged(f"a LightGBM model with the category column {named[0]!r}", expected="numeric columns only")
        try:
            self._booster = lightgbm.Booster(model_str=model.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as refused:
            raise ArtifactDamaged(f"LightGBM does not load the model: {str(refused)[:300]}") from refused
        if self._booster.num_feature() != len(signature.columns):
            raise ArtifactDamaged(
                f"the model takes {self._booster.num_feature()} features",
                expected=f"{len(signature.columns)}, as in its signature",
            )
        self._signature = signature
        self._names = tuple(column.name for column in signature.columns)

    def score(self, columns: Columns, n: int) -> np.ndarray[Any, Any]:  # noqa: ARG002 - the arrays know their length
        matrix = np.hstack([columns[name] for name in self._names])
        try:
            raw = self._booster.predict(matrix, num_threads=1)
        except Exception as failed:  # whatever the library raises, the caller falls back
            raise ModelFailed(f"LightGBM: {type(failed).__name__}: {str(failed)[:300]}") from failed
        return as_scores(raw, self._signature)

    def begin(self, columns: Columns, n: int) -> None:
        """It is in this process."""

    def close(self) -> None:
        """The booster is freed with its last reference."""

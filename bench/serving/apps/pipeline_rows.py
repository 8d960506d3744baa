"""Rows through the scikit-learn pipeline, as every peer here serves it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

COLUMNS = ["n0", "n1", "n2", "n3", "n4", "n5", "c0", "c1", "c2", "c3"]


class Pipeline:
    def __init__(self) -> None:
        self.estimator = joblib.load(Path(os.environ["WORKSPACE"]) / "champion.joblib")

    def __call__(self, rows: Sequence[dict[str, Any]]) -> list[float]:
        return self.estimator.predict_proba(pd.DataFrame.from_records(rows, columns=COLUMNS))[:, 1].tolist()

    def of_many(self, requests: Sequence[Sequence[dict[str, Any]]]) -> list[list[float]]:
        """One call for the rows of several requests, and each gets its own back."""
        scores = iter(self([row for rows in requests for row in rows]))
        return [[next(scores) for _ in rows] for rows in requests]

"""BentoML. BATCH=1: its adaptive batching; WORKERS: processes."""

import os

import bentoml
import numpy as np
import pandas as pd
from pipeline_rows import Pipeline
from pydantic import BaseModel

BATCH = os.environ.get("BATCH") == "1"


class Row(BaseModel):
    n0: float
    n1: float
    n2: float
    n3: float
    n4: float
    n5: float
    c0: str
    c1: str
    c2: int
    c3: int


@bentoml.service(workers=int(os.environ.get("WORKERS", "1")), traffic={"timeout": 30})
class Model:
    def __init__(self) -> None:
        self.pipeline = Pipeline()

    if BATCH:
        # Rows as pydantic: a batched API of BentoML 1.4.40 that takes a frame hangs for good after its first error.
        @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1000)
        def predict(self, rows: list[Row]) -> list[float]:
            return self.pipeline([row.model_dump() for row in rows])

    else:

        @bentoml.api
        def predict(self, rows: pd.DataFrame) -> np.ndarray:
            return self.pipeline.estimator.predict_proba(rows)[:, 1]

"""NannyML's realised performance of classes, from labels, as it comes."""

import nannyml
import numpy as np
from serve import serve, told

METRICS = ("roc_auc", "accuracy", "f1")


class Watch:
    """Frames carry `prediction` (the score), `y_true` and `y_pred`."""

    columns = METRICS

    def __init__(self, reference, asked):
        self.calculator = nannyml.PerformanceCalculator(
            metrics=list(METRICS), y_true="y_true", y_pred="y_pred", y_pred_proba="prediction",
            problem_type="classification_binary", chunk_size=asked["window_rows"],
        )  # fmt: skip
        self.calculator.fit(reference)

    def judge(self, windows):
        """All of them have as many rows as a chunk. The lower a metric, the further."""
        import pandas as pd

        found = self.calculator.calculate(pd.concat(windows, ignore_index=True)).filter(period="analysis").to_df()
        scores = np.column_stack([-found[metric]["value"].to_numpy() for metric in METRICS])
        return told(scores.astype(float), np.column_stack([found[metric]["alert"].to_numpy() for metric in METRICS]).astype(bool))


serve(Watch)

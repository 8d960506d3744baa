"""NannyML's estimates without labels: CBPE for classes, DLE for numbers, as they come."""

import nannyml
import numpy as np
from serve import serve

LEFT_OUT = ("y_true", "y_pred", "prediction")


class Watch:
    """Frames carry `prediction` (the score), `y_true` and, for classes, `y_pred`."""

    def __init__(self, reference, asked):
        size = {"chunk_size": asked["window_rows"]}
        if asked["task"] == "binary":
            self.metrics = ["roc_auc", "accuracy"]
            self.estimator = nannyml.CBPE(
                metrics=self.metrics, y_pred_proba="prediction", y_pred="y_pred", y_true="y_true",
                problem_type="classification_binary", **size,
            )  # fmt: skip
        else:
            self.metrics = ["mae", "rmse"]
            features = [name for name in reference.columns if name not in LEFT_OUT]
            self.estimator = nannyml.DLE(
                feature_column_names=features, y_pred="prediction", y_true="y_true", metrics=self.metrics, **size
            )
        self.task = asked["task"]
        self.estimator.fit(self._table(reference))
        self.columns = self.metrics

    def _table(self, frame):
        words = frame.select_dtypes("object").columns
        return frame.astype(dict.fromkeys(words, "category")) if self.task != "binary" else frame

    def estimate(self, windows):
        """One a window: metric → [value, lower, upper, alarmed]. Sampling error ± 1.96 is the 95 % interval; it has no other one."""
        return [self._one(window) for window in windows]

    def _one(self, window):
        table = self._table(window.drop(columns=["y_true"]))
        found = self.estimator.estimate(table).filter(period="analysis").to_df()
        said = {}
        for metric in self.metrics:
            # A window of more rows than a chunk is several: their mean stands for it.
            value = float(np.mean(found[metric]["value"]))
            error = 1.96 * float(np.mean(found[metric]["sampling_error"]))
            said[metric] = [value, value - error, value + error, bool(found[metric]["alert"].any())]
        return said


serve(Watch)

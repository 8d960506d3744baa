"""whylogs: profiles (sketches) of reference and window, and its own drift scores of them with its own thresholds."""

import time

import numpy as np
import whylogs
from serve import minus_log10, serve, told
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores


class Watch:
    def __init__(self, reference, asked):
        del asked
        self.columns = list(reference.columns)
        self.view = whylogs.log(pandas=reference).view()

    def judge(self, windows):
        scores = np.full((len(windows), len(self.columns)), np.nan)
        alarms = np.zeros(scores.shape, dtype=bool)
        for row, window in enumerate(windows):
            said = calculate_drift_scores(whylogs.log(pandas=window).view(), self.view, with_thresholds=True)
            for place, name in enumerate(self.columns):
                of_column = said.get(name)
                if of_column:
                    scores[row, place] = minus_log10(of_column.get("pvalue"))
                    alarms[row, place] = of_column["drift_category"] == "DRIFT"
        return told(scores, alarms)

    def time(self, windows):
        took = []
        for window in windows:
            begun = time.perf_counter()
            self.judge([window])
            took.append(time.perf_counter() - begun)
        return took


serve(Watch)

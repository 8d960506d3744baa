"""Alibi-Detect (Business Source Licence: for this bench only): TabularDrift as it comes, Bonferroni over columns at 5 %."""

import time

import numpy as np
from alibi_detect.cd import TabularDrift
from serve import is_category, minus_log10, serve, told


class Watch:
    def __init__(self, reference, asked):
        del asked
        # A missing value makes its Kolmogorov–Smirnov p-value NaN: such columns cannot be asked.
        self.columns = [name for name in reference.columns if is_category(reference[name]) or reference[name].notna().all()]
        self.words = {
            name: {word: code for code, word in enumerate(sorted(set(reference[name].fillna(""))))}
            for name in self.columns
            if is_category(reference[name])
        }
        levels = {place: list(range(len(self.words[name]))) for place, name in enumerate(self.columns) if name in self.words}
        self.test = TabularDrift(self._table(reference), p_val=0.05, categories_per_feature=levels or None)

    def _table(self, frame):
        codes = [
            frame[name].fillna("").map(self.words[name]).fillna(-1) if name in self.words else frame[name]
            for name in self.columns
        ]
        return np.column_stack(codes).astype(np.float32)

    def judge(self, windows):
        scores, alarms = [], []
        for window in windows:
            said = self.test.predict(self._table(window), drift_type="batch")["data"]
            p = np.asarray(said["p_val"], dtype=float)
            scores.append([minus_log10(value) for value in p])
            alarms.append(p < said["threshold"])
        return told(scores, alarms)

    def time(self, windows):
        took = []
        for window in windows:
            begun = time.perf_counter()
            self.judge([window])
            took.append(time.perf_counter() - begun)
        return took


serve(Watch)

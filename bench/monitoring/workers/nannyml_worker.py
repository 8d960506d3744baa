"""NannyML: univariate drift, missing and unseen values, all as they come, with chunks of the window's rows."""

import time

import nannyml
import numpy as np
from serve import is_category, serve, told


class Watch:
    def __init__(self, reference, asked):
        # A column without two different values has no distribution to compare: it raises.
        usable = [name for name in reference.columns if reference[name].nunique() > 1]
        words = [name for name in usable if is_category(reference[name])]
        size = {"chunk_size": asked["window_rows"]}
        self.parts = [("", nannyml.UnivariateDriftCalculator(column_names=usable, **size), usable)]
        self.parts.append(
            ("|missing", nannyml.MissingValuesCalculator(column_names=list(reference.columns), **size), list(reference.columns))
        )
        if words:
            self.parts.append(("|unseen", nannyml.UnseenValuesCalculator(column_names=words, **size), words))
        for _, calculator, _ in self.parts:
            calculator.fit(reference)
        self.columns = [name + suffix for suffix, _, names in self.parts for name in names]
        self.rows = asked["window_rows"]

    def judge(self, windows):
        import pandas as pd

        if all(len(window) == self.rows for window in windows):
            windows = [pd.concat(windows, ignore_index=True)]  # a call for all; windows of other sizes are chunks of their own
        said = [self._all(window) for window in windows]
        return told(np.vstack([scores for scores, _ in said]), np.vstack([alarms for _, alarms in said]))

    def _all(self, table):
        scores, alarms = [], []
        for suffix, calculator, names in self.parts:
            result = calculator.calculate(table).filter(period="analysis").to_df()
            for name in names:
                of_column = result[name] if suffix else result[name].iloc[:, :]
                scores.append(_field(of_column, "value"))
                alarms.append(_field(of_column, "alert").astype(bool))
        return np.column_stack(scores).astype(float), np.column_stack(alarms)

    def time(self, windows):
        """Seconds of its drift calculator alone, a window."""
        took = []
        for window in windows:
            begun = time.perf_counter()
            self.parts[0][1].calculate(window)
            took.append(time.perf_counter() - begun)
        return took


def _field(table, wanted):
    """The column whose last level is `wanted`."""
    names = [name for name in table.columns if (name[-1] if isinstance(name, tuple) else name) == wanted]
    return table[names[0]].to_numpy()


serve(Watch)

"""A window of 1,000 rows and 100 features, counted and judged: beside 100 histograms of numpy."""

import time
from datetime import timedelta

import numpy as np

from bench.measure import Row, interleaved
from bench.monitoring.frames import Frame, Past
from bench.monitoring.nulls import before
from bench.monitoring.subjects import Flyball

FEATURES, ROWS, BINS = 100, 1_000, 32


def rows() -> list[Row]:
    draw = np.random.default_rng(1)

    def frame(n: int) -> Frame:
        columns = {f"feature_{k}": draw.normal(size=n) for k in range(FEATURES)}
        return Frame(columns, draw.uniform(size=n), draw.integers(2, size=n).astype(float))

    watch = Flyball(90.0, joint=False).watch(Past(before(frame(20_000), ROWS), timedelta(days=1), ROWS))
    window, edges = frame(ROWS), np.linspace(-4, 4, BINS + 1)

    def ours() -> float:
        begun = time.perf_counter()
        watch.look([window])
        return (time.perf_counter() - begun) * 1000

    def floor() -> float:
        begun = time.perf_counter()
        for values in window.columns.values():
            np.histogram(values, edges)
        return (time.perf_counter() - begun) * 1000

    subject = f"monitoring: {FEATURES} features × {ROWS:,} rows, counted and judged"
    return [interleaved(subject, "ms", ours, (f"{FEATURES} numpy histograms", floor), rounds=21)]

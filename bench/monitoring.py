"""A window of 1,000 rows and 100 features, counted and judged: beside 100 histograms of numpy."""

import time
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from bench.measure import Row, interleaved
from flyball.monitoring import drift
from flyball.monitoring.drift import DriftState
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.profile import profile_of
from flyball.monitoring.reference import HoldoutScores, build
from flyball.monitoring.window import Window
from flyball.records.signature import Column, ColumnType, Signature

FEATURES, ROWS, BINS = 100, 1_000, 32
START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = MonitorPolicy(
    window=timedelta(days=1), budget_windows=90, min_rows=50, mature_share=0.95, label_delay=timedelta(days=1), tolerance=0.01
)


def rows() -> list[Row]:
    draw = np.random.default_rng(1)
    names = [f"feature_{k}" for k in range(FEATURES)]
    signature = Signature(
        task="binary", columns=tuple(Column(name=name, type=ColumnType.NUMBER) for name in names), classes=("0", "1")
    )
    trained = {name: draw.normal(size=20_000).astype(np.float32) for name in names}
    event_us = np.arange(20_000, dtype=np.int64) * 86_400_000  # a thousand rows a day
    held = HoldoutScores(draw.uniform(size=(4_000, 1)), draw.uniform(size=4_000), event_us[:4_000])
    reference = build(signature, trained, event_us, held, POLICY.window, None)
    columns = {name: draw.normal(size=ROWS) for name in names}
    scores = draw.uniform(size=(ROWS, 1))
    edges = np.linspace(-4, 4, BINS + 1)
    state, day = DriftState(), 0

    def ours() -> float:
        nonlocal state, day
        begun = time.perf_counter()
        window = Window(model="shop", unit="u", start=START + timedelta(days=day), end=START + timedelta(days=day + 1))
        reading = drift.judge(reference, state, profile_of(reference, columns, scores), window, POLICY)
        took = time.perf_counter() - begun
        state, day = msgspec.structs.replace(reading.state), day + 1
        return took * 1000

    def floor() -> float:
        begun = time.perf_counter()
        for values in columns.values():
            np.histogram(values, edges)
        return (time.perf_counter() - begun) * 1000

    subject = f"monitoring: {FEATURES} features × {ROWS:,} rows, counted and judged"
    return [interleaved(subject, "ms", ours, (f"{FEATURES} numpy histograms", floor), rounds=21)]

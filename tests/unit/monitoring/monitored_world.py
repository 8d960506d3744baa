"""A small world to watch: ties, categories, missing values, windows of every size, and shifts on demand."""

from datetime import UTC, datetime, timedelta

import numpy as np

from flyball.monitoring import reference
from flyball.monitoring.policy import MonitorPolicy
from flyball.monitoring.window import Window
from flyball.records.signature import Column, ColumnType, Signature

DAY_US = 86_400_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = {
    "temp": ColumnType.NUMBER, "seats": ColumnType.INTEGER, "rain": ColumnType.NUMBER, "night": ColumnType.BOOLEAN,
    "carrier": ColumnType.CATEGORY, "tail": ColumnType.CATEGORY, "fixed": ColumnType.NUMBER,
}  # fmt: skip
SIGNATURE = Signature(
    task="binary", classes=("0", "1"), columns=tuple(Column(name=name, type=kind, missing=True) for name, kind in KINDS.items())
)
POLICY = MonitorPolicy(
    window=timedelta(days=1), budget_windows=90, min_rows=50, mature_share=0.95, label_delay=timedelta(days=3), tolerance=0.01
)


def rows(rng, n, *, warmer=0.0, more_a=0.0, worse=0.0, missing=0.0):
    """Columns, scores (n, 1) and labels of n rows. `warmer` in standard deviations, `more_a`, `worse` and `missing` as shares."""
    temp = rng.normal(warmer, 1.0, n)
    temp[rng.random(n) < 0.05 + missing] = np.nan
    tails = np.array([f"N{i}" for i in range(200)], dtype=object)
    columns = {
        "temp": temp,
        "seats": rng.poisson(4, n).astype(float),
        "rain": np.where(rng.random(n) < 0.6, 0.0, rng.exponential(1.0, n)),
        "night": (rng.random(n) < 0.3).astype(float),
        "carrier": np.array(["A", "B", "C", ""], dtype=object)[rng.choice(4, n, p=[0.4 + more_a, 0.3 - more_a, 0.25, 0.05])],
        "tail": tails[np.minimum(rng.geometric(0.05, n) - 1, 199)],
        "fixed": np.ones(n),
    }
    p = rng.beta(1.0, 3.0, n)
    labels = (rng.random(n) < np.clip(p + worse, 0.0, 1.0)).astype(int)
    return columns, p[:, None], labels


def watched(rng, *, days=40, n=600, warmer=0.0):
    """A reference of so many days with 0.5 to 1.5 n rows each; the last fifth is the holdout. `warmer`: of all days, or of each."""
    sizes = rng.integers(n // 2, n + n // 2, days)
    shift = np.repeat(np.broadcast_to(warmer, days), sizes)
    columns, scores, labels = rows(rng, int(sizes.sum()), warmer=shift)
    times = np.repeat(np.arange(days), sizes) * DAY_US
    late = times >= 0.8 * days * DAY_US
    holdout = reference.HoldoutScores(scores[late], (scores[late, 0] - labels[late]) ** 2, times[late])
    return reference.build(SIGNATURE, columns, times, holdout, timedelta(days=1), None)


def day(number):
    return Window(model="m", unit="u1", start=START + timedelta(days=number), end=START + timedelta(days=number + 1))

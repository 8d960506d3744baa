"""Rows whose outcome depends on their features in a known way, and models that do not know all of it."""

from datetime import timedelta

import numpy as np

from flyball.monitoring import estimates
from flyball.records.signature import Column, ColumnType, Signature

DAY_US = 86_400_000_000
COLUMNS = (
    Column(name="a", type=ColumnType.NUMBER),
    Column(name="b", type=ColumnType.NUMBER, missing=True),
    Column(name="c", type=ColumnType.CATEGORY, missing=True),
)


def signature(task="binary", classes=("0", "1")):
    return Signature(task=task, classes=() if task == "regression" else classes, columns=COLUMNS)


def features(rng, n, shift=0.0):
    b = rng.normal(0.5 * shift, 1.0, n)
    b[rng.random(n) < 0.05] = np.nan
    return {
        "a": rng.normal(shift, 1.0, n),
        "b": b,
        "c": np.array(["x", "y", "z", ""], dtype=object)[rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])],
    }


def odds(columns):
    return -1.0 + columns["a"] + 0.7 * np.nan_to_num(columns["b"]) * (columns["c"] == "x")


def binary(rng, n, shift=0.0, luck=0.0):
    """Scores of a model that knows `a` alone and is overconfident; labels. `luck`: added to the odds of all rows, or of each."""
    columns = features(rng, n, shift)
    labels = (rng.random(n) < 1.0 / (1.0 + np.exp(-odds(columns) - luck))).astype(float)
    return columns, (1.0 / (1.0 + np.exp(1.0 - 1.3 * columns["a"])))[:, None], labels


def multiclass(rng, n, shift=0.0):
    columns = features(rng, n, shift)
    true = np.column_stack((np.zeros(n), columns["a"], 0.5 * np.nan_to_num(columns["b"]) - 0.3))
    told = np.column_stack((np.zeros(n), 1.3 * columns["a"], np.full(n, -0.2)))
    p, scores = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (true, told))
    return columns, scores, (rng.random((n, 1)) > np.cumsum(p, axis=1)).sum(axis=1).astype(float)


def regression(rng, n, shift=0.0):
    """Noise grows with `a`, and the model is off where `b` is large."""
    columns = features(rng, n, shift)
    truth = 10.0 + 2.0 * columns["a"] + np.nan_to_num(columns["b"])
    return columns, (10.0 + 2.0 * columns["a"])[:, None], truth + rng.normal(size=n) * np.exp(0.3 * columns["a"])


KINDS = {"binary": binary, "multiclass": multiclass, "regression": regression}


def reference(task, rows, *, days=0):
    """`days`: rows are dealt out to so many days; 0: times are not known."""
    columns, scores, labels = rows
    classes = tuple(str(k) for k in range(max(scores.shape[1], 2)))
    times = None if days == 0 else np.arange(labels.size) * days // labels.size * DAY_US
    scale = 8.0 if task == "regression" else None
    return estimates.build(signature(task, classes), columns, times, (scores, labels), timedelta(days=1), scale)

"""A window's metrics on its labels, each with an interval for this one look."""

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.reference import Reference
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.stats import auc

ALPHA = 0.05
NORMAL = 1.959964
"""Two-sided 5 % point of the normal distribution."""
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Below it a log loss is cut, as scikit-learn does: an infinite mean says nothing of the other rows."""

Floats = NDArray[np.float64]


def realised(reference: Reference, scores: Floats, labels: NDArray[Any], window: Window) -> dict[str, Evidence]:
    """Metric → evidence: roc_auc (binary), log_loss and brier, or mae. Intervals take rows as independent; `scores` (n_rows, n_scores)."""
    if labels.size == 0:
        return {}
    digest = hashlib.sha256(scores.tobytes() + np.asarray(labels, dtype=np.float64).tobytes()).hexdigest()
    losses = _regression(scores, labels) if reference.task == "regression" else _classification(scores, labels)
    found = {name: _mean(name, values, window, digest) for name, values in losses.items()}
    if reference.task == "binary":
        found["roc_auc"] = _roc_auc(scores[:, 0], labels, window, digest)
    return found


def _regression(scores: Floats, labels: NDArray[Any]) -> dict[str, Floats]:
    return {"mae": np.abs(scores[:, 0] - labels)}


def _classification(scores: Floats, labels: NDArray[Any]) -> dict[str, Floats]:
    table = np.column_stack([1.0 - scores[:, 0], scores[:, 0]]) if scores.shape[1] == 1 else scores
    index = labels.astype(np.int64)
    chosen = np.clip(table[np.arange(len(table)), index], SMALLEST_PROBABILITY, 1.0)
    truth = np.zeros_like(table)
    truth[np.arange(len(table)), index] = 1.0
    squared = ((table - truth) ** 2).sum(axis=1)
    return {"log_loss": -np.log(chosen), "brier": squared / 2.0}


def _mean(name: str, values: Floats, window: Window, digest: str) -> Evidence:
    n = int(values.size)
    mean = float(values.mean())
    half = NORMAL * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else None
    return Evidence(
        name=name,
        value=mean,
        lower=None if half is None else mean - half,
        upper=None if half is None else mean + half,
        alpha=None if half is None else ALPHA,
        n=n,
        since=window.start,
        until=window.end,
        method="mean of the rows, normal interval",
        inputs=digest,
    )


def _roc_auc(scores: Floats, labels: NDArray[Any], window: Window, digest: str) -> Evidence:
    n, positives = int(labels.size), int(np.count_nonzero(labels))
    value = lower = upper = None
    note = ""
    if min(positives, n - positives) < 2:
        note = f"{positives} of {n} labels are positive: two rows of each class are needed"
    else:
        value, lower, upper = auc.roc_auc_interval(labels.astype(np.int64), scores, ALPHA)
    return Evidence(
        name="roc_auc",
        value=value,
        lower=lower,
        upper=upper,
        alpha=None if value is None else ALPHA,
        n=n,
        since=window.start,
        until=window.end,
        method="DeLong 1988",
        inputs=digest,
        note=note,
    )

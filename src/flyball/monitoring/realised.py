"""A window's metrics on its labels, each with an interval for this one look."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.errors import FlyballError
from flyball.monitoring.reference import Reference
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.stats import auc, metrics, weighted_metrics
from flyball.stats.metrics import Metric
from flyball.stats.weighted_bootstrap import bootstrap_interval, value_of
from flyball.stats.weighted_metrics import Rows, effective_size

ALPHA = 0.05
OF_TASK: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "binary": ("roc_auc", "pr_auc", "log_loss", "brier", "f1", "accuracy"),
    "multiclass": ("roc_auc", "pr_auc", "log_loss", "brier", "f1", "accuracy"),
    "regression": ("mae", "rmse", "mape"),
})  # fmt: skip
METHODS: Mapping[str, str] = MappingProxyType({
    "roc_auc": "DeLong 1988", "pr_auc": "influence function on the logit scale", "f1": "Wilson's interval of the Jaccard index",
    "accuracy": "Wilson's interval", "rmse": "root of the mean square, Student's t made symmetric (Hall 1992)",
})  # fmt: skip
"""How the interval is made; of the others: MEAN."""
MEAN = "mean of the rows, Student's t made symmetric (Hall 1992)"
LEAST_RESAMPLED = 20
"""Rows, as their weights count: of fewer the percentiles of resamples lie far too close together, and those of one row at the row itself."""
USERS_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, FlyballError)
"""What a user's own metric may raise on rows that it did not expect: the window is judged without it, and says so."""

Floats = NDArray[np.float64]


class Weighting(NamedTuple):
    """What each labelled row stands for, where the labelled are no plain sample of all."""

    weights: Floats
    """(n_rows,) inverse chances of having a label by now."""
    groups: NDArray[np.int64]
    """(n_rows,) of rows whose chance was estimated together."""
    group_log_sd: Floats
    """(n_groups,) how sure the chance is."""
    words: str
    """What was corrected, and what was assumed."""


def realised(
    reference: Reference,
    scores: ArrayLike,
    labels: ArrayLike,
    window: Window,
    weighting: Weighting | None = None,
    own: Mapping[str, Metric] = MappingProxyType({}),
) -> dict[str, Evidence]:
    """Metric → evidence, all that the task has and the user's own (name → callable of task, scores and labels). Intervals take rows as independent.

    `scores` (n_rows, n_scores). Without rows: nothing. Where a metric is not defined its value is None and its note says why.
    """
    table, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if truth.size == 0:
        return {}
    rows = weighted_metrics.rows_of(reference.task, table, truth, None if weighting is None else weighting.weights)
    if weighting is not None:
        rows = rows._replace(groups=weighting.groups, group_log_sd=weighting.group_log_sd)
    common = _common(rows, window, weighting)
    found = {name: _metric(name, reference, rows, common) for name in OF_TASK[reference.task]}
    return found | {name: _own(name, metric, reference, rows, common) for name, metric in own.items()}


def refused(
    reference: Reference, window: Window, n: int, why: str, own: Mapping[str, Metric] = MappingProxyType({})
) -> dict[str, Evidence]:
    """Every metric without a value: what the labels show is not the model's performance, and never a pass."""
    names = (*OF_TASK[reference.task], *own)
    return {name: Evidence(name=name, value=None, n=n, since=window.start, until=window.end, note=why) for name in names}


def _common(rows: Rows, window: Window, weighting: Weighting | None) -> dict[str, Any]:
    digest = hashlib.sha256(rows.scores.tobytes() + rows.labels.tobytes())
    if weighting is not None:
        digest.update(rows.weights.tobytes())
    return {
        "n": int(rows.labels.size), "since": window.start, "until": window.end, "inputs": digest.hexdigest(),
        "note": "" if weighting is None else weighting.words,
    }  # fmt: skip


def _metric(name: str, reference: Reference, rows: Rows, common: dict[str, Any]) -> Evidence:
    method = METHODS.get(name, MEAN)
    if common["note"]:
        method += ", rows weighted by the inverse chance of their label (Hájek 1971)"
    why = _undefined(name, reference, rows)
    if why:
        return Evidence(name=name, value=None, method=method, **(common | {"note": why}))
    told: tuple[float, float, float] | None
    if (name, reference.task) == ("roc_auc", "binary") and rows.groups is None:
        told = auc.roc_auc_interval(rows.labels.astype(np.int64), rows.scores[:, 0], ALPHA)
    else:
        told = weighted_metrics.estimate(name, reference.task, rows, ALPHA)
    if told is None or not np.all(np.isfinite(told)):
        return Evidence(name=name, value=None, method=method, **(common | {"note": f"{name} is no finite number on these rows"}))
    value, lower, upper = told
    if rows.labels.size < 2:
        return Evidence(name=name, value=value, method=method, **common)
    note = "; ".join(filter(None, (common["note"], weighted_metrics.unsure(name, reference.task, rows))))
    return Evidence(name=name, value=value, lower=lower, upper=upper, alpha=ALPHA, method=method, **(common | {"note": note}))


def _undefined(name: str, reference: Reference, rows: Rows) -> str:
    """Why there is no metric; areas want two rows of each class, for their interval."""
    n = int(rows.labels.size)
    if name in ("roc_auc", "pr_auc"):
        if reference.task == "binary":
            positives = int(np.count_nonzero(rows.labels))
            if min(positives, n - positives) < 2:
                return f"{positives} of {n} labels are positive: two rows of each class are needed"
        elif min(np.bincount(rows.labels.astype(np.int64), minlength=rows.scores.shape[1])) < 2:
            return "two rows of each class are needed"
    if name == "mape" and not np.all(rows.labels):
        return f"{n - np.count_nonzero(rows.labels)} of {n} labels are 0: a share of 0 is not defined"
    return metrics.undefined(name, reference.task, rows.scores, rows.labels)


def _own(name: str, metric: Metric, reference: Reference, rows: Rows, common: dict[str, Any]) -> Evidence:
    seed = int(common["inputs"][:16], 16)
    method, size = "the project's own, percentile bootstrap", effective_size(rows.weights)
    try:
        if size < LEAST_RESAMPLED:
            few = f"no interval: rows that count as {size:.0f}, a bootstrap needs {LEAST_RESAMPLED}"
            note = "; ".join(filter(None, (common["note"], few)))
            return Evidence(name=name, value=value_of(metric, reference.task, rows), method=method, **(common | {"note": note}))
        value, lower, upper = bootstrap_interval(metric, reference.task, rows, alpha=ALPHA, seed=seed)
    except USERS_FAULTS as fault:
        why = f"{name} raised {type(fault).__name__}: {fault}"[:300]
        return Evidence(name=name, value=None, method=method, **(common | {"note": why}))
    return Evidence(name=name, value=value, lower=lower, upper=upper, alpha=ALPHA, method=method, **common)

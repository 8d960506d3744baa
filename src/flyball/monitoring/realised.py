"""A window's metrics on its labels, each with an interval for this one look."""

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.monitoring.reference import Reference
from flyball.monitoring.window import Window
from flyball.records.evidence import Evidence
from flyball.stats import auc, metrics, weighted_metrics
from flyball.stats.weighted_metrics import Rows

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
) -> dict[str, Evidence]:
    """Metric → evidence, all that the task has. Intervals take rows as independent. F1 and accuracy of two classes are of what the unit answered: the
    reference has its threshold.

    `scores` (n_rows, n_scores). Without rows: nothing. Where a metric is not defined its value is None and its note says why.
    """
    table, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if truth.size == 0:
        return {}
    rows = weighted_metrics.rows_of(reference.task, table, truth, None if weighting is None else weighting.weights)
    rows = rows._replace(threshold=reference.threshold)
    if weighting is not None:
        rows = rows._replace(groups=weighting.groups, group_log_sd=weighting.group_log_sd)
    common = _common(rows, window, weighting)
    return {name: _metric(name, reference, rows, common) for name in OF_TASK[reference.task]}


def refused(reference: Reference, window: Window, n: int, why: str, own: Iterable[str] = ()) -> dict[str, Evidence]:
    """Every metric, the user's own too (their names), without a value: what the labels show is not the model's performance, and never a pass."""
    return without_value((*OF_TASK[reference.task], *own), window, n, why)


def without_value(names: Iterable[str], window: Window, n: int, why: str) -> dict[str, Evidence]:
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
    method = METHODS.get(name, MEAN) + metrics.of_answers(name, reference.task, reference.threshold)
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

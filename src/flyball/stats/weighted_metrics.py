"""A metric of weighted rows with an interval: by its influence function, in O(n log n).

A metric is a functional of the rows' distribution; a row's influence is how much it moves it (Hampel, JASA 69, 1974). Then, rows being independent,
the variance is Σ w² ψ² / (Σ w)², whatever the metric: for ROC AUC it is DeLong's, for a mean the sandwich. Weights are inverse probabilities of being seen
(Hájek 1971), known up to a common factor; where a factor common to a group of rows was estimated, `group_log_sd` adds what its error does. Values equal
scikit-learn's with `sample_weight`. Intervals hold at ONE look, for rows independent of one another: shares (accuracy, F1 by way of the Jaccard index)
by Wilson's with Korn & Graubard's effective size (Survey Methodology 24, 1998); areas and the macro F1 on the logit scale, with the variance and Student's t of the
rows of each class (`auc.py`); mean errors and losses, and the root of one, by Hall's transformation of Student's t (`skewed_mean.py`).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.records.signature import Task
from flyball.stats import skewed_mean
from flyball.stats.auc import area_ends, roc_ends
from flyball.stats.losses import score_table
from flyball.stats.metrics import HALF, predicted, undefined
from flyball.stats.student import t_quantile

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """Labelled rows and what each stands for."""

    scores: Floats
    """(n_rows, n_scores)"""
    labels: Floats
    weights: Floats
    """(n_rows,) above 0."""
    groups: Ints | None = None
    """(n_rows,) of rows whose weights have an estimated factor in common."""
    group_log_sd: Floats | None = None
    """(n_groups,) standard deviation of the factor's logarithm."""
    threshold: float = HALF
    """Two classes: the score from which the answer is the positive one."""


class Estimate(NamedTuple):
    value: float
    lower: float
    upper: float


class Influence(NamedTuple):
    value: float
    rows: Floats
    """(n_rows,) their weighted mean is 0."""


def rows_of(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Rows:
    """Rows of one weight, or of the given ones. Raises ValueError when they do not belong together or a weight is not above 0."""
    table, truth = score_table(task, scores), np.asarray(labels, dtype=np.float64)
    weight = np.ones(truth.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(table) == truth.size == weight.size or not np.all(np.isfinite(weight) & (weight > 0.0)):
        raise ValueError(
            f"a label and a finite weight above 0 for each of {len(table)} rows, found {truth.size} and {weight.size}"
        )
    return Rows(table, truth, weight)


def estimate(name: str, task: Task, rows: Rows, alpha: float) -> Estimate | None:
    """The metric with an interval that misses with chance `alpha`; None where `metrics.undefined` says why.

    >>> scores, labels = [[0.9], [0.6], [0.4], [0.2]] * 25, [1, 0, 1, 0] * 25
    >>> value, lower, upper = estimate("accuracy", "binary", rows_of("binary", scores, labels), 0.05)
    >>> value, round(lower, 3), round(upper, 3)
    (0.5, 0.402, 0.598)
    """
    if undefined(name, task, rows.scores, rows.labels):
        return None
    if name == "f1" and task == "binary":
        return _f1(rows, alpha)
    influence = _INFLUENCE[name](task, rows)
    return _SCALE.get(name, _mean)(influence, rows, alpha)


def unsure(name: str, task: Task, rows: Rows) -> str:
    """Why the interval may miss more often than it claims; empty: nothing is known against it. Only of means: errors, losses."""
    if name not in MEANS or undefined(name, task, rows.scores, rows.labels):
        return ""
    influence = _INFLUENCE[name](task, rows)
    mean = _squared(influence) if name == "rmse" else influence
    found = _moments(mean, rows)
    if found.error == 0.0:
        return f"{name} is the same on each of {rows.weights.size} rows: they say nothing of how far others lie from it"
    if found.skewness < skewed_mean.CARRIED_BY_FEW:
        return ""
    of_variance = _moved(mean, rows) ** 2
    return (
        f"{name} hangs on few rows, as many as {effective_size(of_variance):.0f} of {rows.weights.size} that count alike: "
        "its interval misses more often than it claims where large errors are rare"
    )


def effective_size(weights: Floats) -> float:
    """Rows of equal weight that would say as much (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def deviation(influence: Influence, rows: Rows) -> float:
    """Standard error: of the rows, and of the weights' estimated factors."""
    moved, n = _moved(influence, rows), rows.weights.size
    return math.sqrt(float((moved**2).sum()) * n / max(n - 1, 1) + _of_factors(moved, rows))


def _moved(influence: Influence, rows: Rows) -> Floats:
    """(n_rows,) what each adds to the metric."""
    return np.asarray(rows.weights / rows.weights.sum() * influence.rows, dtype=np.float64)


def _of_factors(moved: Floats, rows: Rows) -> float:
    """Variance that the weights' estimated factors bring."""
    if rows.groups is None or rows.group_log_sd is None:
        return 0.0
    of_group = np.bincount(rows.groups, weights=moved, minlength=rows.group_log_sd.size)
    return float(((of_group * rows.group_log_sd) ** 2).sum())


def _by_class(influence: Influence, rows: Rows) -> tuple[float, float]:
    """Variance, and as how many rows those of the rarest class count. A class's few rows lie around a mean of their own, not around that of all rows."""
    moved = _moved(influence, rows)
    _, of_class = np.unique(rows.labels, return_inverse=True)
    sizes = np.array([effective_size(rows.weights[of_class == k]) for k in range(int(of_class.max()) + 1)])
    # half a row at least: weights of which one has all count as one row, of which no variance is known
    variance = float(np.bincount(of_class, weights=moved**2) @ (sizes / np.maximum(sizes - 1.0, 0.5)))
    return variance + _of_factors(moved, rows), float(sizes.min())


def _mean_of(values: Floats, rows: Rows) -> Influence:
    value = float(np.average(values, weights=rows.weights))
    return Influence(value, values - value)


def _log_loss(task: Task, rows: Rows) -> Influence:
    table = np.hstack((1.0 - rows.scores, rows.scores)) if task == "binary" else rows.scores
    table = np.clip(table, 0.0, 1.0)
    total = table.sum(axis=1)
    chosen = table[np.arange(len(table)), rows.labels.astype(np.intp)]
    share = np.divide(chosen, total, out=np.full_like(chosen, 1.0 / table.shape[1]), where=total > 0)
    return _mean_of(-np.log(np.clip(share, np.finfo(np.float64).eps, 1.0)), rows)


def _brier(task: Task, rows: Rows) -> Influence:
    from flyball.stats.losses import bounded_loss

    return _mean_of(bounded_loss(task, rows.scores, rows.labels), rows)


def _accuracy(task: Task, rows: Rows) -> Influence:
    return _mean_of((predicted(task, rows.scores, rows.threshold) == rows.labels).astype(np.float64), rows)


def _mae(_: Task, rows: Rows) -> Influence:
    return _mean_of(np.abs(rows.scores[:, 0] - rows.labels), rows)


def _mape(_: Task, rows: Rows) -> Influence:
    size = np.maximum(np.abs(rows.labels), np.finfo(np.float64).eps)
    return _mean_of(np.abs(rows.scores[:, 0] - rows.labels) / size, rows)


def _rmse(_: Task, rows: Rows) -> Influence:
    squared = _mean_of((rows.scores[:, 0] - rows.labels) ** 2, rows)
    root = math.sqrt(squared.value)
    return Influence(root, squared.rows / (2.0 * root) if root > 0.0 else squared.rows)


def _macro_f1(task: Task, rows: Rows) -> Influence:
    """Mean over the classes that occur, as labels or as answers (scikit-learn's)."""
    answers, parts = predicted(task, rows.scores, rows.threshold), []
    for k in np.union1d(np.unique(rows.labels), np.unique(answers)):
        hit, either = ((rows.labels == k) & (answers == k)) * 2.0, (rows.labels == k) * 1.0 + (answers == k)
        mean = float(np.average(either, weights=rows.weights))
        value = float(np.average(hit, weights=rows.weights)) / mean
        parts.append(Influence(value, (hit - value * either) / mean))
    return _mean_influence(parts)


def _roc_auc(task: Task, rows: Rows) -> Influence:
    return _each_against_the_rest(_one_roc_auc, task, rows)


def _pr_auc(task: Task, rows: Rows) -> Influence:
    return _each_against_the_rest(_one_pr_auc, task, rows)


def _one_roc_auc(truth: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Influence:
    """DeLong, DeLong & Clarke-Pearson (1988) with weights: a row's influence is its placement among the rows of the other class."""
    positive, negative = np.where(truth, weights, 0.0), np.where(truth, 0.0, weights)
    p, q = positive.sum(), negative.sum()
    below = _weight_below(scores, negative) / q
    above = 1.0 - _weight_below(scores, positive) / p
    area = float((positive * below).sum() / p)
    whole = weights.sum()
    return Influence(area, np.where(truth, (below - area) * whole / p, (above - area) * whole / q))


def _one_pr_auc(truth: npt.NDArray[np.bool_], scores: Floats, weights: Floats) -> Influence:
    """Average precision is the mean, over positives, of the precision at their score; a row moves its own term and the precision of all below it."""
    order = np.argsort(-scores, kind="stable")
    ranked, hit, weight = scores[order], truth[order].astype(np.float64), weights[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    group = np.searchsorted(last, np.arange(ranked.size))
    reached, found = np.cumsum(weight)[last], np.cumsum(weight * hit)[last]
    precision = found / reached
    positives = np.diff(found, prepend=0.0)
    total = found[-1]
    area = float((positives * precision).sum() / total)
    # Σ over positives at or below a row's score of 1/N and of precision/N, N the weight at or above that positive
    of_one = np.cumsum((positives / reached)[::-1])[::-1][group]
    of_precision = np.cumsum((positives * precision / reached)[::-1])[::-1][group]
    moved = hit * (precision[group] - area) + hit * of_one - of_precision
    influence = np.empty_like(moved)
    influence[order] = moved * weights.sum() / total
    return Influence(area, influence)


def _weight_below(scores: Floats, weights: Floats) -> Floats:
    """For each row: the weight of lower scores and half of that of equal ones."""
    _, inverse = np.unique(scores, return_inverse=True)
    at = np.bincount(inverse, weights=weights)
    return np.asarray((np.cumsum(at) - at / 2.0)[inverse], dtype=np.float64)


def _each_against_the_rest(
    one: Callable[[npt.NDArray[np.bool_], Floats, Floats], Influence], task: Task, rows: Rows
) -> Influence:
    if task == "binary":
        return one(rows.labels == 1, rows.scores[:, 0], rows.weights)
    return _mean_influence([one(rows.labels == k, rows.scores[:, k], rows.weights) for k in range(rows.scores.shape[1])])


def _mean_influence(parts: list[Influence]) -> Influence:
    return Influence(float(np.mean([part.value for part in parts])), np.mean([part.rows for part in parts], axis=0))


def _f1(rows: Rows, alpha: float) -> Estimate:
    """Of the rows that are positive or are called so, the share that is both (Jaccard) gives F1 = 2 J / (1 + J): an interval of the one is one of the other."""
    answers = predicted("binary", rows.scores, rows.threshold)
    either = (rows.labels == 1) | (answers == 1)
    if not either.any():
        return Estimate(0.0, 0.0, 1.0)  # scikit-learn's 0; nothing is known
    part = rows._replace(
        scores=rows.scores[either],
        labels=rows.labels[either],
        weights=rows.weights[either],
        groups=None if rows.groups is None else rows.groups[either],
    )
    both = ((part.labels == 1) & (answers[either] == 1)).astype(np.float64)
    jaccard = _wilson(_mean_of(both, part), part, alpha)
    return Estimate(*(2.0 * share / (1.0 + share) for share in jaccard))


def _mean(influence: Influence, rows: Rows, alpha: float) -> Estimate:
    lower, upper = skewed_mean.ends(_moments(influence, rows), _t(rows, alpha))
    return Estimate(influence.value, max(lower, 0.0), upper)


def _root(influence: Influence, rows: Rows, alpha: float) -> Estimate:
    """An interval of the mean square is one of its root: squares are skewed in a way that the mean's transformation knows of."""
    square = _mean(_squared(influence), rows, alpha)
    return Estimate(influence.value, math.sqrt(square.lower), math.sqrt(square.upper))


def _squared(root: Influence) -> Influence:
    """Of the mean square, whose root has the influence `root`."""
    return Influence(root.value**2, root.rows * 2.0 * root.value)


def _moments(influence: Influence, rows: Rows) -> skewed_mean.Moments:
    error, third = deviation(influence, rows), float((_moved(influence, rows) ** 3).sum())
    if error <= ROUNDING * abs(influence.value):
        return skewed_mean.Moments(influence.value, 0.0, 0.0)
    return skewed_mean.Moments(influence.value, error, third / error**3 if error > 0.0 else 0.0)


def _wilson(influence: Influence, rows: Rows, alpha: float) -> Estimate:
    """Wilson's interval of a share, for as many independent rows as would have its variance."""
    share, error = influence.value, deviation(influence, rows)
    size = effective_size(rows.weights)
    if 0.0 < share < 1.0 and error > 0.0:
        size = min(share * (1.0 - share) / error**2, size)
    z2 = _t(rows, alpha) ** 2
    centre = (share + z2 / (2.0 * size)) / (1.0 + z2 / size)
    half = math.sqrt(z2 * (share * (1.0 - share) / size + z2 / (4.0 * size**2))) / (1.0 + z2 / size)
    return Estimate(share, max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0))


def _area(influence: Influence, rows: Rows, alpha: float) -> Estimate:
    return Estimate(influence.value, *area_ends(influence.value, *_by_class(influence, rows), alpha))


def _roc_area(influence: Influence, rows: Rows, alpha: float) -> Estimate:
    return Estimate(influence.value, *roc_ends(influence.value, *_by_class(influence, rows), alpha))


def _t(rows: Rows, alpha: float) -> float:
    return t_quantile(1.0 - alpha / 2.0, max(int(effective_size(rows.weights)) - 1, 1))


_INFLUENCE: dict[str, Callable[[Task, Rows], Influence]] = {
    "roc_auc": _roc_auc, "pr_auc": _pr_auc, "log_loss": _log_loss, "brier": _brier, "accuracy": _accuracy, "f1": _macro_f1,
    "mae": _mae, "rmse": _rmse, "mape": _mape,
}  # fmt: skip
_SCALE = {"roc_auc": _roc_area, "pr_auc": _area, "f1": _area, "accuracy": _wilson, "rmse": _root}
ROUNDING = 1e-12
"""Of a mean: rows that are the same differ from it by no more than rounding."""
MEANS = frozenset({"log_loss", "brier", "mae", "rmse", "mape"})

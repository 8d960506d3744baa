"""The loss of each row, bounded in [0, 1]: what sequential comparisons and monitors average.

Bounded, because a sequence that holds at every look needs a range. Binary and multiclass: the Brier score (Brier 1950), halved for
multiclass so that it ends at 1. Regression: the absolute error over a stated scale, cut at 1: errors beyond the scale count the same. Where scores are
divided by a threshold: what wrong answers cost.
"""

from typing import get_args

import numpy as np
import numpy.typing as npt

from flyball.records.signature import Task

Floats = npt.NDArray[np.float64]
TASKS: tuple[str, ...] = get_args(Task)


def bounded_loss(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike, scale: float | None = None) -> Floats:
    """The loss of each row, shape (n,), in [0, 1]; NaN where the score or the label is NaN.

    `scores`: (n, 1) or (n,) for binary (probability of the positive class) and regression, (n, k) for multiclass;
    `labels`: (n,) index of the class, or the number; `scale`: regression only, in the label's unit.
    Raises ValueError when shapes, class indices or the scale do not fit.

    >>> bounded_loss("binary", [[0.75], [0.5]], [1, 0]).tolist()
    [0.0625, 0.25]
    >>> bounded_loss("regression", [[3.0], [90.0]], [1.0, 0.0], scale=4.0).tolist()
    [0.5, 1.0]
    """
    table = score_table(task, scores)
    truth = np.asarray(labels, dtype=np.float64)
    if truth.shape != (table.shape[0],):
        raise ValueError(f"one label a row: {table.shape[0]} rows of scores, labels of shape {truth.shape}")
    if task == "regression":
        if scale is None or not scale > 0.0:
            raise ValueError(f"a scale above 0 for regression, found {scale}")
        return np.minimum(np.abs(table[:, 0] - truth) / scale, 1.0)
    if task == "binary":
        _check_classes(truth, 2)
        return np.clip((table[:, 0] - truth) ** 2, 0.0, 1.0)
    _check_classes(truth, table.shape[1])
    # Σₖ (pₖ − 1[y = k])² = Σ pₖ² − 2 p_y + 1
    missing = np.isnan(truth)
    index = np.where(missing, 0.0, truth).astype(np.intp)
    loss = (np.sum(table**2, axis=1) - 2.0 * table[np.arange(table.shape[0]), index] + 1.0) / 2.0
    return np.where(missing, np.nan, np.clip(loss, 0.0, 1.0))


def wrong_costs(scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float, yes_cost: float) -> Floats:
    """What wrong answers of two classes cost where a threshold divides the scores, shape (n,), in [0, 1]: `yes_cost` of a wrong yes, 1 − `yes_cost` of a
    wrong no; NaN where the score or the label is NaN. A threshold t on calibrated scores is best where a wrong yes costs t and a wrong no 1 − t (Elkan,
    IJCAI 2001): so `serve.threshold` says what they cost. `scores`: (n, 1) or (n,), `labels`: (n,) 0 or 1.

    >>> wrong_costs([0.75, 0.5, 0.25], [0, 0, 1], threshold=0.5, yes_cost=0.25).tolist()
    [0.25, 0.25, 0.75]
    """
    answers, truth = score_table("binary", scores)[:, 0], np.asarray(labels, dtype=np.float64)
    said = answers >= threshold
    costs = np.where(said & (truth == 0.0), yes_cost, np.where(~said & (truth == 1.0), 1.0 - yes_cost, 0.0))
    return np.where(np.isnan(answers) | np.isnan(truth), np.nan, costs)


def score_table(task: Task, scores: npt.ArrayLike) -> Floats:
    """`scores` as float64 of shape (n, k), k = 1 but for multiclass. Raises ValueError when they have another shape, or the task is none."""
    if task not in TASKS:
        raise ValueError(f"one of the tasks {', '.join(TASKS)}, found {str(task)[:40]!r}")
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 1 and task != "multiclass":
        table = table[:, None]
    wanted = table.ndim == 2 and (table.shape[1] >= 2 if task == "multiclass" else table.shape[1] == 1)
    if not wanted:
        expected = "(n, number of classes)" if task == "multiclass" else "(n, 1)"
        raise ValueError(f"{task} scores of shape {expected}, found {table.shape}")
    return table


def _check_classes(truth: Floats, classes: int) -> None:
    known = truth[~np.isnan(truth)]
    if known.size and (np.any(known != np.floor(known)) or known.min() < 0 or known.max() >= classes):
        raise ValueError(f"class indices from 0 to {classes - 1}, found {known.min():g} to {known.max():g}")

"""The metrics by name. scikit-learn's wherever it has one; ours only the half Brier score of several classes (the mean of `bounded_loss`).

Each takes (task, scores, labels) as `bounded_loss` does, over whole rows: no NaN. Each raises DataError where it is not defined, and all of this module where
nobody can have meant what was given: a metric or task that does not exist, another number of labels than of rows, labels that are no class index.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from flyball.errors import DataError
from flyball.records.signature import Task
from flyball.stats.losses import TASKS, bounded_loss, score_table

Floats = npt.NDArray[np.float64]
Metric = Callable[[Task, npt.ArrayLike, npt.ArrayLike], float]

HALF = 0.5
"""The score of two classes from which the answer is the positive one, where nobody says another."""
DECIDED = frozenset({"accuracy", "f1"})
"""Metrics of answers: of two classes, of what a threshold makes of the scores. All others are of the scores themselves."""
HIGHER_IS_BETTER = frozenset({"roc_auc", "pr_auc", "accuracy", "f1"})
"""All others: lower is better."""

_CLASSIFICATION = frozenset({"roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1"})
_NEEDS_EVERY_CLASS = frozenset({"roc_auc", "pr_auc"})


def measure(name: str, task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float = HALF) -> float | None:
    """The metric, or None where these rows do not define it (`undefined` says why). `threshold`: of those in DECIDED, for two classes.
    Raises DataError for what is no such question.

    >>> measure("accuracy", "binary", [[0.9], [0.2], [0.7]], [1, 0, 0])
    0.6666666666666666
    >>> measure("accuracy", "binary", [[0.9], [0.2], [0.7]], [1, 0, 0], 0.8)
    1.0
    >>> measure("roc_auc", "binary", [[0.9], [0.2]], [1, 1]) is None
    True
    """
    if undefined(name, task, scores, labels):
        return None
    return _OF_ANSWERS[name](task, scores, labels, threshold) if name in DECIDED else METRICS[name](task, scores, labels)


def predicted(task: Task, table: Floats, threshold: float = HALF) -> npt.NDArray[np.intp]:
    """(n_rows,) the class that each row of scores (n_rows, n_scores) is answered with, as gateways do."""
    return (table[:, 0] >= threshold).astype(np.intp) if task == "binary" else np.argmax(table, axis=1)


def undefined(name: str, task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> str:
    """Why the metric is not defined on these rows, in words; empty when it is. Raises DataError for what is no such question."""
    _refuse(name, METRICS, "metric")
    table, truth = _rows(task, scores, labels)
    if (name in _CLASSIFICATION) is (task == "regression"):
        return f"{name} is not a metric of the task {task}"
    if truth.size == 0:
        return f"{name} needs rows, found none"
    if not (np.all(np.isfinite(table)) and np.all(np.isfinite(truth))):
        return f"{name} needs finite scores and labels"
    if task == "regression":
        return ""
    expected = table.shape[1] if task == "multiclass" else 2
    # Of the classes that there are, not of the rows: windows are asked for six metrics each.
    found = np.unique(truth)
    if found[0] < 0 or found[-1] >= expected or np.any(found != np.floor(found)):
        wrong = next(float(each) for each in found if not (0 <= each < expected and each == np.floor(each)))
        raise DataError(f"a label {wrong:g} in a task of {expected} classes", expected=f"class indices from 0 to {expected - 1}")
    if name in _NEEDS_EVERY_CLASS and found.size < expected:
        return f"{name} needs rows of every class, found {found.size} of {expected} classes"
    return ""


def _refuse(given: str, known: Collection[str], what: str) -> None:
    if given not in known:
        raise DataError(f"no {what} is called {str(given)[:40]!r}", expected=f"one of {', '.join(known)}")


def _rows(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Floats]:
    _refuse(task, TASKS, "task")
    table, truth = score_table(task, _numbers(scores, "scores")), _numbers(labels, "labels")
    if truth.shape != (len(table),):
        raise DataError(f"{len(table)} rows of scores, labels of shape {truth.shape}", expected="one label for each row")
    return table, truth


def _numbers(values: npt.ArrayLike, what: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        wanted = "numbers" if what == "scores" else "class indices from 0 on, or numbers for regression"
        raise DataError(f"{what} that are no numbers", expected=wanted) from None


def roc_auc(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Area under the ROC curve; several classes: each against the rest, averaged with equal weight."""
    from sklearn.metrics import roc_auc_score

    table, truth = _defined("roc_auc", task, scores, labels)
    return _each_against_the_rest(lambda y, p: float(roc_auc_score(y, p)), task, table, truth)


def pr_auc(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Average precision; several classes: each against the rest, averaged with equal weight."""
    from sklearn.metrics import average_precision_score

    table, truth = _defined("pr_auc", task, scores, labels)
    return _each_against_the_rest(lambda y, p: float(average_precision_score(y, p)), task, table, truth)


def log_loss(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean negative log-likelihood in nats. Probabilities are summed to 1 and kept off 0 and 1 by the float64 epsilon."""
    from sklearn.metrics import log_loss as sklearn_log_loss

    table, truth = _defined("log_loss", task, scores, labels)
    probabilities = np.hstack((1.0 - table, table)) if task == "binary" else table
    # float32 probabilities sum to 1 ± 1e-7, which scikit-learn warns of
    probabilities = np.clip(probabilities, 0.0, 1.0)
    total = probabilities.sum(axis=1, keepdims=True)
    probabilities = np.divide(
        probabilities, total, out=np.full_like(probabilities, 1.0 / probabilities.shape[1]), where=total > 0
    )
    return float(sklearn_log_loss(truth.astype(int), probabilities, labels=np.arange(probabilities.shape[1])))


def brier(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean Brier score in [0, 1]; several classes: half the sum over classes."""
    table, truth = _defined("brier", task, scores, labels)
    return float(bounded_loss(task, table, truth).mean())


def of_answers(name: str, task: Task, threshold: float) -> str:
    """What a metric's method says of the threshold, as its end; empty: it has none.

    >>> of_answers("f1", "binary", 0.2), of_answers("brier", "binary", 0.2)
    (', positive from 0.2 on', '')
    """
    return f", positive from {threshold:g} on" if name in DECIDED and task == "binary" else ""


def accuracy(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float = HALF) -> float:
    """Share of rows whose most probable class (binary: the positive one from the threshold on) is right."""
    from sklearn.metrics import accuracy_score

    table, truth = _defined("accuracy", task, scores, labels)
    return float(accuracy_score(truth.astype(int), predicted(task, table, threshold)))


def f1(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike, threshold: float = HALF) -> float:
    """Harmonic mean of precision and recall of the positive class, called so from the threshold on; several classes: mean of theirs. 0 where nothing is
    predicted."""
    from sklearn.metrics import f1_score

    table, truth = _defined("f1", task, scores, labels)
    average = "binary" if task == "binary" else "macro"
    return float(f1_score(truth.astype(int), predicted(task, table, threshold), average=average, zero_division=0.0))


def mae(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean absolute error, in the label's unit."""
    from sklearn.metrics import mean_absolute_error

    table, truth = _defined("mae", task, scores, labels)
    return float(mean_absolute_error(truth, table[:, 0]))


def rmse(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Root of the mean squared error, in the label's unit."""
    from sklearn.metrics import root_mean_squared_error

    table, truth = _defined("rmse", task, scores, labels)
    return float(root_mean_squared_error(truth, table[:, 0]))


def mape(task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean absolute error as a share of the label's size (0.1 is ten percent); labels near 0 make it huge."""
    from sklearn.metrics import mean_absolute_percentage_error

    table, truth = _defined("mape", task, scores, labels)
    return float(mean_absolute_percentage_error(truth, table[:, 0]))


METRICS: Mapping[str, Metric] = MappingProxyType({
    "roc_auc": roc_auc, "pr_auc": pr_auc, "log_loss": log_loss, "brier": brier, "accuracy": accuracy, "f1": f1,
    "mae": mae, "rmse": rmse, "mape": mape,
})  # fmt: skip


_OF_ANSWERS: Mapping[str, Callable[[Task, npt.ArrayLike, npt.ArrayLike, float], float]] = MappingProxyType({
    "accuracy": accuracy, "f1": f1,
})  # fmt: skip
"""Those in DECIDED."""


def _defined(name: str, task: Task, scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Floats]:
    if why := undefined(name, task, scores, labels):
        raise DataError(why)
    return _rows(task, scores, labels)


def _each_against_the_rest(
    one: Callable[[npt.NDArray[np.bool_], npt.NDArray[np.float64]], float],
    task: Task,
    table: npt.NDArray[np.float64],
    truth: npt.NDArray[np.float64],
) -> float:
    if task == "binary":
        return one(truth == 1, table[:, 0])
    return float(np.mean([one(truth == k, table[:, k]) for k in range(table.shape[1])]))

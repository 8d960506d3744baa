"""What is made of the champion's scores and the labels that came since it was fitted: another scale, another threshold."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.records.maps import AnswerMap, ClassMap, ScoreMap, ValueMap
from flyball.records.signature import Task
from flyball.stats import least_absolute, monotone

Floats = NDArray[np.float64]

LEAST_ROWS, LEAST_OF_A_CLASS = 100, 20
"""Below it a map of two parameters is known to ±0.3 in log odds at best, a level to a tenth of the labels' spread, and a threshold is chance."""


def enough(task: Task, labels: Floats) -> bool:
    """Whether so many rows, of such classes, can be fitted on; how scores go with them is not asked."""
    if task == "regression":
        return bool(labels.size >= LEAST_ROWS)
    _, counts = np.unique(labels, return_counts=True)
    rarer = np.minimum(counts, labels.size - counts)
    return bool(labels.size >= LEAST_ROWS and rarer.max(initial=0) >= LEAST_OF_A_CLASS)


def mapped(task: Task, scores: Floats, labels: Floats, until: datetime) -> AnswerMap:
    """Fitted on the model's own `scores` (n_rows, n_scores) of rows that it was not fitted on. Raises DataError in words where nothing can be fitted."""
    if task == "regression":
        return _line(scores[:, 0], labels, until)
    if task == "multiclass":
        return _classes(scores, labels, until)
    _check(labels)
    found = monotone.rising_map(scores[:, 0], labels)
    if found is None:
        raise DataError(
            "higher scores mean fewer of the positive class on these rows: no rising map mends that",
            expected="a model that is trained anew",
        )
    return _rising(found, labels.size, until)


def thresholded(answers: Floats, labels: Floats, yes_cost: float) -> float:
    """With the least cost of wrong answers on these rows. Raises DataError in words."""
    _check(labels)
    return monotone.best_threshold(answers, labels, yes_cost)


def _line(scores: Floats, labels: Floats, until: datetime) -> ValueMap:
    _check_rows(labels)
    found = least_absolute.line(scores, labels)
    if found is None:
        raise DataError(
            "higher answers mean lower labels on these rows: no rising map mends that", expected="a model that is trained anew"
        )
    level, slope = found
    return ValueMap(level=level, slope=slope, rows=labels.size, until=until)


def _classes(scores: Floats, labels: Floats, until: datetime) -> ClassMap:
    _check_rows(labels)
    found = monotone.one_vs_rest(scores, labels, LEAST_OF_A_CLASS)
    if found is None:
        raise DataError(
            "of no class there are enough labelled rows whose probability goes the right way",
            expected=f"at least {LEAST_OF_A_CLASS} of a class",
        )
    return ClassMap(classes=tuple(_rising(each, labels.size, until) for each in found), rows=labels.size, until=until)


def _rising(found: tuple[str, monotone.Points], rows: int, until: datetime) -> ScoreMap:
    method, (scores, answers) = found
    return ScoreMap(method=method, scores=scores, answers=answers, rows=rows, until=until)


def _check_rows(labels: Floats) -> None:
    if labels.size < LEAST_ROWS:
        raise DataError(
            f"{labels.size} labelled rows since the champion was fitted and before those that judge",
            expected=f"at least {LEAST_ROWS}",
        )


def _check(labels: Floats) -> None:
    rarer = int(min(labels.sum(), labels.size - labels.sum()))
    if labels.size < LEAST_ROWS or rarer < LEAST_OF_A_CLASS:
        raise DataError(
            f"{labels.size} labelled rows, {rarer} of the rarer class, since the champion was fitted and before those that judge",
            expected=f"at least {LEAST_ROWS}, and {LEAST_OF_A_CLASS} of each class",
        )

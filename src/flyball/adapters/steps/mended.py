"""What is made of the champion's answers and the labels that came since it was fitted: another scale, another threshold."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.records.unit import ScoreMap
from flyball.stats import monotone

Floats = NDArray[np.float64]

LEAST_ROWS, LEAST_OF_A_CLASS = 100, 20
"""Below it a map of two parameters is known to ±0.3 in log odds at best, and a threshold is chance."""


class Mended(NamedTuple):
    """A map over what the champion answers."""

    over_answers: ScoreMap
    whole: ScoreMap
    """From the model's scores: over the champion's own map where it has one."""


def mapped(answers: Floats, labels: Floats, until: datetime, own: ScoreMap | None) -> Mended:
    """Fitted on `answers` (n_rows,) that the champion was not fitted on. Raises DataError in words where nothing can be fitted."""
    _check(labels)
    found = monotone.rising_map(answers, labels)
    if found is None:
        raise DataError(
            "higher scores mean fewer of the positive class on these rows: no rising map mends that",
            expected="a model that is trained anew",
        )
    method, points = found
    over = _map(method, points, labels.size, until)
    if own is None:
        return Mended(over, over)
    return Mended(over, _map(method, monotone.chained((own.scores, own.answers), points), labels.size, until))


def thresholded(answers: Floats, labels: Floats, yes_cost: float) -> float:
    """With the least cost of wrong answers on these rows. Raises DataError in words."""
    _check(labels)
    return monotone.best_threshold(answers, labels, yes_cost)


def wrong_costs(answers: Floats, labels: Floats, threshold: float, yes_cost: float) -> Floats:
    """(n_rows,) in [0, 1]: `yes_cost` of a wrong yes, 1 − `yes_cost` of a wrong no. A threshold t on calibrated scores is best where a wrong yes costs t
    and a wrong no 1 − t (Elkan, IJCAI 2001): so `serve.threshold` says what they cost."""
    said = answers >= threshold
    return np.where(said & (labels == 0.0), yes_cost, np.where(~said & (labels == 1.0), 1.0 - yes_cost, 0.0))


def _map(method: str, points: monotone.Points, rows: int, until: datetime) -> ScoreMap:
    return ScoreMap(method=method, scores=points[0], answers=points[1], rows=rows, until=until)


def _check(labels: Floats) -> None:
    rarer = int(min(labels.sum(), labels.size - labels.sum()))
    if labels.size < LEAST_ROWS or rarer < LEAST_OF_A_CLASS:
        raise DataError(
            f"{labels.size} labelled rows, {rarer} of the rarer class, since the champion was fitted and before those that judge",
            expected=f"at least {LEAST_ROWS}, and {LEAST_OF_A_CLASS} of each class",
        )

"""An interval for a metric of which nothing is known but how to call it.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13: the percentile interval. Rows are drawn with a chance in proportion to their
weights, as many as the weights are worth (Kish 1965); a metric that takes no weights gets rows repeated in proportion to them (systematic sampling).
Assumes independent rows and a metric that is smooth in them (no maximum or minimum); at ONE look.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from flyball.records.signature import Task
from flyball.stats.weighted_metrics import Estimate, Rows, effective_size

Floats = npt.NDArray[np.float64]

MetricOfRows = Callable[[Task, Floats, Floats], float]
"""(task, scores, labels) → the metric."""
_MOST_UNDEFINED = 0.1
"""As in bootstrap.py: with more of the resamples undefined the interval would speak of other data."""


def bootstrap_interval(
    metric: MetricOfRows, task: Task, rows: Rows, *, alpha: float, seed: int, n_resamples: int = 200
) -> Estimate:
    """The metric with a percentile interval that misses with chance `alpha`, about. The same seed gives the same answer.

    Raises ValueError when the metric is not a finite number on the rows, or on more than a tenth of the resamples; whatever the metric raises passes.

    >>> from flyball.stats.weighted_metrics import rows_of
    >>> rows = rows_of("regression", np.arange(100.0)[:, None], np.arange(100.0) + 1.0)
    >>> bias = lambda task, scores, labels: float((scores[:, 0] - labels).mean())
    >>> bootstrap_interval(bias, "regression", rows, alpha=0.05, seed=1)
    Estimate(value=-1.0, lower=-1.0, upper=-1.0)
    """
    value, share = value_of(metric, task, rows), rows.weights / rows.weights.sum()
    generator = np.random.default_rng(seed)
    n = max(round(effective_size(rows.weights)), 1)
    values = np.empty(n_resamples)
    for draw in range(n_resamples):
        drawn = generator.choice(share.size, n, p=_with_error(share, rows, generator))
        values[draw] = metric(task, rows.scores[drawn], rows.labels[drawn])
    defined = values[np.isfinite(values)]
    if defined.size < (1.0 - _MOST_UNDEFINED) * n_resamples:
        raise ValueError(
            f"the metric is undefined on {n_resamples - defined.size} of {n_resamples} resamples, expected at most a tenth"
        )
    lower, upper = np.quantile(defined, (alpha / 2.0, 1.0 - alpha / 2.0))
    return Estimate(value, min(float(lower), value), max(float(upper), value))


def value_of(metric: MetricOfRows, task: Task, rows: Rows) -> float:
    """The metric of rows that count as their weights say. Raises ValueError when it is not a finite number; whatever the metric raises passes."""
    share = rows.weights / rows.weights.sum()
    equal = bool(np.all(rows.weights == rows.weights[0])) if share.size else True
    chosen = np.arange(share.size) if equal else _in_proportion(share)
    value = float(metric(task, rows.scores[chosen], rows.labels[chosen]))
    if not np.isfinite(value):
        raise ValueError(f"a finite number as metric, found {value}")
    return value


def _in_proportion(share: Floats) -> npt.NDArray[np.intp]:
    """Each row as often as its share of so many rows, up to one more or less."""
    places = (np.arange(share.size) + 0.5) / share.size
    return np.minimum(np.searchsorted(np.cumsum(share), places), share.size - 1).astype(np.intp)


def _with_error(share: Floats, rows: Rows, generator: np.random.Generator) -> Floats:
    """The weights' estimated factors are off by as much as their error says, another time in each resample."""
    if rows.groups is None or rows.group_log_sd is None:
        return share
    factor = np.exp(generator.normal(0.0, rows.group_log_sd))[rows.groups]
    return np.asarray(share * factor / (share * factor).sum(), dtype=np.float64)

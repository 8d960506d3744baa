"""An interval for a metric of which nothing is known but how to call it.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13: the percentile interval. Rows are drawn with a chance in proportion to their
weights, as many as the weights are worth (Kish 1965); a metric that takes no weights gets rows repeated in proportion to them (systematic sampling). It is
always given as many rows as there are, so that a sum keeps its scale: what was drawn is repeated up to that number, which makes intervals 6 % wider at most.
Assumes independent rows and a metric that is smooth in them (no maximum or minimum); at ONE look.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from flyball.stats.weighted_metrics import Estimate, Rows, effective_size

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

MetricOfRows = Callable[[Floats, Floats], float]
"""(scores, labels) → the metric."""
LEAST_RESAMPLED = 20
"""Rows, as their weights count: of fewer the percentiles of resamples lie far too close together, and those of one row at the row itself."""
_MOST_UNDEFINED = 0.1
"""As in bootstrap.py: with more of the resamples undefined the interval would speak of other data."""


def bootstrap_interval(metric: MetricOfRows, rows: Rows, *, alpha: float, seed: int, n_resamples: int = 200) -> Estimate:
    """The metric with a percentile interval that misses with chance `alpha`, about. The same seed gives the same answer.

    Raises ValueError when the metric is not a finite number on the rows, or on more than a tenth of the resamples; whatever the metric raises passes. For
    whoever calls it: rows that count as fewer than LEAST_RESAMPLED claim no interval.

    >>> from flyball.stats.weighted_metrics import rows_of
    >>> rows = rows_of("regression", np.arange(100.0)[:, None], np.arange(100.0) + 1.0)
    >>> bootstrap_interval(lambda scores, labels: float((scores[:, 0] - labels).mean()), rows, alpha=0.05, seed=1)
    Estimate(value=-1.0, lower=-1.0, upper=-1.0)
    """
    value, generator = value_of(metric, rows), np.random.default_rng(seed)
    size = max(round(effective_size(rows.weights)), 1)
    values = np.empty(n_resamples)
    for draw in range(n_resamples):
        drawn = _drawn(rows, size, generator)
        values[draw] = metric(rows.scores[drawn], rows.labels[drawn])
    defined = values[np.isfinite(values)]
    if defined.size < (1.0 - _MOST_UNDEFINED) * n_resamples:
        raise ValueError(f"undefined on {n_resamples - defined.size} of {n_resamples} resamples, expected at most a tenth")
    lower, upper = np.quantile(defined, (alpha / 2.0, 1.0 - alpha / 2.0))
    return Estimate(value, min(float(lower), value), max(float(upper), value))


def value_of(metric: MetricOfRows, rows: Rows) -> float:
    """The metric of rows that count as their weights say. Raises ValueError when it is not a finite number; whatever the metric raises passes."""
    chosen = np.arange(rows.labels.size) if _alike(rows.weights) else _in_proportion(rows.weights / rows.weights.sum())
    value = float(metric(rows.scores[chosen], rows.labels[chosen]))
    if not np.isfinite(value):
        raise ValueError(f"a finite number as metric, found {value}")
    return value


def _alike(weights: Floats) -> bool:
    return weights.size == 0 or bool(np.all(weights == weights[0]))


def _in_proportion(share: Floats) -> Places:
    """Each row as often as its share of so many rows, up to one more or less."""
    places = (np.arange(share.size) + 0.5) / share.size
    return np.minimum(np.searchsorted(np.cumsum(share), places), share.size - 1).astype(np.int64)


def _drawn(rows: Rows, n: int, generator: np.random.Generator) -> Places:
    """A resample: `n` rows, repeated up to as many as there are."""
    of = rows.labels.size
    if rows.groups is None and _alike(rows.weights):
        return generator.integers(0, of, of)
    drawn = generator.choice(of, n, p=_with_error(rows.weights / rows.weights.sum(), rows, generator))
    return np.asarray(drawn[np.arange(of) * n // of], dtype=np.int64)


def _with_error(share: Floats, rows: Rows, generator: np.random.Generator) -> Floats:
    """The weights' estimated factors are off by as much as their error says, another time in each resample."""
    if rows.groups is None or rows.group_log_sd is None:
        return share
    factor = np.exp(generator.normal(0.0, rows.group_log_sd))[rows.groups]
    return np.asarray(share * factor / (share * factor).sum(), dtype=np.float64)

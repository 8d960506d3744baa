"""The difference of a metric between two models on the same rows, by resampling whole blocks.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13; blocks as in Künsch (Annals of Statistics 17, 1989),
without overlap. Assumes that blocks (days, customers) are independent of one another and of one law; anything may hold within a block.
The percentile interval holds at ONE look, and needs tens of blocks: below about 20 it is too narrow.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MetricFn = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]
"""(labels, scores) → the metric; NaN where a resample does not define it."""

_MOST_UNDEFINED = 0.1
"""Share of resamples that may leave the metric undefined (a class drawn away): beyond it the interval would speak of other data."""


class Difference(NamedTuple):
    """The metric of the second minus that of the first, and the ends of its interval."""

    value: float
    lower: float
    upper: float


def paired_block_bootstrap(  # noqa: PLR0913, PLR0917 - two models, their rows and the resampling: nothing here belongs together
    metric_fn: MetricFn,
    labels: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    blocks: npt.ArrayLike,
    alpha: float,
    seed: int,
    n_resamples: int = 500,
) -> Difference:
    """metric(b) − metric(a) with a percentile interval that misses with chance `alpha`, about.

    `labels`: (n,); `a`, `b`: (n,) or (n, k), scores or per-row losses; `blocks`: (n,) name of each row's block.
    The same seed gives the same answer. Raises ValueError when shapes differ, with fewer than two blocks, or when more than a tenth
    of the resamples leave the metric undefined.

    >>> labels, a = np.zeros(100), np.tile([0.2, 0.4], 50)
    >>> mean_loss = lambda labels, losses: float(losses.mean())
    >>> diff, lower, upper = paired_block_bootstrap(mean_loss, labels, a, a + 0.1, np.arange(100) // 5, 0.05, seed=1)
    >>> round(diff, 6), round(lower, 6), round(upper, 6)
    (0.1, 0.1, 0.1)
    """
    truth, first, second, names = (np.asarray(item) for item in (labels, a, b, blocks))
    n = names.size
    if not (truth.shape[0] == first.shape[0] == second.shape[0] == n):
        raise ValueError(f"arrays of {n} rows, found {truth.shape[0]} labels, {first.shape[0]} and {second.shape[0]} scores")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"an error rate between 0 and 1, found {alpha}")
    rows = _rows_by_block(names)
    if len(rows) < 2:
        raise ValueError(f"at least two blocks, found {len(rows)}")
    generator = np.random.default_rng(seed)
    differences = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = np.concatenate([rows[j] for j in generator.integers(0, len(rows), len(rows))])
        differences[i] = metric_fn(truth[drawn], second[drawn]) - metric_fn(truth[drawn], first[drawn])
    return Difference(metric_fn(truth, second) - metric_fn(truth, first), *_percentiles(differences, alpha))


def block_bootstrap_of_counts(
    difference: Callable[[npt.NDArray[np.float64]], float], n_blocks: int, alpha: float, seed: int, n_resamples: int = 500
) -> Difference:
    """As `paired_block_bootstrap`, of what is quicker told from how often each block was drawn than from the drawn rows.

    `difference`: of (n_blocks,) counts, NaN where they do not define it. Raises ValueError as above.
    """
    if n_blocks < 2:
        raise ValueError(f"at least two blocks, found {n_blocks}")
    generator = np.random.default_rng(seed)
    drawn = (np.bincount(generator.integers(0, n_blocks, n_blocks), minlength=n_blocks) for _ in range(n_resamples))
    differences = np.array([difference(times.astype(np.float64)) for times in drawn])
    return Difference(difference(np.ones(n_blocks)), *_percentiles(differences, alpha))


def _percentiles(differences: npt.NDArray[np.float64], alpha: float) -> tuple[float, float]:
    defined = differences[np.isfinite(differences)]
    if defined.size < (1.0 - _MOST_UNDEFINED) * differences.size:
        raise ValueError(
            f"the metric is undefined on {differences.size - defined.size} of {differences.size} resamples, expected at most a tenth"
        )
    lower, upper = np.quantile(defined, (alpha / 2.0, 1.0 - alpha / 2.0))
    return float(lower), float(upper)


def _rows_by_block(names: npt.NDArray[Any]) -> list[npt.NDArray[np.intp]]:
    _, inverse, counts = np.unique(names, return_inverse=True, return_counts=True)
    return np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])

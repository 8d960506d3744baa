"""Is a share larger or smaller in a sample than in the rest? Fisher's exact test."""

import math

import numpy as np

TERMS = 4_000
"""Of the tail's sum, summed at once; more are needed only where n·N is beyond 10⁸, and then the loop goes on."""


def exact_p(hits: int, n: int, hits_in_all: int, total: int) -> float:
    """Two-sided p-value of `hits` among `n` rows drawn without replacement from `total`, of which `hits_in_all` are hits (Fisher 1935).

    Twice the smaller tail, at most 1. Assumes that every subset of n rows is equally likely, which is what "the newest window is like the
    others" means for exchangeable rows. Valid for every size: P(p ≤ a) ≤ a. Discrete, and so conservative where hits are few.

    >>> round(exact_p(5, 10, 5, 100), 6)  # all five hits are among the ten
    7e-06
    """
    if not 0 <= max(hits, n + hits_in_all - total) <= hits <= min(n, hits_in_all) <= total:
        raise ValueError(f"expected a possible table, found {hits} of {n} and {hits_in_all} of {total}")
    mean = n * hits_in_all / total
    tail = _upper(hits, n, hits_in_all, total) if hits >= mean else _upper(hits_in_all - hits, total - n, hits_in_all, total)
    return min(1.0, 2.0 * tail)


def _upper(hits: int, n: int, hits_in_all: int, total: int) -> float:
    """P(X ≥ hits): the first term, then each from the one before."""
    misses = total - hits_in_all
    log_first = _log_choose(hits_in_all, hits) + _log_choose(misses, n - hits) - _log_choose(total, n)
    sum_of_ratios, ratio, at, most = 1.0, 1.0, hits, min(n, hits_in_all)
    while at < most and ratio > 1e-12 * sum_of_ratios:
        k = np.arange(at, min(at + TERMS, most), dtype=np.float64)
        ratios = ratio * np.cumprod((hits_in_all - k) / (k + 1.0) * ((n - k) / (misses - n + k + 1.0)))
        sum_of_ratios += float(ratios.sum())
        ratio, at = float(ratios[-1]), at + k.size
    return math.exp(min(log_first + math.log(sum_of_ratios), 0.0))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

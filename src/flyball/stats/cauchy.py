"""One p-value of many that depend on one another."""

import math
from collections.abc import Sequence

HIGHEST = 0.99
"""A p-value near 1, which discrete tests often give, would outweigh any evidence; as 0.99 it counts like other unremarkable ones. Measured at levels from
0.05 down, on real columns: 0.65 to 1.0 times the level with it, 0.6 to 0.9 with 0.999."""


def evidence(p: float) -> float:
    """cot(πp): standard Cauchy for a uniform p, about 1/(πp) for a small one."""
    bounded = min(max(p, 1e-300), HIGHEST)
    return 1.0 / math.tan(math.pi * bounded)


def tail(value: float) -> float:
    """P(Cauchy ≥ value)."""
    return 0.5 - math.atan(value) / math.pi if value <= 1.0 else math.atan(1.0 / value) / math.pi


def combined(p_values: Sequence[float], weights: Sequence[float]) -> float:
    """The Cauchy combination (Liu & Xie 2020, JASA 115): p-value of Σ w·cot(πp), for weights that sum to one.

    A weighted sum of independent standard Cauchy variables is one, and so is that of identical ones; in between, where the p-values come from
    statistics that are jointly normal in pairs, the tail is asymptotically the same under any correlation (their Theorem 1). So two tests that
    say the same cost nothing, where Bonferroni halves the level. Assumes small levels: the tests measure how small.

    >>> round(combined([0.001, 0.001], [0.5, 0.5]), 6), round(combined([0.001, 0.5], [0.5, 0.5]), 6)
    (0.001, 0.002)
    """
    return tail(math.fsum(weight * evidence(p) for p, weight in zip(p_values, weights, strict=True)))

"""The interval that holds at all looks together, beside the usual one that holds at one."""

import math
import time

import numpy as np

from bench.measure import Row, interleaved
from flyball.stats.sequences import mean_sequence

SIZES = (2_500, 25_000)
Z = 1.96


def rows() -> list[Row]:
    return [_at(n) for n in SIZES]


def _at(n: int) -> Row:
    differences = np.clip(np.random.default_rng(n).normal(0.0, 0.08, n), -1, 1)
    times = 20

    def ours() -> float:
        begun = time.perf_counter()
        for _ in range(times):
            mean_sequence(differences, 0.05, -1.0, 1.0)
        return (time.perf_counter() - begun) / times * 1000

    def floor() -> float:
        begun = time.perf_counter()
        for _ in range(times):
            mean, half = float(differences.mean()), Z * float(differences.std(ddof=1)) / math.sqrt(n)
            (mean - half, mean + half)
        return (time.perf_counter() - begun) / times * 1000

    return interleaved(f"confidence sequence: {n:,} pairs", "ms", ours, ("mean ± 1.96 standard errors", floor), rounds=9)

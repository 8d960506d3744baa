"""Two units that are the same: how often is a release taken back, or its challenger called better?

One error rate of 5 % for the whole release is divided over four guards as `release.policy` does; every batch is looked at. A release counts as wrong when any
guard says harm or better at any look. Beside it, on the same rows, tests that are repeated at every look, and thresholds.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from bench.verdicts import rules, worlds
from flyball.release.policy import LOSS_WEIGHT

ALPHA, BATCH, BATCHES = 0.05, 200, 25
LOOKS = range(BATCH, BATCH * BATCHES + 1, BATCH)
PARTS = LOSS_WEIGHT + 3.0


class Row(NamedTuple):
    """One metric under one rule, alone: its own share of alpha."""

    name: str
    world: worlds.World
    rule: rules.Rule
    allowed: float
    paired: bool = False


ROWS = (
    Row("loss, paired 0/1", worlds.errors, rules.flyball("loss", ALPHA * LOSS_WEIGHT / PARTS), ALPHA * LOSS_WEIGHT / PARTS, True),
    Row("failures (Bernoulli)", worlds.failures, rules.flyball("failure_rate", ALPHA / PARTS), ALPHA / PARTS),
    Row("latency p95 (heavy tail)", worlds.latencies, rules.flyball("latency_p95_ms", ALPHA / PARTS), ALPHA / PARTS),
    Row("reward (zero-inflated)", worlds.rewards, rules.flyball("reward", ALPHA / PARTS), ALPHA / PARTS),
)
NAIVE = {"t-test at every look": "t", "rank test at every look": "u"}


def wrong_of(seed: int) -> tuple[dict[str, bool], dict[str, bool]]:
    """(guard → whether it was ever wrong, test × metric → the same) of one release."""
    rng = np.random.default_rng([5, seed])
    found, naive = {}, {}
    for row in ROWS:
        rows = row.world(rng, LOOKS[-1], 0.0)
        found[row.name] = row.rule(rows, LOOKS).verdict is not None
        for name, test in NAIVE.items():
            rule = rules.repeated(test, ALPHA, paired=row.paired)
            naive[f"{name}: {row.name}"] = rule(rows, LOOKS).verdict is not None
    wandering = worlds.autocorrelated(rng, LOOKS[-1], 0.0)
    naive["Flyball, rows of AR(1) 0.8 taken as they come"] = rules.flyball("loss", ALPHA)(wandering, LOOKS).verdict is not None
    naive["t-test at every look: AR(1) 0.8"] = rules.repeated("t", ALPHA, paired=True)(wandering, LOOKS).verdict is not None
    return found, naive


def run(releases: int) -> int:
    """Prints the table; 1 when more releases are wrong than allowed, at 95 % confidence."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seen = list(pool.map(wrong_of, range(releases), chunksize=10))
    any_wrong = sum(any(found.values()) for found, _ in seen)
    print(f"{releases} releases of identical units, {len(LOOKS)} looks of {BATCH} rows each; alpha {ALPHA} for the whole release")
    print(f"  {'release (all four guards)':<52} {_share(any_wrong, releases)}   allowed {ALPHA:.2%}")
    for row in ROWS:
        count = sum(found[row.name] for found, _ in seen)
        print(f"  {row.name:<52} {_share(count, releases)}   allowed {row.allowed:.2%}")
    print("On the same rows:")
    for name in seen[0][1]:
        print(f"  {name:<52} {_share(sum(naive[name] for _, naive in seen), releases)}")
    return int(_lower(any_wrong, releases) > ALPHA)


def _share(count: int, n: int) -> str:
    return f"{count / n:7.2%} ({count} of {n})"


def _lower(count: int, n: int) -> float:
    """Of a 95 % interval (Wilson)."""
    z, p = 1.96, count / n
    return (p + z * z / (2 * n) - z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)

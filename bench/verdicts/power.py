"""Challengers that are really worse: are they rolled back, and after how many rows, beside a test that looks once, and thresholds?

`fixed n` is what a normal test needs that looks once, one-sided at half the guard's alpha (as the guard's lower end) with a power of 95 %.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from bench.verdicts import rules, worlds
from flyball.release.policy import LOSS_WEIGHT

ALPHA, BATCH, POWER = 0.05, 100, 0.95
LOSS_ALPHA = ALPHA * LOSS_WEIGHT / (LOSS_WEIGHT + 1.0)
BAR = 1.6


class Row(NamedTuple):
    name: str
    world: worlds.World
    harm: float
    """As the world takes it."""
    metric: str
    alpha: float
    paired: bool
    limit: float
    """Of the threshold rules: midway between the champion's mean and the challenger's."""


ROWS = (
    Row("error 10 % -> 12 %, same rows", worlds.errors, 0.02, "loss", LOSS_ALPHA, True, 0.11),
    Row("failures 5 % -> 7 %, two arms", worlds.failures, 0.02, "failure_rate", ALPHA - LOSS_ALPHA, False, 0.06),
    Row("log loss +10 %, same rows (as Brier)", worlds.brier, 0.10, "loss", LOSS_ALPHA, True, 0.0),
)


class Ended(NamedTuple):
    flyball: rules.Seen
    argo: rules.Seen
    flagger: rules.Seen


def _fixed(row: Row) -> tuple[int, float]:
    """(rows of each that one look needs, the challenger's mean beyond the champion's)."""
    many = row.world(np.random.default_rng(3), 400_000, row.harm)
    difference = float(many.challenger.mean() - many.champion.mean())
    return rules.fixed_n(many, difference, row.alpha / 2.0, POWER, paired=row.paired), difference


def release(task: tuple[int, int, int, float]) -> Ended:
    """One simulated release."""
    place, seed, most, limit = task
    row = ROWS[place]
    rows = row.world(np.random.default_rng([7, place, seed]), most, row.harm)
    looks = range(BATCH, most + 1, BATCH)
    return Ended(
        rules.flyball(row.metric, row.alpha)(rows, looks),
        rules.threshold(limit, 0)(rows, looks),
        rules.threshold(limit, 5)(rows, looks),
    )


def run(releases: int) -> int:
    """Prints the table; 1 when a row misses 95 % or 1.6 times the fixed n."""
    missed = 0
    print(
        f"{releases} releases of worse units, a look every {BATCH} rows, at most four times the fixed n; alpha {ALPHA} for the release"
    )
    print(
        f"  {'':<38} {'fixed n':>8} {'rolled back':>11} {'median rows':>11} {'ratio':>6} {'90 %':>7} {'Argo':>14} {'Flagger':>14}"
    )
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for place, row in enumerate(ROWS):
            fixed, difference = _fixed(row)
            most = -(-4 * fixed // BATCH) * BATCH
            base = row.world(np.random.default_rng(4), 400_000, 0.0).champion.mean()
            tasks = [(place, seed, most, float(base + difference / 2.0)) for seed in range(releases)]
            ended = list(pool.map(release, tasks, chunksize=8))
            found = [each.flyball.rows for each in ended if each.flyball.verdict == rules.HARM]
            share, median = len(found) / releases, float(np.median([each.flyball.rows for each in ended]))
            late = float(np.quantile([each.flyball.rows for each in ended], 0.9))
            others = [_said([getattr(each, name) for each in ended]) for name in ("argo", "flagger")]
            print(
                f"  {row.name:<38} {fixed:>8} {share:>11.1%} {median:>11.0f} {median / fixed:>6.2f} {late:>7.0f} {others[0]:>14} {others[1]:>14}"
            )
            missed += share < POWER or median > BAR * fixed
    print(
        "Argo (failureLimit 0) and Flagger (threshold 5): share rolled back / median rows, the limit midway between both means."
    )
    _false_alarms(releases)
    return int(missed > 0)


def _false_alarms(releases: int) -> None:
    print("The same thresholds on identical units:")
    for row in ROWS:
        fixed, difference = _fixed(row)
        looks = range(BATCH, -(-4 * fixed // BATCH) * BATCH + 1, BATCH)
        wrong = [0, 0]
        few = min(releases, 200)
        for seed in range(few):
            rows = row.world(np.random.default_rng([8, seed]), looks[-1], 0.0)
            for k, allowed in enumerate((0, 5)):
                wrong[k] += (
                    rules.threshold(float(rows.champion.mean() + difference / 2.0), allowed)(rows, looks).verdict is not None
                )
        print(f"  {row.name:<38} Argo {wrong[0] / few:.0%}, Flagger {wrong[1] / few:.0%} of {few} rolled back")


def _said(seen: list[rules.Seen]) -> str:
    stopped = [each.rows for each in seen if each.verdict == rules.HARM]
    return f"{len(stopped) / len(seen):.0%} / {np.median([each.rows for each in seen]):.0f}"

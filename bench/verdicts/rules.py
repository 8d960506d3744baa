"""How a release is judged while rows come: Flyball's guards, tests that are repeated at every look, and thresholds as Argo and Flagger have them."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from bench.verdicts.worlds import Rows
from flyball.records.evidence import Outcome
from flyball.release import guards
from flyball.release.metrics import METRICS
from flyball.release.policy import GuardRule

HARM, BETTER = "harm", "better"


class Seen(NamedTuple):
    """What a rule first said, and after how many rows of each; None: nothing to the end."""

    verdict: str | None
    rows: int


Rule = Callable[[Rows, range], Seen]
"""(rows, looks: numbers of rows at which it looks) → what it said first."""


def guard(metric: str, alpha: float, margin: float = 0.0) -> GuardRule:
    """As a release's policy makes it."""
    known = METRICS[metric]
    between = (0.0, 100.0) if metric == "reward" else None
    return GuardRule(
        name=metric,
        metric=metric,
        margin=margin,
        alpha=alpha,
        must="not_fail",
        labels=known.labels,
        shown=known.shown,
        between=between,
    )


def flyball(metric: str, alpha: float, margin: float = 0.0) -> Rule:
    """The product's own guard: harm beyond the margin, or better than the champion by more than nothing."""
    rule = guard(metric, alpha, margin)

    def run(rows: Rows, looks: range) -> Seen:
        for n in looks:
            found = _evidence(metric, rule, rows, n)
            if guards.judge((found,), rule).outcome is Outcome.FAIL:
                return Seen(HARM, n)
            if found.upper is not None and found.upper < 0.0:
                return Seen(BETTER, n)
        return Seen(None, looks[-1])

    return run


def _evidence(metric: str, rule: GuardRule, rows: Rows, n: int):
    first, second = rows.champion[:n], rows.challenger[:n]
    if metric == "loss":
        return guards.loss(first, second, rule)
    if metric == "failure_rate":
        return guards.failure_rate((int(first.sum()), n), (int(second.sum()), n), rule)
    if metric.startswith("latency"):
        return guards.latency(first, second, rule)
    both = -np.stack([first, second], axis=1).ravel()
    return guards.reward(both, np.tile([False, True], n), np.arange(2 * n) // BLOCK, rule)


BLOCK = 400
"""Rewards of both arms that become known between two looks."""


_TESTS = {
    (False, "t"): stats.ttest_ind,
    (False, "u"): stats.mannwhitneyu,
    (True, "t"): stats.ttest_rel,
    (True, "u"): stats.wilcoxon,
}


def repeated(test: str, alpha: float, *, paired: bool) -> Rule:
    """A two-sided test at every look, as if it were the only one: Student's (`t`), or by ranks (`u`: Mann-Whitney, Wilcoxon where rows are paired)."""

    def run(rows: Rows, looks: range) -> Seen:
        for n in looks:
            first, second = rows.champion[:n], rows.challenger[:n]
            if not np.any(first != second):
                continue
            result = _TESTS[paired, test](first, second)
            if result.pvalue < alpha:
                return Seen(HARM if second.mean() > first.mean() else BETTER, n)
        return Seen(None, looks[-1])

    return run


def threshold(limit: float, allowed: int) -> Rule:
    """The canary's mean of the latest interval beyond a fixed limit, more than `allowed` times: Argo's `failureLimit` (0), Flagger's `threshold` (5)."""

    def run(rows: Rows, looks: range) -> Seen:
        failed, before = 0, 0
        for n in looks:
            failed += bool(rows.challenger[before:n].mean() > limit)
            before = n
            if failed > allowed:
                return Seen(HARM, n)
        return Seen(None, looks[-1])

    return run


def fixed_n(rows: Rows, harm: float, alpha: float, power: float, *, paired: bool) -> int:
    """Rows of each that a normal test, looked at once, needs: ((z₁₋α + z_power) σ / harm)²."""
    difference = rows.challenger - rows.champion
    variance = difference.var() if paired else rows.champion.var() + rows.challenger.var()
    z = float(stats.norm.ppf(1.0 - alpha) + stats.norm.ppf(power))
    return math.ceil(z**2 * float(variance) / harm**2)

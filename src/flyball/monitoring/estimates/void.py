"""Why an estimate would be a guess, in words; empty when it is not one."""

import math

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.estimates.outcomes import Outcome
from flyball.stats import logistic
from flyball.stats.block_spread import Spread, block_spread, variance_of_mean
from flyball.stats.density_ratio import OUTSIDE, Ratio

Floats = NDArray[np.float64]

LEAST_REFERENCE = 200
"""Rows. Fewer do not tell calibration from luck."""
LEAST_EFFECTIVE = 100.0
"""Rows of the reference that stand for the window, by Kish's count. With fewer, the largest weights are the estimate."""
MOST_OUTSIDE = 0.25
"""Share of a window's rows that may lie where the reference has next to none. In simulations coverage kept its word up to 0.3 (synthetic shifts)."""
GROUPS = 5
"""Of equal weight, by probability. With more, each holds too few rows to contradict anything."""
FALSE_VOID = 0.001
"""Chance that calibrated probabilities are taken for uncalibrated, per version and window, divided over classes and groups (Bonferroni).
Of four blocks that share luck the two newer ones do not tell how blocks differ: there it is ten times as much."""


def too_few(rows: int, min_rows: int, labels: Floats, *, classes: bool) -> str:
    if rows < min_rows:
        return f"{rows} rows are fewer than min_rows {min_rows}"
    if labels.size < LEAST_REFERENCE:
        return f"the reference has {labels.size} rows with labels, at least {LEAST_REFERENCE} are needed"
    if classes and np.unique(labels).size < 2:
        return "all labels of the reference are of one class: nothing is known of the other"
    return ""


def unsupported(ratio: Ratio) -> str:
    if ratio.outside > MOST_OUTSIDE:
        return (
            f"out of support: {ratio.outside:.0%} of the window's rows are over {OUTSIDE:g} times as frequent as in the reference, "
            f"at most {MOST_OUTSIDE:.0%} may be: it holds next to no labels for rows like these"
        )
    if ratio.effective < LEAST_EFFECTIVE:
        return (
            f"out of support: only {ratio.effective:.0f} rows of the reference in effect resemble the window, "
            f"at least {LEAST_EFFECTIVE:g} are needed"
        )
    return ""


def uncalibrated(outcome: Outcome, labels: Floats, weights: Floats, blocks: NDArray[np.int64]) -> str:
    """Whether the newer half of the reference contradicts probabilities that its older half recalibrated, with the window's weights.

    Halves are of whole blocks, so that what changed over time shows; where there are fewer than four blocks they are every other row.
    """
    newer = blocks >= np.median(blocks) if np.unique(blocks).size >= 4 else np.arange(blocks.size) % 2 == 1
    kinds = [1] if outcome.reference.shape[1] == 2 else range(outcome.reference.shape[1])
    surprise = math.log(2.0 * GROUPS * len(kinds) / FALSE_VOID)
    for k in kinds:
        truth = (labels == k).astype(np.float64)
        columns = np.column_stack((np.ones(labels.size), logistic.logit(outcome.reference[:, k])))
        curve = logistic.fit(columns[~newer], truth[~newer], weights[~newer], [0.0, 1.0])
        told = logistic.expit(columns @ curve)
        shared = block_spread((truth - told)[newer], blocks[newer])
        doubt = _doubt(columns, told, weights, np.where(newer, -1, blocks), shared)[newer]
        found = _contradiction((told[newer], doubt), truth[newer], weights[newer], blocks[newer], shared, surprise)
        if found:
            return f"uncalibrated even after weighting: {found}"
    return ""


def _doubt(columns: Floats, told: Floats, weights: Floats, blocks: NDArray[np.int64], shared: Spread) -> Floats:
    """(n, 2) of each row's weighted probability: its sum over rows is, squared, their variance by the error of the curve, which was fitted to rows of `blocks` from 0
    on, with what these share (a sandwich, White 1982). Left out, calibrated references of thousands of rows in six days were called uncalibrated four times as often
    as claimed."""
    slope = (weights * told * (1.0 - told))[:, None] * columns
    older = blocks >= 0
    sums = np.zeros((int(blocks.max()) + 1, columns.shape[1]))
    np.add.at(sums, blocks[older], weights[older, None] * columns[older])
    middle = (slope * weights[:, None])[older].T @ columns[older] + shared.variance * sums.T @ sums
    turned = np.linalg.inv(slope[older].T @ columns[older] + np.eye(columns.shape[1]))  # the prior's precision of logistic.fit
    size, axes = np.linalg.eigh(turned @ middle @ turned)
    return np.asarray(slope @ axes * np.sqrt(np.maximum(size, 0.0)))


def _contradiction(
    curve: tuple[Floats, Floats], truth: Floats, weights: Floats, blocks: NDArray[np.int64], shared: Spread, surprise: float
) -> str:
    """The first group whose mean residual Bernstein's inequality refutes: exact for any weights, where a normal law fails for few heavy rows. `curve`: what it told,
    and its doubt."""
    told, doubt = curve
    order = np.argsort(told, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    for group in range(GROUPS):
        rows = order[(reached > group / GROUPS) & (reached <= (group + 1) / GROUPS)]
        if rows.size == 0:  # one row may weigh more than a group
            continue
        residuals, weighted = truth[rows] - told[rows], weights[rows]
        off = float(weighted @ residuals / weighted.sum())
        # of what was told, not of what came: a group without a single positive would otherwise have no variance
        own = float(weighted**2 @ (told[rows] * (1.0 - told[rows]))) / float(weighted.sum()) ** 2
        variance = own + variance_of_mean(np.zeros(rows.size), weighted, blocks[rows], shared)
        variance = max(variance, _between(weighted * residuals, blocks[rows]) / float(weighted.sum()) ** 2)
        variance += float((doubt[rows].sum(axis=0) ** 2).sum()) / float(weighted.sum()) ** 2
        heaviest = float(weighted.max() / weighted.sum()) * surprise / 3.0
        limit = heaviest + math.sqrt(heaviest**2 + 2.0 * variance * surprise)
        if abs(off) > limit:
            mean = float(weighted @ told[rows] / weighted.sum())
            return (
                f"where {mean:.3f} was expected the newer half of the reference had {mean + off:.3f}, more than {limit:.3f} away"
            )
    return ""


def _between(values: Floats, blocks: NDArray[np.int64]) -> float:
    """Variance of Σ values from how its blocks differ: also what only some rows of a block share, such as neighbours in time. 0 for fewer than three."""
    _, place = np.unique(blocks, return_inverse=True)
    sums = np.bincount(place, values)
    return float(sums.var(ddof=1)) * sums.size if sums.size >= 3 else 0.0

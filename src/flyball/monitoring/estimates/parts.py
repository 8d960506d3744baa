"""One metric taken apart: what is expected of the window's rows, and what the reference says against it.

Doubly robust (Robins, Rotnitzky & Zhao 1994; for shifted windows: Kang & Schafer 2007; prediction-powered, Angelopoulos et al. 2301.09633):
the estimate is the mean of what is expected of the window's rows plus the weighted mean of the reference's residuals. It is right in large samples
if either the expected outcomes or the density ratio is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.estimates import outcomes
from flyball.monitoring.estimates.rows import EstimationReference
from flyball.monitoring.estimates.tables import Table
from flyball.stats.expected_metrics import expected
from flyball.stats.losses import bounded_loss

Floats = NDArray[np.float64]

LOSS = "bounded_loss"
"""The mean of it: what the alarm is about, in every task."""
CLASSIFICATION = ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1", LOSS)
REGRESSION = ("mae", "rmse", "mape", LOSS)
UNIT_RANGE = frozenset({"roc_auc", "pr_auc", "brier", "accuracy", "f1", LOSS})
"""Metrics in [0, 1]; all others are ≥ 0 without an end."""


class Part(NamedTuple):
    value: float
    """Expected of the window's rows."""
    rows: Floats
    """(m,) what each window row adds to it, mean 0."""
    label_variance: float
    """Of the mean over all labels of the window, given its rows; for one row."""
    residuals: Floats
    """(n,) of each reference row: what its label says beyond what was expected of it."""
    largest: float
    """How far one row's label can move the metric times their number, as far as that is bounded; else 0."""
    few: float
    """Rows of the window that carry it: those expected of the rarest class."""


def classification(reference: EstimationReference, now: Table, outcome: outcomes.Outcome, own: Table) -> dict[str, Part | None]:
    """Metric → its part; None: not defined, since less than one row of some class is expected."""
    truth = np.eye(outcome.reference.shape[1])[np.asarray(reference.labels, dtype=np.intp)]
    return {name: _classified(name, reference, (own, now), outcome, truth) for name in CLASSIFICATION}


def _classified(
    name: str, reference: EstimationReference, sides: tuple[Table, Table], outcome: outcomes.Outcome, truth: Floats
) -> Part | None:
    own, now = sides
    found = expected(name, reference.task, now.scores, outcome.window, reference.threshold)
    if found is None:
        return None
    by_label, by_label_before = found.influence(now.scores), found.influence(own.scores)
    rows = np.sum(outcome.window * by_label, axis=1)
    spread = np.sum(outcome.window * by_label**2, axis=1) - rows**2
    residuals = np.sum((truth - outcome.reference) * by_label_before, axis=1)
    few = float(outcome.window.sum(axis=0).min())
    bound = 1.0 if name in UNIT_RANGE else 0.0
    return Part(found.value, rows - rows.mean(), float(spread.mean()), residuals, bound, few)


def losses_of(reference: EstimationReference, scores: Floats) -> dict[str, Floats]:
    """Regression metric → the loss whose mean it is, of the reference's rows; `rmse` stands here as the mean squared error: its root is taken last."""
    labels = np.asarray(reference.labels)
    error = np.abs(labels - scores[:, 0])
    return {
        "mae": error,
        "rmse": error**2,
        # scikit-learn's own guard against labels of 0
        "mape": error / np.maximum(np.abs(labels), np.finfo(np.float64).eps),
        LOSS: bounded_loss("regression", scores, labels, reference.scale),
    }


def regression(
    losses: dict[str, Floats], known: dict[str, outcomes.OneLoss], now: Table, weights: Floats
) -> dict[str, Part | None]:
    """As `classification`; `losses` as `losses_of`, and what is known of each."""
    found: dict[str, Part | None] = {}
    for name, loss in losses.items():
        outcome = outcomes.losses(known[name], now)
        residuals = loss - outcome.reference
        value = float(outcome.window.mean())
        variance = float(weights @ residuals**2 / weights.sum())
        bound = 1.0 if name in UNIT_RANGE else 0.0
        found[name] = Part(value, outcome.window - value, variance, residuals, bound, float(outcome.window.size))
    return found

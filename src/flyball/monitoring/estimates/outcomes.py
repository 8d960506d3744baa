"""What outcome to expect of a row: class probabilities or losses, learned on the reference, cross-fitted, corrected for the window's weights.

Classification: the score recalibrated (beta calibration, Kull et al. 2017) plus boosted trees of what features know beyond it, shrunk by how
much of that holds on rows not seen; then recalibrated again with the density ratio as weights, so that PAPE's condition (calibrated where the
window lies, arXiv 2401.08348) holds for it. Regression: the loss itself (direct loss estimation). Folds are whole blocks of time where
there are enough, so that luck shared by a day is not taken for knowledge.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.estimates.tables import Table
from flyball.stats import logistic
from flyball.stats.expected_metrics import class_scores
from flyball.stats.one_thread import one_thread

Floats = NDArray[np.float64]

FOLDS = 3
TREES, LEAVES, RATE, LEAST_ROWS, SHRINKAGE = 40, 8, 0.05, 40, 5.0
"""Slow and small: a model in production has used most of what its features know. Chosen on tilted census rows and synthetic shifts."""
MOST_CLASSES = 12
"""With more, only the scores are recalibrated: trees for each class would take longer than a tick may."""
LEAST_PROBABILITY = 1e-4


class Outcome(NamedTuple):
    """Expected of each row, in the reference and in the window."""

    reference: Floats
    """(n_rows, n_classes), or (n_rows,) of losses."""
    window: Floats


def folds_of(blocks: NDArray[np.int64]) -> NDArray[np.intp]:
    """Fold of each row (n_rows,): blocks dealt out in turn, rows where there are fewer than two blocks a fold."""
    if np.unique(blocks).size >= 2 * FOLDS:
        return np.asarray(blocks % FOLDS, dtype=np.intp)
    return np.arange(blocks.size) % FOLDS


def probabilities(before: Table, now: Table, labels: Floats, weights: Floats, folds: NDArray[np.intp]) -> Outcome:
    """Of each class: (n_rows, n_classes), rows sum to 1; binary: two classes."""
    own, new = class_scores(before.scores), class_scores(now.scores)
    kinds = [1] if before.scores.shape[1] == 1 else list(range(own.shape[1]))
    with one_thread():
        parts = [_one_class(before, now, (own[:, k], new[:, k], (labels == k).astype(np.float64)), weights, folds) for k in kinds]
    if len(kinds) == 1:
        return Outcome(*(np.column_stack((1.0 - p, p)) for p in parts[0]))
    joined = [np.column_stack(side) for side in zip(*parts, strict=True)]
    return Outcome(*(side / side.sum(axis=1, keepdims=True) for side in joined))


def _one_class(
    before: Table, now: Table, scores: tuple[Floats, Floats, Floats], weights: Floats, folds: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """`scores`: of the class in the reference and in the window, and whether each reference row is of it."""
    own, new, truth = scores
    curve = logistic.fit(_curve(own), truth, np.ones(truth.size), [0.0, 1.0, -1.0])
    base = [logistic.expit(_curve(side) @ curve) for side in (own, new)]
    more = Outcome(np.zeros(own.size), np.zeros(new.size))
    if before.scores.shape[1] <= MOST_CLASSES:
        more = _beyond(before, now, truth - base[0], folds)
    first, second = (_inside(known + learned) for known, learned in zip(base, more, strict=True))
    # Intercept, what was learned, the score, and the side of the threshold: with these the weighted errors cancel where the metrics look.
    columns, columns_now = _columns(first, own), _columns(second, new)
    again = logistic.fit(columns, truth, weights, [0.0, 1.0, 0.0, 0.0])
    return _inside(logistic.expit(columns @ again)), _inside(logistic.expit(columns_now @ again))


def _columns(p: Floats, scores: Floats) -> Floats:
    return np.column_stack((np.ones(p.size), logistic.logit(p), logistic.logit(scores), (scores >= 0.5).astype(np.float64)))


def _inside(probabilities: Floats) -> Floats:
    return np.asarray(np.clip(probabilities, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY), dtype=np.float64)


def _curve(scores: Floats) -> Floats:
    p = np.clip(scores, logistic.LEAST_PROBABILITY, 1.0 - logistic.LEAST_PROBABILITY)
    return np.column_stack((np.ones(p.size), np.log(p), np.log1p(-p)))


def losses(before: Table, now: Table, values: Floats, folds: NDArray[np.intp]) -> Outcome:
    """Expected loss of each row; `values` (n_rows,) of the reference."""
    mean = float(values.mean())
    with one_thread():
        more = _beyond(before, now, values - mean, folds)
    return Outcome(*(np.maximum(mean + side, 0.0) for side in more))


def _beyond(before: Table, now: Table, residuals: Floats, folds: NDArray[np.intp]) -> Outcome:
    """Cross-fitted trees of `residuals` (n_rows,), times the share of their promise that they kept on rows they had not seen."""
    own, new = np.zeros(residuals.size), np.zeros(len(now.values))
    used = [k for k in range(FOLDS) if 0 < np.count_nonzero(folds == k) < folds.size]
    for k in used:
        unseen = before.values[folds == k]
        trees = _trees(before.categorical).fit(before.values[folds != k], residuals[folds != k])
        # In one call: what it does before the first tree takes longer than the trees.
        said = trees.predict(np.vstack((unseen, now.values)))
        own[folds == k] = said[: len(unseen)]
        new += said[len(unseen) :] / len(used)
    promised = float(own @ own)
    kept = float(np.clip(own @ residuals / promised, 0.0, 1.0)) if promised > 0.0 else 0.0
    return Outcome(kept * own, kept * new)


def _trees(categorical: NDArray[np.bool_]) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=LEAST_ROWS, l2_regularization=SHRINKAGE,
        early_stopping=False, categorical_features=categorical, random_state=0,
    )  # fmt: skip

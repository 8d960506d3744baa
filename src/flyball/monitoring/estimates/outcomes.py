"""What outcome to expect of a row: class probabilities or losses, learned on the reference, cross-fitted, corrected for the window's weights.

Classification: the score recalibrated (beta calibration, Kull et al. 2017) plus boosted trees of what features know beyond it, shrunk by how
much of that holds on rows not seen; then recalibrated again with the density ratio as weights, so that PAPE's condition (calibrated where the
window lies, arXiv 2401.08348) holds for it. Regression: the loss itself (direct loss estimation). Folds are whole blocks of time where
there are enough, so that luck shared by a day is not taken for knowledge.

All but the last recalibration is learned from the reference's rows alone, coded by themselves, and so the same for every window. That is also what the
arithmetic asks for: the residuals that correct an estimate are of a function that was fixed before the window's rows were seen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring.estimates.tables import Table
from flyball.stats import logistic
from flyball.stats.empty_columns import filled
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


class Beyond(NamedTuple):
    """What features know of residuals: cross-fitted trees, and the share of their promise that they kept on rows they had not seen."""

    trees: tuple[Any, ...]
    """A fold each; none: nothing was learned."""
    kept: float
    reference: Floats
    """(n_rows,) by trees that have not seen the row, shrunk."""

    def of(self, values: Floats) -> Floats:
        """(m,) of rows coded as the reference's (m, n_columns)."""
        with one_thread():
            said = [trees.predict(values) for trees in self.trees]
        return self.kept * np.mean(said, axis=0) if said else np.zeros(len(values))


class OneClass(NamedTuple):
    """What the reference says of one class."""

    number: int
    truth: Floats
    """(n_rows,) 1 where the row is of it."""
    curve: Floats
    """Coefficients of the recalibrated score."""
    columns: Floats
    """(n_rows, 4) of the reference, for the recalibration with a window's weights."""
    beyond: Beyond


class OneLoss(NamedTuple):
    mean: float
    beyond: Beyond


def folds_of(blocks: NDArray[np.int64]) -> NDArray[np.intp]:
    """Fold of each row (n_rows,): blocks dealt out in turn, rows where there are fewer than two blocks a fold."""
    if np.unique(blocks).size >= 2 * FOLDS:
        return np.asarray(blocks % FOLDS, dtype=np.intp)
    return np.arange(blocks.size) % FOLDS


def classes_of(own: Table, labels: Floats, folds: NDArray[np.intp]) -> tuple[OneClass, ...]:
    """One for each class; binary: of the second one."""
    scores = class_scores(own.scores)
    kinds = [1] if own.scores.shape[1] == 1 else range(scores.shape[1])
    return tuple(_one_class(own, k, scores[:, k], (labels == k).astype(np.float64), folds) for k in kinds)


def _one_class(own: Table, number: int, scores: Floats, truth: Floats, folds: NDArray[np.intp]) -> OneClass:
    curve = logistic.fit(_curve(scores), truth, np.ones(truth.size), [0.0, 1.0, -1.0])
    base = logistic.expit(_curve(scores) @ curve)
    beyond = Beyond((), 0.0, np.zeros(truth.size))
    if own.scores.shape[1] <= MOST_CLASSES:
        beyond = _beyond(own, truth - base, folds)
    return OneClass(number, truth, curve, _columns(_inside(base + beyond.reference), scores), beyond)


def loss_of(own: Table, values: Floats, folds: NDArray[np.intp]) -> OneLoss:
    """`values` (n_rows,) of the reference."""
    mean = float(values.mean())
    return OneLoss(mean, _beyond(own, values - mean, folds))


def probabilities(known: Sequence[OneClass], now: Table, weights: Floats) -> Outcome:
    """Of each class: (n_rows, n_classes), rows sum to 1; binary: two classes. `now`: coded as the reference's rows by themselves."""
    scores = class_scores(now.scores)
    parts = [_expected(each, now.values, scores[:, each.number], weights) for each in known]
    if len(parts) == 1:
        return Outcome(*(np.column_stack((1.0 - p, p)) for p in parts[0]))
    joined = [np.column_stack(side) for side in zip(*parts, strict=True)]
    return Outcome(*(side / side.sum(axis=1, keepdims=True) for side in joined))


def _expected(known: OneClass, values: Floats, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Of one class, in the reference and in the window, whose `scores` of it are (m,)."""
    learned = _inside(logistic.expit(_curve(scores) @ known.curve) + known.beyond.of(values))
    # Intercept, what was learned, the score, and the side of the threshold: with these the weighted errors cancel where the metrics look.
    again = logistic.fit(known.columns, known.truth, weights, [0.0, 1.0, 0.0, 0.0])
    return _inside(logistic.expit(known.columns @ again)), _inside(logistic.expit(_columns(learned, scores) @ again))


def losses(known: OneLoss, now: Table) -> Outcome:
    """Expected loss of each row. `now`: as `probabilities`."""
    return Outcome(
        np.maximum(known.mean + known.beyond.reference, 0.0), np.maximum(known.mean + known.beyond.of(now.values), 0.0)
    )


def _columns(p: Floats, scores: Floats) -> Floats:
    return np.column_stack((np.ones(p.size), logistic.logit(p), logistic.logit(scores), (scores >= 0.5).astype(np.float64)))


def _inside(probabilities: Floats) -> Floats:
    return np.asarray(np.clip(probabilities, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY), dtype=np.float64)


def _curve(scores: Floats) -> Floats:
    p = np.clip(scores, logistic.LEAST_PROBABILITY, 1.0 - logistic.LEAST_PROBABILITY)
    return np.column_stack((np.ones(p.size), np.log(p), np.log1p(-p)))


def _beyond(own: Table, residuals: Floats, folds: NDArray[np.intp]) -> Beyond:
    """Of `residuals` (n_rows,)."""
    said, fitted = np.zeros(residuals.size), []
    for k in range(FOLDS):
        unseen = folds == k
        if 0 < np.count_nonzero(unseen) < folds.size:
            with one_thread():
                trees = _trees(own.categorical).fit(filled(own.values[~unseen]), residuals[~unseen])
                said[unseen] = trees.predict(own.values[unseen])
            fitted.append(trees)
    promised = float(said @ said)
    kept = float(np.clip(said @ residuals / promised, 0.0, 1.0)) if promised > 0.0 else 0.0
    return Beyond(tuple(fitted), kept, kept * said)


def _trees(categorical: NDArray[np.bool_]) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=LEAST_ROWS, l2_regularization=SHRINKAGE,
        early_stopping=False, categorical_features=categorical, random_state=0,
    )  # fmt: skip

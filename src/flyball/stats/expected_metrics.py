"""Metrics that are expected of rows whose labels are not known, from the probability of each class; and how each row's label moves them.

The confusion of a row is split over its classes: a row of probability p is p of a positive and 1 − p of a negative (Białek, Kuberski,
Perrakis & Bifet, arXiv 2401.08348, section 3). A metric is then a smooth function of these masses, and its derivative by the mass of a
row with scores s and label k, the influence function (Hampel, JASA 69, 1974), says how far sampling error of any kind moves it.
Assumes that labels are independent given the probabilities. Exact for means of losses; for areas and F1 the ratio of expectations
stands for the expectation of the ratio, which differs by the order of 1/n.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.records.signature import Task
from flyball.stats.losses import bounded_loss, score_table
from flyball.stats.metrics import HALF, predicted

Floats = npt.NDArray[np.float64]
Influence = Callable[[Floats], Floats]
"""Scores of any rows, (n_rows, n_scores) → derivative of the metric by a row of each label, (n_rows, n_classes). Its mean over the own rows is 0."""

SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Where a log loss is cut, as scikit-learn does: an infinite mean says nothing of the other rows."""


class Expected(NamedTuple):
    value: float
    influence: Influence


def expected(
    name: str, task: Task, scores: npt.ArrayLike, probabilities: npt.ArrayLike, threshold: float = HALF
) -> Expected | None:
    """The metric that is expected, or None where it is not defined: a class of which not even one row is expected, or no rows.

    `scores`: (n, 1) for binary, (n, k) for multiclass; `probabilities`: (n, k), of each class, k = 2 for binary. `threshold`: the score of two classes from
    which the answer is the positive one.

    >>> value, influence = expected("accuracy", "binary", [[0.9], [0.2]], [[0.2, 0.8], [0.5, 0.5]])
    >>> round(value, 3), influence(np.array([[0.7]])).round(3).tolist()
    (0.65, [[-0.65, 0.35]])
    """
    table, mass = score_table("binary" if task == "binary" else "multiclass", scores), np.asarray(probabilities, dtype=np.float64)
    if mass.ndim != 2 or len(mass) != len(table) or mass.shape[1] != max(table.shape[1], 2):
        raise ValueError(
            f"probabilities of shape ({len(table)}, {max(table.shape[1], 2)}) for scores {table.shape}, found {mass.shape}"
        )
    if len(mass) == 0:
        return None
    answers = partial(_answers, threshold=threshold)
    if name == "accuracy":
        return _mean(answers, table, mass)
    if name in LOSSES:
        return _mean(LOSSES[name], table, mass)
    return _each_against_the_rest(ONE_CLASS[name], table, mass, answers if name == "f1" else class_scores)


def class_scores(table: Floats) -> Floats:
    """A column of scores for each class, also for binary."""
    return np.column_stack((1.0 - table[:, 0], table[:, 0])) if table.shape[1] == 1 else table


def _mean(loss: Influence, table: Floats, mass: Floats) -> Expected:
    value = float((mass * loss(table)).sum(axis=1).mean())
    return Expected(value, lambda scores: loss(scores) - value)


def _brier(table: Floats) -> Floats:
    kinds = max(table.shape[1], 2)
    task: Task = "binary" if table.shape[1] == 1 else "multiclass"
    return np.column_stack([bounded_loss(task, table, np.full(len(table), float(k))) for k in range(kinds)])


def _log_loss(table: Floats) -> Floats:
    shares = np.clip(class_scores(table), 0.0, 1.0)
    total = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, total, out=np.full_like(shares, 1.0 / shares.shape[1]), where=total > 0)
    return np.asarray(-np.log(np.clip(shares, SMALLEST_PROBABILITY, 1.0)))


def _answers(table: Floats, threshold: float) -> Floats:
    """(n, k) 1 at the class that each row is answered with."""
    kinds = max(table.shape[1], 2)
    chosen = predicted("binary" if table.shape[1] == 1 else "multiclass", table, threshold)
    return np.asarray(chosen[:, None] == np.arange(kinds), dtype=np.float64)


LOSSES: dict[str, Influence] = {"brier": _brier, "log_loss": _log_loss, "bounded_loss": _brier}
"""Value of a row for each label it may have; the metric is their mean, as accuracy is of the answers."""

OneClass = Callable[[Floats, Floats], tuple[float, Callable[[Floats], tuple[Floats, Floats]]] | None]
"""(what ranks or predicts, probability) of the own rows → value, and a function of other rows' to the influences of a positive and of a negative."""


def _each_against_the_rest(one: OneClass, table: Floats, mass: Floats, columns: Influence) -> Expected | None:
    """Binary: of the positive class. Several: the mean of each against the rest. `columns`: what ranks or is answered, of each class."""
    kinds = range(mass.shape[1]) if mass.shape[1] > 2 or table.shape[1] > 1 else range(1, 2)
    own = columns(table)
    parts = [one(own[:, k], mass[:, k]) for k in kinds]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None

    def influence(scores: Floats) -> Floats:
        seen = columns(scores)
        total = np.zeros((len(scores), mass.shape[1]))
        for k, (_, of) in zip(kinds, known, strict=True):
            positive, negative = of(seen[:, k])
            total += negative[:, None]
            total[:, k] += positive - negative
        return total / len(known)

    return Expected(float(np.mean([value for value, _ in known])), influence)


class _Ranking(NamedTuple):
    """Rows by score, highest first, equal scores together."""

    scores: Floats
    """(n_groups,) descending"""
    positive: Floats
    """Mass in each group."""
    negative: Floats
    spread: Floats
    """Σ p(1 − p) in each group: pairs of a row with itself do not exist."""

    def place(self, scores: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """How many groups lie strictly above each score, and how many above or at it."""
        rising = -self.scores
        return np.searchsorted(rising, -scores, side="left"), np.searchsorted(rising, -scores, side="right")


def _ranking(scores: Floats, probability: Floats) -> _Ranking | None:
    values, group = np.unique(-scores, return_inverse=True)
    positive, negative, spread = (
        _sums(group, part) for part in (probability, 1.0 - probability, probability * (1.0 - probability))
    )
    if min(positive.sum(), negative.sum()) < 1.0:
        return None
    return _Ranking(-values, positive, negative, spread)


def _sums(group: npt.NDArray[np.intp], values: Floats) -> Floats:
    return np.asarray(np.bincount(group, values), dtype=np.float64)


def _from_zero(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))


def _roc_auc(scores: Floats, probability: Floats) -> tuple[float, Callable[[Floats], tuple[Floats, Floats]]] | None:
    """Mann–Whitney: the mass of pairs in right order, ties half."""
    ranks = _ranking(scores, probability)
    if ranks is None:
        return None
    above_positive, above_negative = _from_zero(ranks.positive), _from_zero(ranks.negative)
    p, q, n = float(above_positive[-1]), float(above_negative[-1]), float(scores.size)
    right = ranks.negative @ above_positive[:-1] + 0.5 * (ranks.positive @ ranks.negative - ranks.spread.sum())
    value = float(right) / (p * q - float(ranks.spread.sum()))

    def of(others: Floats) -> tuple[Floats, Floats]:
        first, last = ranks.place(others)
        negatives_below = 1.0 - 0.5 * (above_negative[first] + above_negative[last]) / q
        positives_above = 0.5 * (above_positive[first] + above_positive[last]) / p
        return (negatives_below - value) * n / p, (positives_above - value) * n / q

    return value, of


def _pr_auc(scores: Floats, probability: Floats) -> tuple[float, Callable[[Floats], tuple[Floats, Floats]]] | None:
    """Average precision: the precision at each positive, itself counted for certain."""
    ranks = _ranking(scores, probability)
    if ranks is None:
        return None
    true, all_ = np.cumsum(ranks.positive), np.cumsum(ranks.positive + ranks.negative)
    p, n, precision = float(true[-1]), float(scores.size), true / all_
    value = float((ranks.positive * precision + ranks.spread / all_).sum() / p)
    # Mass at s raises the counts of every group at or below it: sums from the end.
    per_true = np.append(np.cumsum((ranks.positive / all_)[::-1])[::-1], 0.0)
    per_all = np.append(np.cumsum((ranks.positive * precision / all_)[::-1])[::-1], 0.0)

    def of(others: Floats) -> tuple[Floats, Floats]:
        first, last = ranks.place(others)
        # a score between two groups has the precision of the group above
        at = precision[np.maximum(last - 1, 0)]
        return (at + per_true[first] - per_all[first] - value) * n / p, -per_all[first] * n / p

    return value, of


def _f1(predicted: Floats, probability: Floats) -> tuple[float, Callable[[Floats], tuple[Floats, Floats]]] | None:
    """2 TP / (predicted + positive)."""
    n, total = float(predicted.size), float(predicted.sum() + probability.sum())
    if probability.sum() < 1.0:
        return None
    value = 2.0 * float(predicted @ probability) / total

    def of(others: Floats) -> tuple[Floats, Floats]:
        return (2.0 * others - value * (others + 1.0)) * n / total, -value * others * n / total

    return value, of


ONE_CLASS: dict[str, OneClass] = {"roc_auc": _roc_auc, "pr_auc": _pr_auc, "f1": _f1}

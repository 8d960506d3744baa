"""Areas under the ROC and the precision-recall curve for hundreds of resamples of the same rows: scikit-learn's values, without its checks of every draw.

Rows are ranked once by `Ranked`; a resample is how often each row was drawn, so a draw costs O(n) and not a sort. Sources: the Mann-Whitney form of the area
(Hanley & McNeil, Radiology 143, 1982); average precision as the mean over positives of the precision at their score (`sklearn.metrics.average_precision_score`).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from flyball.records.signature import Task

Floats = npt.NDArray[np.float64]

AREAS = ("roc_auc", "pr_auc")


class Ranked:
    """One class against the rest, highest score first."""

    def __init__(self, truth: npt.NDArray[np.bool_], scores: Floats) -> None:
        """`truth`, `scores`: (n_rows,), n_rows ≥ 1."""
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._positive = truth[self._order]
        self._ends = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
        """(n_scores,) the last row of each score."""

    def roc_auc(self, drawn: Floats) -> float:
        """`drawn`: (n_rows,) how often each row counts. NaN where either class is not among them."""
        positive, negative = self._of_scores(drawn)
        all_positive, all_negative = positive.sum(), negative.sum()
        if not all_positive or not all_negative:
            return float("nan")
        above = np.cumsum(positive) - positive / 2.0
        return float((negative * above).sum() / (all_positive * all_negative))

    def pr_auc(self, drawn: Floats) -> float:
        """As `roc_auc`; NaN where no positive row, or no other, is among them."""
        positive, negative = self._of_scores(drawn)
        found, reached = np.cumsum(positive), np.cumsum(positive + negative)
        if not found[-1] or found[-1] == reached[-1]:
            return float("nan")
        # Scores that were not drawn at all lie before the first one that was: nothing is reached, and nothing counts.
        precision = np.divide(found, reached, out=np.zeros_like(found), where=reached > 0)
        return float((positive * precision).sum() / found[-1])

    def _of_scores(self, drawn: Floats) -> tuple[Floats, Floats]:
        """(n_scores,) positive and other rows of each score."""
        ranked = drawn[self._order]
        all_rows = np.diff(np.cumsum(ranked)[self._ends], prepend=0.0)
        positive = np.diff(np.cumsum(ranked * self._positive)[self._ends], prepend=0.0)
        return positive, all_rows - positive


def resampled(name: str, task: Task, table: Floats, labels: Floats) -> Callable[[Floats], float]:
    """The metric `name`, one of AREAS, as a function of how often each row was drawn; several classes: each against the rest, averaged with equal weight.

    `table`: (n_rows, n_scores), `labels`: (n_rows,) class indices. NaN where a draw lacks a class.
    """
    of_class = (
        [Ranked(labels == 1, table[:, 0])]
        if task == "binary"
        else [Ranked(labels == each, table[:, each]) for each in range(table.shape[1])]
    )
    if name == "roc_auc":
        return lambda drawn: float(np.mean([each.roc_auc(drawn) for each in of_class]))
    return lambda drawn: float(np.mean([each.pr_auc(drawn) for each in of_class]))

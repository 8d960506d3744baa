"""Areas under the ROC and the precision-recall curve for hundreds of resamples of the same rows: scikit-learn's values, without its checks of every draw.

Rows are ranked once by `Ranked`; a resample is how often each block of rows was drawn, so a draw costs O(n) and not a sort. Sources: the Mann-Whitney form of the area
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

    def __init__(self, truth: npt.NDArray[np.bool_], scores: Floats, blocks: npt.NDArray[np.intp]) -> None:
        """`truth`, `scores`, `blocks`: (n_rows,), n_rows ≥ 1; `blocks`: the number of each row's block."""
        order = np.argsort(-scores, kind="stable")
        self._blocks = blocks[order].astype(np.int32)
        self._positive = truth[order].astype(np.float64)
        self._starts = np.append(0, np.flatnonzero(np.diff(scores[order])) + 1)
        """(n_scores,) the first row of each score."""

    def roc_auc(self, drawn: Floats) -> float:
        """`drawn`: (n_blocks,) how often the rows of each count. NaN where either class is not among them."""
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
        ranked = drawn[self._blocks]
        all_rows = np.add.reduceat(ranked, self._starts)
        positive = np.add.reduceat(ranked * self._positive, self._starts)
        return positive, all_rows - positive


def resampled(name: str, task: Task, table: Floats, labels: Floats, blocks: npt.NDArray[np.intp]) -> Callable[[Floats], float]:
    """The metric `name`, one of AREAS, as a function of how often each block was drawn; several classes: each against the rest, averaged with equal weight.

    `table`: (n_rows, n_scores), `labels`: (n_rows,) class indices, `blocks`: (n_rows,) numbers from 0. NaN where a draw lacks a class.
    """
    classes = [(1, 0)] if task == "binary" else [(each, each) for each in range(table.shape[1])]
    of_class = [Ranked(labels == label, table[:, column], blocks) for label, column in classes]
    if name == "roc_auc":
        return lambda drawn: float(np.mean([each.roc_auc(drawn) for each in of_class]))
    return lambda drawn: float(np.mean([each.pr_auc(drawn) for each in of_class]))

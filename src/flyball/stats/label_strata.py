"""Into which parts predictions and labels are sorted before their delays are compared.

A delay that differs between parts is corrected for; one that differs within them is not. Labels: by class, or for numbers by interval. Predictions:
by what the score says. Both together tell rows that the model got right from those that it got wrong, whose labels may be disputed for longer.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.records.signature import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_CLASSES = 16
"""With more each has too few labels for a curve of its own, and a cohort's table would grow beyond tens of kB: all of them are one."""


class LabelStrata(NamedTuple):
    """Bounds are ascending; a value on a bound belongs above it."""

    task: Task
    n_classes: int = 0
    score_bounds: tuple[float, ...] = (0.5,)
    """Of the positive class's probability, the number, or the most probable class's probability."""
    label_bounds: tuple[float, ...] = ()
    """Regression only."""

    @property
    def n_scores(self) -> int:
        return len(self.score_bounds) + 1

    @property
    def n_labels(self) -> int:
        if self.task == "regression":
            return len(self.label_bounds) + 1
        return self.n_classes if self.n_classes <= MOST_CLASSES else 1

    def of_scores(self, scores: Floats) -> Ints:
        """(n_rows, n_scores) → (n_rows,)

        >>> LabelStrata("binary", 2, (0.1, 0.5)).of_scores(np.array([[0.05], [0.5]])).tolist()
        [0, 2]
        """
        told = scores.max(axis=1) if self.task == "multiclass" else scores[:, 0]
        return np.searchsorted(np.asarray(self.score_bounds, dtype=np.float64), told, side="right").astype(np.int64)

    def of_labels(self, labels: Floats) -> Ints:
        """(n_rows,) without NaN → (n_rows,)"""
        if self.task == "regression":
            return np.searchsorted(np.asarray(self.label_bounds, dtype=np.float64), labels, side="right").astype(np.int64)
        return labels.astype(np.int64) if self.n_classes <= MOST_CLASSES else np.zeros(labels.size, dtype=np.int64)

"""What a model's scores are answered as, where that is not the scores themselves: a part of the release unit."""

import math
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class ScoreMap(msgspec.Struct, frozen=True, kw_only=True, tag="score", tag_field="kind"):
    """What a binary model's score is answered as: rising, linear between its points, level beyond them."""

    method: str
    """`isotonic` or `platt`: how it was fitted. `none`: of a class of which there are too few rows, answered as it is."""
    scores: tuple[float, ...]
    """Ascending, in [0, 1]: of the model."""
    answers: tuple[float, ...]
    """Never falling, in [0, 1]: one for each score."""
    rows: int
    """That it was fitted on."""
    until: datetime | None = None
    """The newest of them; None: unknown."""

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.answers) or len(self.scores) < 2:
            raise ValueError(f"as many answers as scores, at least two, found {len(self.answers)} and {len(self.scores)}")
        if any(low >= high for low, high in pairwise(self.scores)) or any(low > high for low, high in pairwise(self.answers)):
            raise ValueError("scores that ascend and answers that never fall")
        if not (self.answers[0] >= 0.0 and self.answers[-1] <= 1.0):
            raise ValueError(f"answers in [0, 1], found {self.answers[0]:g} to {self.answers[-1]:g}")

    def function(self) -> Callable[[npt.ArrayLike], Floats]:
        """`of`, made once for many calls."""
        scores, answers = np.asarray(self.scores), np.asarray(self.answers)
        return lambda given: np.interp(np.asarray(given, dtype=np.float64), scores, answers)

    def of(self, scores: npt.ArrayLike) -> Floats:
        """What is answered for the model's scores, in their shape."""
        return self.function()(scores)


class ValueMap(msgspec.Struct, frozen=True, kw_only=True, tag="value", tag_field="kind"):
    """What a regression's number is answered as: `level` + `slope` · number."""

    level: float
    """In the label's unit."""
    slope: float
    """Above 0."""
    rows: int
    until: datetime | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.level) and math.isfinite(self.slope) and self.slope > 0.0):
            raise ValueError(f"a finite level and a slope above 0, found {self.level:g} and {self.slope:g}")

    def function(self) -> Callable[[npt.ArrayLike], Floats]:
        return self.of

    def of(self, scores: npt.ArrayLike) -> Floats:
        """As `ScoreMap.of`."""
        return np.asarray(self.level + self.slope * np.asarray(scores, dtype=np.float64))


class ClassMap(msgspec.Struct, frozen=True, kw_only=True, tag="classes", tag_field="kind"):
    """What a multi-class model's probabilities are answered as: each through a map of its own, then all divided by their sum."""

    classes: tuple[ScoreMap, ...]
    """In the signature's order."""
    rows: int
    until: datetime | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise ValueError(f"a map for each class, at least two, found {len(self.classes)}")

    def function(self) -> Callable[[npt.ArrayLike], Floats]:
        maps = [each.function() for each in self.classes]

        def answered(given: npt.ArrayLike) -> Floats:
            scores = np.asarray(given, dtype=np.float64)
            mapped = np.stack([one(scores[:, place]) for place, one in enumerate(maps)], axis=1)
            total = mapped.sum(axis=1, keepdims=True)
            # Where every class is answered with 0 nothing can be divided: such a row keeps its scores.
            return np.where(total > 0.0, mapped / np.where(total > 0.0, total, 1.0), scores)

        return answered

    def of(self, scores: npt.ArrayLike) -> Floats:
        """As `ScoreMap.of`; scores (n_rows, n_classes)."""
        return self.function()(scores)


AnswerMap = ScoreMap | ValueMap | ClassMap
"""One for each task: binary, regression, multiclass."""

"""A reference made ready for any number of windows: what hangs on it alone is made once, and kept for as long as it is.

Only time hangs on what is kept: of the same rows a process that starts anew makes the same again.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from flyball.monitoring.estimates import outcomes, parts, tables, unknown
from flyball.monitoring.estimates.outcomes import OneClass, OneLoss
from flyball.monitoring.estimates.rows import EstimationReference

KEPT = 2
"""Sets of columns of which something was learned: windows have all of them, or those that capture keeps in full."""


class Prepared:
    """One version's. Beside the reference some 20 bytes a value, and trees."""

    def __init__(self, reference: EstimationReference) -> None:
        self.reference = reference
        self.columns = tables.columns_of(reference)
        self.labels = np.asarray(reference.labels)
        self.blocks = np.asarray(reference.blocks, dtype=np.int64)
        self.folds = outcomes.folds_of(self.blocks)
        self._learned: dict[tuple[str, ...], Learned] = {}

    @cached_property
    def losses(self) -> dict[str, outcomes.Floats]:
        """Regression: metric → loss of each row."""
        return parts.losses_of(self.reference, self.columns.scores)

    def learned(self, names: Sequence[str]) -> "Learned":
        """Of these columns."""
        place = tuple(names)
        if place not in self._learned:
            while len(self._learned) >= KEPT:
                del self._learned[next(iter(self._learned))]
            self._learned[place] = Learned(self, place)
        return self._learned[place]


class Learned:
    """What columns of the reference say of its outcomes."""

    def __init__(self, reference: Prepared, names: tuple[str, ...]) -> None:
        self._reference = reference
        self.own = tables.coded(reference.columns.within(names))

    @cached_property
    def usual(self) -> unknown.Usual:
        of = self._reference
        return unknown.usual(self.own.columns, of.blocks, of.reference.rows)

    @cached_property
    def classes(self) -> tuple[OneClass, ...]:
        return outcomes.classes_of(self.own.table, self._reference.labels, self._reference.folds)

    @cached_property
    def losses(self) -> dict[str, OneLoss]:
        """Regression: by metric."""
        of = self._reference
        return {name: outcomes.loss_of(self.own.table, values, of.folds) for name, values in of.losses.items()}

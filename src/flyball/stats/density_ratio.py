"""How much more often a row occurs now than it did: the ratio of two densities, from a classifier that tells the two samples apart.

Source: Qin (Biometrika 85, 1998); Bickel, Brückner & Scheffer (JMLR 10, 2009): odds of "now" given the row, over the odds of a draw. Gradient-boosted
trees (histograms, so O(n)), cross-fitted: no row is judged by trees that saw it. Their out-of-fold log odds are then themselves fitted by a
logistic curve (Platt): where the trees know nothing its slope is near 0 and all ratios are near 1, so that weights cost no
precision while nothing has moved. Assumes independent rows, and that the second sample lies where the first has rows: see `outside`.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats import logistic
from flyball.stats.empty_columns import filled
from flyball.stats.one_thread import one_thread

Floats = npt.NDArray[np.float64]

FOLDS = 3
TREES, LEAVES, RATE, LEAST_ROWS, SHRINKAGE = 40, 8, 0.1, 40, 1.0
"""Small trees, and enough rows in a leaf for its ratio to mean something. Chosen on tilted census rows and synthetic shifts."""
CEILING = 50.0
"""Largest ratio. A single row that stands for more than so many would carry the estimate alone."""
OUTSIDE = 30.0
"""From this ratio on a row counts as one that the first sample does not know: 5,000 rows hold fewer than one like it for every 30 expected."""


class Ratio(NamedTuple):
    reference: Floats
    """(n,) of each row of the first sample; mean 1."""
    window: Floats
    """(m,) of each row of the second, cut at CEILING."""

    @property
    def effective(self) -> float:
        """Rows that equal weights would need for the same precision (Kish 1965)."""
        return float(self.reference.sum() ** 2 / np.sum(self.reference**2))

    @property
    def outside(self) -> float:
        """Share of the second sample where the first has next to no rows."""
        return float(np.mean(self.window >= OUTSIDE))


def density_ratio(reference: Floats, window: Floats, categorical: npt.NDArray[np.bool_]) -> Ratio:
    """Density of `window` (m, k) over that of `reference` (n, k) at each of their rows; NaN is a value like any other.

    Rows in order of time, where they have one. `categorical`: (k,) columns whose values are codes 0 … 254. Nothing is drawn: the same rows
    give the same answer on any number of cores.

    >>> rng = np.random.default_rng(0)
    >>> ratio = density_ratio(rng.normal(size=(900, 1)), rng.normal(0.5, 1.0, (900, 1)), np.array([False]))
    >>> bool(ratio.effective < 900), ratio.outside
    (True, 0.0)
    """
    n, m = len(reference), len(window)
    rows = np.vstack((reference, window))
    now = np.repeat([0.0, 1.0], [n, m])
    balance = np.where(now == 1.0, n / m, 1.0)  # both samples count the same: the odds are then the ratio itself
    # Stretches, not rows at random: neighbours in time share their hour's weather, and trees that saw one of them know the other.
    fold = np.concatenate((np.arange(n) * FOLDS // n, np.arange(m) * FOLDS // m))
    odds = np.empty(n + m)
    with one_thread():
        for k in range(FOLDS):
            trees = _classifier(categorical).fit(filled(rows[fold != k]), now[fold != k])
            odds[fold == k] = trees.decision_function(rows[fold == k]) - np.log(m / n)
    columns = np.column_stack((np.ones(n + m), odds))
    found = logistic.fit(columns, now, balance, [0.0, 0.0])
    if found[1] <= 0.0:  # worse than chance on rows not seen: nothing is known
        return Ratio(np.ones(n), np.ones(m))
    ratio = np.exp(np.clip(columns @ found, -np.log(1e6), np.log(CEILING)))
    return Ratio(ratio[:n] / ratio[:n].mean(), ratio[n:])


def _classifier(categorical: npt.NDArray[np.bool_]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=LEAST_ROWS, l2_regularization=SHRINKAGE,
        early_stopping=False, categorical_features=categorical, random_state=0,
    )  # fmt: skip

"""What rows of one population would have averaged, had they been distributed as those of another.

E over changed rows of m(x), with m(x) = E[y | x] in the base population, from y of base rows only: mean of m̂ over changed rows plus the weighted mean of the base rows'
residuals y − m̂, weights being the density ratio (augmented inverse weighting: Robins, Rotnitzky & Zhao 1994; for transported means Dahabreh et al. 2020). Doubly
robust: an error in m̂ is repaired by good weights and the other way round. Cross-fitted (Chernozhukov et al. 2018): whoever judges a row has not been fitted on it.
Assumes that each changed row has base rows like it (overlap), and nothing beside x that moved y.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flyball.stats.empty_columns import filled
from flyball.stats.one_thread import one_thread

Floats = npt.NDArray[np.float64]

MOST_RATIO = 20.0
"""A base row counts as so many at most: without it one row that the classifier is sure of carries the mean. What it hides is bias towards m̂."""
TREES = 40
DEPTH = 3


class Transported(NamedTuple):
    mean: float
    at_base: Floats
    """(n_base,) influence of each base row: their mean is the correction by residuals."""
    at_changed: Floats
    """(n_changed,) influence of each changed row: their mean is the mean of m̂."""


def transported_mean(residuals: npt.ArrayLike, ratio: npt.ArrayLike, fitted: npt.ArrayLike) -> Transported:
    """`residuals` y − m̂ and density `ratio` of base rows (mean one), `fitted` m̂ of changed rows.

    >>> transported_mean([0.1, -0.1], [1.5, 0.5], [0.4, 0.6]).mean
    0.55
    """
    correction = np.asarray(residuals, dtype=np.float64) * np.asarray(ratio, dtype=np.float64)
    values = np.asarray(fitted, dtype=np.float64)
    return Transported(float(values.mean() + correction.mean()), correction, values)


def density_ratio(base: Floats, changed: Floats, base_fold: npt.NDArray[np.int64], changed_fold: npt.NDArray[np.int64]) -> Floats:
    """p(x | changed) / p(x | base) at each base row, mean one: odds of boosted trees that were not fitted on the row's fold (Bickel, Brückner & Scheffer 2009)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    ratio = np.ones(len(base))
    for fold in np.unique(base_fold):
        x = np.vstack([base[base_fold != fold], changed[changed_fold != fold]])
        is_changed = np.repeat([0, 1], [np.count_nonzero(base_fold != fold), np.count_nonzero(changed_fold != fold)])
        model = HistGradientBoostingClassifier(
            max_iter=TREES, max_depth=DEPTH, min_samples_leaf=max(20, len(x) // 100), early_stopping=False
        )
        with one_thread():
            p = model.fit(filled(x), is_changed).predict_proba(base[base_fold == fold])[:, 1]
        ratio[base_fold == fold] = (
            p / np.maximum(1.0 - p, 1e-9) * (np.count_nonzero(is_changed == 0) / np.count_nonzero(is_changed))
        )
    clipped = np.minimum(ratio, MOST_RATIO)
    return np.asarray(clipped / clipped.mean(), dtype=np.float64)


def effective_rows(ratio: npt.ArrayLike) -> float:
    """Kish's effective sample size (1965): how many equally weighted rows say as much."""
    weights = np.asarray(ratio, dtype=np.float64)
    return float(weights.sum() ** 2 / np.sum(weights**2)) if weights.size else 0.0

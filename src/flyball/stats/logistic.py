"""Weighted logistic regression on a few columns, towards a prior: what recalibrates probabilities (Platt 1999; Kull, Silva Filho & Flach 2017).

Maximum a posteriori by Newton's method with step halving, so that separable data end at the prior's distance instead of infinity.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_PROBABILITY = 1e-6
"""Before a logarithm of odds: a score of exactly 0 or 1 would be infinite."""
_STEPS = 50
_HALVINGS = 30


def logit(probabilities: npt.ArrayLike) -> Floats:
    """Logarithm of the odds, ±13.8 at most.

    >>> logit([0.5, 1.0]).round(1).tolist()
    [0.0, 13.8]
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    return np.asarray(np.log(p) - np.log1p(-p))


def expit(odds: npt.ArrayLike) -> Floats:
    """Its inverse."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(odds, dtype=np.float64))))


def fit(columns: Floats, labels: Floats, weights: Floats, prior: npt.ArrayLike, precision: float = 1.0) -> Floats:
    """Coefficients (k,) of `columns` (n, k) for labels in [0, 1] (n,) with `weights` (n,): prior normal, mean `prior` (k,), variance 1/`precision`.

    >>> x = np.array([[1.0, -1.0], [1.0, 1.0]] * 50)
    >>> fit(x, np.tile([0.2, 0.8], 50), np.ones(100), [0.0, 0.0], 1e-6).round(3).tolist()[1]
    1.386
    """
    centre = np.asarray(prior, dtype=np.float64)

    def objective(beta: Floats) -> float:
        z = columns @ beta
        return float(weights @ (labels * z - np.logaddexp(0.0, z)) - 0.5 * precision * np.sum((beta - centre) ** 2))

    found, reached = centre.copy(), objective(centre)
    for _ in range(_STEPS):
        p = expit(columns @ found)
        slope = columns.T @ (weights * (labels - p)) - precision * (found - centre)
        curvature = (columns * (weights * p * (1.0 - p))[:, None]).T @ columns + precision * np.eye(centre.size)
        step = np.linalg.solve(curvature, slope)
        for _ in range(_HALVINGS):
            if (tried := objective(found + step)) >= reached:
                break
            step = step / 2.0
        else:
            break
        found, reached = found + step, tried
        if np.max(np.abs(step)) < 1e-8:
            break
    return found

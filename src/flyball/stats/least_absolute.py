"""A straight line by least absolute deviations, towards no change: what moves a regression's answers to where labels are now.

Source: Koenker & Bassett, Econometrica 46 (1978), at the median; found by iteratively reweighted least squares (Schlossmacher, JASA 68, 1973). Absolute, because
that is the loss that answers are judged by: rows that are far off pull no more than others. Assumes that rows are of the population that will be answered;
nothing of independence: dependent rows make the line as good as fewer rows would.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PRIOR_ROWS = 1.0
"""Of no change, to the level and to the slope: where all scores are alike, rows speak of the level alone."""
_STEPS = 50
_NEAREST = 1e-3
"""Of the deviations' spread: those below it count as it, or rows that are met exactly would weigh without end."""


def line(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[float, float] | None:
    """(level, slope): labels are about level + slope · score. None: the scores' own order is turned round on these rows.

    >>> x = np.linspace(0.0, 10.0, 400)
    >>> level, slope = line(x, 3.0 + 2.0 * x + np.tile([-1.0, 1.0], 200))
    >>> round(level, 1), round(slope, 1)
    (3.0, 2.0)
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or x.size == 0 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(f"one finite label a finite score, at least one row, found shapes {x.shape} and {y.shape}")
    middle, spread = float(x.mean()), float(x.std()) or 1.0
    columns = np.stack([np.ones_like(x), (x - middle) / spread], axis=1)
    found: Floats = np.zeros(2)
    moved = y - x  # by how much labels differ from answers: no change is 0, which the prior draws to
    nearest = _NEAREST * (float(np.median(np.abs(moved - np.median(moved)))) or float(y.std()) or 1.0)
    for _ in range(_STEPS):
        weights = 1.0 / np.maximum(np.abs(moved - columns @ found), nearest)
        normal = (columns * weights[:, None]).T @ columns + PRIOR_ROWS * float(weights.mean()) * np.eye(2)
        new: Floats = np.linalg.solve(normal, (columns * weights[:, None]).T @ moved).astype(np.float64)
        done = np.max(np.abs(new - found)) < _NEAREST * nearest
        found = new
        if done:
            break
    slope = 1.0 + found[1] / spread
    if slope <= 0.0:
        return None
    return float(f"{found[0] - found[1] / spread * middle:.8g}"), float(f"{slope:.8g}")

"""Are several means zero at once, whatever the correlation of what they are means of? Hotelling's T²."""

import numpy as np
from numpy.typing import NDArray

SINGULAR = 1e-9
"""Of the mean square, added to each variance: a column without any scatter has no inverse, and its mean is then told by this."""

Floats = NDArray[np.float64]


def zero_mean_p(values: Floats) -> float:
    """p-value of "each column's mean is zero" from independent rows (n_rows, n_columns): (n − p)/(p(n − 1))·T² is F(p, n − p) (Hotelling 1931).

    Assumes rows that are independent and near to normal; of means of many values they are. Columns may depend on one another. 1 where rows are too few to say
    anything (n ≤ p), or where all values are zero.

    >>> rows = np.array([[1.0, 2.1], [1.2, 1.8], [0.9, 2.0], [1.1, 2.2], [0.8, 1.9]])
    >>> round(zero_mean_p(rows), 4), zero_mean_p(rows[:2]), zero_mean_p(0 * rows)
    (0.0003, 1.0, 1.0)
    """
    from scipy.special import fdtrc

    n, p = values.shape
    scale = float(np.mean(values * values)) if values.size else 0.0
    if n <= p or scale == 0.0:
        return 1.0
    mean = values.mean(axis=0)
    scatter = np.atleast_2d(np.cov(values, rowvar=False)) + SINGULAR * scale * np.eye(p)
    t_squared = n * float(mean @ np.linalg.solve(scatter, mean))
    return float(fdtrc(p, n - p, max(t_squared, 0.0) * (n - p) / (p * (n - 1.0))))

"""Columns in which no row has a value: scikit-learn's histograms cannot cut them (ValueError), though trees have nothing to split there."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def filled(rows: Floats) -> Floats:
    """(n_rows, n_columns) to fit trees on, with zeros for what is NaN in all of them. Trees that know a constant ask nothing of it, whatever it is elsewhere.

    >>> filled(np.array([[1.0, np.nan], [np.nan, np.nan]])).tolist()
    [[1.0, 0.0], [nan, 0.0]]
    """
    empty = np.isnan(rows).all(axis=0)
    return np.where(empty, 0.0, rows) if empty.any() else rows

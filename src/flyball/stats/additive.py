"""A mean that is a sum of one step function per column: least squares on levels, with a ridge of one row per level.

Source: ridge regression (Hoerl & Kennard 1970) on indicator columns. The change of such a function's mean from one set of rows to another is the sum over columns of
Σ over levels (share now − share then) · component: what each column brings is exact, whatever is correlated with what, and needs no sampling. Where the true mean has
interactions, this is its best additive approximation on the rows that it was fitted on, and says nothing of the rest.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNKNOWN = -1
"""The code of a value that no level holds: its component is 0, the column's mean over the rows of the fit."""
RIDGE = 1.0
"""In rows: a level with that many rows is shrunk by half. Without it, indicators that sum to one have no unique solution."""


def fit(codes: Ints, levels: Sequence[int], y: npt.ArrayLike) -> tuple[Floats, ...]:
    """One component per column, (levels[j],): the mean over the rows of the fit is 0, so ȳ + Σ components is the fitted mean.

    `codes` (n_rows, n_columns) from 0 to levels[j] − 1, or UNKNOWN; `y` (n_rows,).

    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 500)
    >>> component, other = fit(codes, [2, 2], codes[:, 0] * 1.0)
    >>> component.round(3).tolist(), other.round(3).tolist()
    ([-0.5, 0.5], [0.0, 0.0])
    """
    target = np.asarray(y, dtype=np.float64)
    if codes.ndim != 2 or codes.shape != (target.size, len(levels)):
        raise ValueError(f"codes of shape {(target.size, len(levels))}, found {codes.shape}")
    indicators = one_hot(codes, levels)
    shares = indicators.mean(axis=0)
    centred = indicators - shares
    gram = centred.T @ centred + RIDGE * np.eye(len(shares))
    solved = np.linalg.solve(gram, centred.T @ (target - target.mean()))
    starts = np.concatenate([[0], np.cumsum(levels)])
    found = []
    for j in range(len(levels)):
        part, share = solved[starts[j] : starts[j + 1]], shares[starts[j] : starts[j + 1]]
        known = share.sum()
        found.append(part - float(part @ share) / known if known > 0 else np.zeros(levels[j]))
    return tuple(found)


def one_hot(codes: Ints, levels: Sequence[int]) -> Floats:
    """Indicators (n_rows, Σ levels); a row of an UNKNOWN value has none for that column."""
    table = np.zeros((len(codes), sum(levels)))
    starts = np.concatenate([[0], np.cumsum(levels)[:-1]])
    rows, columns = np.nonzero(codes >= 0)
    table[rows, starts[columns] + codes[rows, columns]] = 1.0
    return table


def contributions(components: Sequence[Floats], codes: Ints) -> Floats:
    """The component of each row and column, (n_rows, n_columns)."""
    return np.column_stack([_of(component, codes[:, j]) for j, component in enumerate(components)])


def _of(component: Floats, codes: Ints) -> Floats:
    return np.where(codes >= 0, component[np.maximum(codes, 0)], 0.0)

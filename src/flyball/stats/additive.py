"""A mean that is a sum of one function per column: least squares on levels, with a ridge of one row per level.

Source: ridge regression (Hoerl & Kennard 1970) on each row's weights of levels: an indicator, or two weights of a number between two levels (`hats`: a line from
level to level, a linear spline). The change of such a function's mean from one set of rows to another is the sum over columns of
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


def fit(weights: Floats, levels: Sequence[int], y: npt.ArrayLike) -> tuple[Floats, ...]:
    """One component per column, (levels[j],): the mean over the rows of the fit is 0, so ȳ + Σ components is the fitted mean.

    `weights` (n_rows, Σ levels) of each column's levels, which sum to one in a row, or are none where its value is unknown; `y` (n_rows,).

    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 500)
    >>> component, other = fit(one_hot(codes, [2, 2]), [2, 2], codes[:, 0] * 1.0)
    >>> component.round(3).tolist(), other.round(3).tolist()
    ([-0.5, 0.5], [0.0, 0.0])
    """
    target = np.asarray(y, dtype=np.float64)
    if weights.shape != (target.size, sum(levels)):
        raise ValueError(f"weights of shape {(target.size, sum(levels))}, found {weights.shape}")
    shares = weights.mean(axis=0)
    centred = weights - shares
    gram = centred.T @ centred + RIDGE * np.eye(len(shares))
    solved = np.linalg.solve(gram, centred.T @ (target - target.mean()))
    found = []
    for start, n in zip(_starts(levels), levels, strict=True):
        part, share = solved[start : start + n], shares[start : start + n]
        known = share.sum()
        found.append(part - float(part @ share) / known if known > 0 else np.zeros(n))
    return tuple(found)


def one_hot(codes: Ints, levels: Sequence[int]) -> Floats:
    """Indicators (n_rows, Σ levels); a row of an UNKNOWN value has none for that column."""
    table = np.zeros((len(codes), sum(levels)))
    rows, columns = np.nonzero(codes >= 0)
    table[rows, _starts(levels)[columns] + codes[rows, columns]] = 1.0
    return table


def hats(numbers: npt.ArrayLike, knots: npt.ArrayLike) -> Floats:
    """Weights (n_rows, n_knots) of the two rising knots that a number lies between; beyond the outer ones all of it is the outer's; none where it is NaN.

    >>> hats([0.0, 1.5, 9.0], [0.0, 1.0, 3.0]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.75, 0.25], [0.0, 0.0, 1.0]]
    """
    values, at = np.asarray(numbers, dtype=np.float64), np.asarray(knots, dtype=np.float64)
    table = np.zeros((values.size, at.size))
    rows = np.flatnonzero(~np.isnan(values))
    inside = np.clip(values[rows], at[0], at[-1])
    below = np.clip(np.searchsorted(at, inside, side="right") - 1, 0, max(at.size - 2, 0))
    above = np.minimum(below + 1, at.size - 1)
    width = at[above] - at[below]
    part = np.divide(inside - at[below], width, out=np.zeros(rows.size), where=width > 0)
    table[rows, below] = 1.0 - part
    table[rows, above] += part
    return table


def contributions(components: Sequence[Floats], weights: Floats) -> Floats:
    """The component of each row and column, (n_rows, n_columns)."""
    starts = _starts([component.size for component in components])
    return np.column_stack(
        [weights[:, start : start + component.size] @ component for start, component in zip(starts, components, strict=True)]
    )


def _starts(levels: Sequence[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(levels)])[:-1].astype(np.int64)

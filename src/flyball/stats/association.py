"""How far columns of levels tell one another, and which belong together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flyball.stats.additive import one_hot

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEWEST_EXPECTED = 5.0
"""Rows of a cell: with fewer its residual is not nearly normal (Cochran 1954)."""
ROUNDS = 20
"""Of raking: its sums are right to a thousandth long before, where columns do not determine one another."""


def maximal_correlation(codes: Ints, levels: Sequence[int]) -> Floats:
    """The largest correlation that functions of two columns' levels reach, for all pairs, (n_columns, n_columns), in [0, 1].

    Rényi (1959) on levels: the second singular value of the table of joint shares over the root of the product of its margins (Hirschfeld 1935). One scale for
    numbers and categories, monotone or not; for two normal numbers it is |ρ|, a little less for few levels. By chance alone about √(levels / n_rows).

    >>> codes = np.array([[0, 1], [1, 0], [2, 1]] * 10)
    >>> maximal_correlation(codes, [3, 2]).round(3).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    n, d = codes.shape
    indicators = one_hot(codes, levels)
    joint = indicators.T @ indicators / max(n, 1)
    root = np.sqrt(np.maximum(np.diag(joint), 0.0))
    scaled = joint / np.where(root > 0, root, 1.0)[:, None] / np.where(root > 0, root, 1.0)[None, :]
    starts = np.concatenate([[0], np.cumsum(levels)])
    found = np.eye(d)
    for a in range(d):
        for b in range(a + 1, d):
            values = np.linalg.svd(scaled[starts[a] : starts[a + 1], starts[b] : starts[b + 1]], compute_uv=False)
            found[a, b] = found[b, a] = min(float(values[1]), 1.0) if values.size > 1 else 0.0
    return found


def blocks(correlation: npt.ArrayLike, least: float) -> tuple[tuple[int, ...], ...]:
    """Columns put together while two parts correlate by `least` or more on average over their pairs (average linkage: Sokal & Michener 1958); in order of their first.

    >>> blocks([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]], 0.7)
    ((0, 1), (2,))
    """
    between = np.array(correlation, dtype=np.float64)
    np.fill_diagonal(between, -1.0)
    parts = [[place] for place in range(len(between))]
    while len(parts) > 1 and between.max() >= least:
        a, b = sorted(divmod(int(between.argmax()), len(parts)))
        joined = (len(parts[a]) * between[a] + len(parts[b]) * between[b]) / (len(parts[a]) + len(parts[b]))
        between[a], between[:, a], between[a, a] = joined, joined, -1.0
        between = np.delete(np.delete(between, b, axis=0), b, axis=1)
        parts[a] += parts.pop(b)
    return tuple(sorted(tuple(sorted(part)) for part in parts))


def goes_otherwise(before: Ints, now: Ints, levels: Sequence[int]) -> float:
    """How far two columns go together otherwise than before, beyond what chance brings, in standard deviations of chance; `before` and `now` (n_rows, 2).

    Pearson's residuals of either table against its own margins (Haberman 1973), their differences squared and summed over cells in which five rows are to be expected on
    either side: about chi-square, a little below where the columns go together. Both tables are raked to the middle of their margins first, which keeps odds ratios
    (Deming & Stephan 1940): a column that moved alone is none that goes otherwise.

    >>> before = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 100)
    >>> goes_otherwise(before, before[before[:, 0] == before[:, 1]], [2, 2]) > 5
    True
    """
    if not (len(before) and len(now)):
        return 0.0
    shape = (levels[0], levels[1])
    tables = [
        np.bincount(rows[:, 0] * shape[1] + rows[:, 1], minlength=shape[0] * shape[1]).reshape(shape) / len(rows)
        for rows in (before, now)
    ]
    first, second = ((tables[0].sum(axis=axis) + tables[1].sum(axis=axis)) / 2.0 for axis in (1, 0))
    alone = np.outer(first, second)
    cells = alone > 0
    for table, n in zip(tables, (len(before), len(now)), strict=True):
        cells &= np.outer(table.sum(axis=1), table.sum(axis=0)) * n >= FEWEST_EXPECTED
    if not cells.any():
        return 0.0
    apart = (_raked(tables[1], first, second) - _raked(tables[0], first, second))[cells]
    squares = float(np.sum(apart**2 / alone[cells])) / (1.0 / len(before) + 1.0 / len(now))
    return float((squares - apart.size) / np.sqrt(2.0 * apart.size))


def _raked(table: Floats, first: Floats, second: Floats) -> Floats:
    """Rows and columns in turn brought to their sums; empty ones stay empty."""
    raked = table
    for _ in range(ROUNDS):
        for axis, wanted in ((1, first), (0, second)):
            sums = raked.sum(axis=axis)
            factor = np.divide(wanted, sums, out=np.zeros_like(sums), where=sums > 0)
            raked = raked * np.expand_dims(factor, axis)
    return raked

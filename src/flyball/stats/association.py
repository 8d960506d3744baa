"""How far columns of levels tell one another, and which belong together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flyball.stats.additive import one_hot

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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

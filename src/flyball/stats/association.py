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
    """Columns whose correlation is `least` or more on average over the pairs between the parts that are joined (Sokal & Michener 1958); in order of their first."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    matrix = np.asarray(correlation, dtype=np.float64)
    if len(matrix) < 2:
        return tuple((place,) for place in range(len(matrix)))
    distance = np.clip(1.0 - 0.5 * (matrix + matrix.T), 0.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    labels = fcluster(linkage(squareform(distance, checks=False), method="average"), 1.0 - least, criterion="distance")
    found: dict[int, list[int]] = {}
    for place, label in enumerate(labels.tolist()):
        found.setdefault(label, []).append(place)
    return tuple(sorted(tuple(part) for part in found.values()))

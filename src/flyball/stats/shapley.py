"""What each group of columns contributes to the change of a function's mean from one set of rows to another.

Shapley values (Shapley 1953) of the game v(S) = E[f(x_S of a changed row, the rest of a base row)], the two drawn independently: v(∅) is the mean of f
over the base rows and v(all) that over the changed ones, so the values sum to the change (efficiency). Zhang, Singh, Ghassemi & Joshi (2022, arXiv 2210.10769)
attribute a model's loss in this way; where no causal graph is known, exchanging groups of columns independently is the game that gives nothing to a column that
f does not use, however far it moved and whatever it is correlated with (Janzing, Minorics & Blöbaum 2020). Assumes that f means something for mixed rows: columns
that are nearly functions of one another belong in one group.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_CELLS = 4_000_000
"""Of the rows that f is asked for at a time: 32 MB. 4,000 rows of 30 columns by themselves are asked for in one call, of 128 columns in seventeen."""


def paired_shapley(
    f: Callable[[Floats], Floats],
    base: npt.ArrayLike,
    changed: npt.ArrayLike,
    groups: Sequence[Sequence[int]],
    generator: np.random.Generator,
) -> Floats:
    """Contribution of each group in each pair of rows, (n_rows, n_groups); a row sums to f(changed) − f(base) exactly.

    Row i of `base` is paired with row i of `changed` (n_rows, n_columns); `groups` are disjoint and together all columns. Each pair exchanges its groups in a
    random order of its own and in the reverse of it (antithetic: exact where f has interactions of two groups at most; Mitchell et al. 2022, JMLR 23).
    Column means are unbiased for the Shapley values; their error over pairs includes that of the sampled orders. `f` answers row by row; it is called
    with all n_groups + 1 stages of as many rows as make MOST_CELLS: a model asked for each group by itself spends as long on being asked as on its answers.

    >>> f = lambda x: 2.0 * x[:, 0] + x[:, 1] * x[:, 2]
    >>> paired_shapley(f, np.zeros((1, 3)), np.ones((1, 3)), [[0], [1], [2]], np.random.default_rng(1)).tolist()
    [[2.0, 0.5, 0.5]]
    """
    start, end = np.asarray(base, dtype=np.float64), np.asarray(changed, dtype=np.float64)
    if start.ndim != 2 or start.shape != end.shape:
        raise ValueError(f"two tables of the same shape, found {start.shape} and {end.shape}")
    if sorted(column for group in groups for column in group) != list(range(start.shape[1])):
        raise ValueError(f"groups that hold each of {start.shape[1]} columns once, found {[list(group) for group in groups]}")
    group_of = np.empty(start.shape[1], dtype=np.intp)
    for place, group in enumerate(groups):
        group_of[list(group)] = place
    order = np.argsort(generator.random((len(start), len(groups))), axis=1)
    together = max(MOST_CELLS // max(start.shape[1] * (len(groups) + 1), 1), 1)
    found = np.zeros(order.shape)
    for part in (slice(first, first + together) for first in range(0, len(start), together)):
        for way in (order[part], order[part, ::-1]):
            found[part] += 0.5 * _walk(f, start[part], end[part], group_of, way)
    return found


def _walk(
    f: Callable[[Floats], Floats], start: Floats, end: Floats, group_of: npt.NDArray[np.intp], order: npt.NDArray[np.intp]
) -> Floats:
    """Each row from start to end, one group after another; what f gains at each step."""
    n, steps = order.shape
    passed = np.empty((steps + 1, *start.shape))
    passed[0] = start
    for step in range(steps):
        passed[step + 1] = np.where(group_of[None, :] == order[:, step, None], end, passed[step])
    values = np.asarray(f(passed.reshape(-1, start.shape[1]))).reshape(steps + 1, n)
    gained = np.zeros(order.shape)
    np.put_along_axis(gained, order, np.diff(values, axis=0).T, axis=1)
    return gained

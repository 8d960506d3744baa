"""Tables of two columns: what a cell says of dependence, and whether dependence changed though the margins may have."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

HALF_A_ROW = 0.5
"""Added to each count and each expectation: a cell of which the table knows nothing then says nothing, and an empty one not minus infinity."""
CYCLES = 50
"""Proportional fitting converges geometrically; a table that is not there by then has margins that its zeros forbid, and is near enough."""
FEWEST_EXPECTED = 2.0
"""Cells with fewer are pooled: below about two the tail of chi-square no longer holds (Cochran 1954)."""

NEAR_ROWS = 0.01
"""How near a cell is fitted."""


class Change(NamedTuple):
    """Of the dependence between two tables."""

    statistic: float
    """Pearson's, in units of its own degrees of freedom: about 1 without change."""
    normal: float
    """The same as a standard normal deviate (Wilson & Hilferty 1931)."""
    share: float
    """Of the rows that would have to be paired otherwise, in [0, 1]."""


def pointwise_information(table: ArrayLike) -> Floats:
    """ln p(a, b) / (p(a) p(b)) of each cell, in nats: above 0 where values seek one another, below where they avoid one another (Church & Hanks 1990).

    >>> pointwise_information([[50, 0], [0, 50]]).round(2).tolist()
    [[0.68, -3.93], [-3.93, 0.68]]
    """
    counts = np.asarray(table, dtype=np.float64)
    information: Floats = np.log((counts + HALF_A_ROW) / (independent(counts) + HALF_A_ROW))
    return information


def independent(table: ArrayLike) -> Floats:
    """What the margins alone would lead to expect."""
    counts = np.asarray(table, dtype=np.float64)
    expected: Floats = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / max(float(counts.sum()), 1.0)
    return expected


def fitted_to_margins(table: ArrayLike, rows: ArrayLike, columns: ArrayLike) -> Floats:
    """The table with the dependence (all odds ratios) of `table` and other margins: iterative proportional fitting (Deming & Stephan 1940).

    `rows` (n_rows,), `columns` (n_columns,) of the same sum. The table is to be positive, as `smoothed` makes it.

    >>> fitted_to_margins([[30.0, 10.0], [10.0, 30.0]], [10.0, 90.0], [20.0, 80.0]).sum(axis=1).round(6).tolist()
    [10.0, 90.0]
    """
    fitted = np.asarray(table, dtype=np.float64).copy()
    across, down = np.asarray(rows, dtype=np.float64), np.asarray(columns, dtype=np.float64)
    for _ in range(CYCLES):
        fitted *= (across / np.maximum(fitted.sum(axis=1), 1e-300))[:, None]
        sums = fitted.sum(axis=0)
        if np.abs(sums - down).max(initial=0.0) <= 1e-9 * max(float(down.sum()), 1.0):
            break
        fitted *= down / np.maximum(sums, 1e-300)
    return fitted


def smoothed(table: ArrayLike) -> Floats:
    """One row in all, spread as the margins are: without it a cell that the reference left empty could never be expected, whatever the margins."""
    counts = np.asarray(table, dtype=np.float64)
    rows, columns = counts.sum(axis=1) + HALF_A_ROW, counts.sum(axis=0) + HALF_A_ROW
    spread: Floats = counts + np.outer(rows, columns) / (rows.sum() * columns.sum())
    return spread


def dependence_change(reference: ArrayLike, current: ArrayLike) -> Change:
    """Whether `current` pairs its values otherwise than `reference` does, whatever the margins of each.

    The hypothesis of no three-factor interaction (Bartlett 1935): both tables have the same odds ratios. Both are fitted together by iterative proportional
    fitting (Deming & Stephan 1940), so that the reference is a sample, too; Pearson's statistic of the fit. Assumes independent rows in both; whoever has
    rows in windows divides by what windows of the reference show. Values that either table lacks have no odds and are left out.

    >>> dependence_change([[400, 100], [100, 400]], [[160, 40], [10, 40]]).normal < 2.0
    True
    >>> dependence_change([[400, 100], [100, 400]], [[100, 100], [25, 25]]).normal > 4.0
    True
    """
    then, now = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    rows = (then.sum(axis=1) > 0) & (now.sum(axis=1) > 0)
    columns = (then.sum(axis=0) > 0) & (now.sum(axis=0) > 0)
    both = np.stack([then, now])[:, rows][:, :, columns]
    freedom = (int(rows.sum()) - 1) * (int(columns.sum()) - 1)
    if freedom < 1 or min(both.shape) == 0:
        return Change(0.0, -math.inf, 0.0)
    expected = _common_odds(both)
    large = expected.min(axis=0) >= FEWEST_EXPECTED
    off = (both - expected) ** 2
    pooled = (both - expected)[:, ~large].sum(axis=1) ** 2 / np.maximum(expected[:, ~large].sum(axis=1), HALF_A_ROW)
    used = max(min(freedom, int(large.sum())), 1)
    statistic = float(np.sum(off[:, large] / expected[:, large]) + pooled.sum()) / used
    wanted = fitted_to_margins(smoothed(both[0]), both[1].sum(axis=1), both[1].sum(axis=0))
    share = float(np.abs(both[1] - wanted).sum()) / (2.0 * max(float(both[1].sum()), 1.0))
    return Change(statistic, chi_square_normal(statistic, used), share)


def _common_odds(tables: Floats) -> Floats:
    """(2, n_rows, n_columns) fitted to each table's margins and to the cells of both together."""
    fitted = np.ones_like(tables)
    together = tables.sum(axis=0)
    for _ in range(CYCLES):
        fitted *= together / np.maximum(fitted.sum(axis=0), 1e-300)
        fitted *= (tables.sum(axis=2) / np.maximum(fitted.sum(axis=2), 1e-300))[:, :, None]
        fitted *= (tables.sum(axis=1) / np.maximum(fitted.sum(axis=1), 1e-300))[:, None, :]
        if np.abs(fitted.sum(axis=0) - together).max() <= NEAR_ROWS:
            break
    return fitted


def association(table: ArrayLike) -> float:
    """Cramér's V without the part that chance brings (Bergsma 2013, eq. 8), in [0, 1]; 0 where there is one row or column only.

    >>> association([[50, 0], [0, 50]]), association([[26, 24], [24, 26]])
    (1.0, 0.0)
    """
    counts = np.asarray(table, dtype=np.float64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    total, (rows, columns) = float(counts.sum()), counts.shape
    if min(rows, columns) < 2 or total < 2.0:
        return 0.0
    expected = independent(counts)
    square = float(np.sum((counts - expected) ** 2 / expected)) / total
    corrected = max(square - (rows - 1) * (columns - 1) / (total - 1.0), 0.0)
    least = min(side - (side - 1) ** 2 / (total - 1.0) for side in (rows, columns)) - 1.0
    return min(math.sqrt(corrected / least), 1.0) if least > 0.0 else 0.0


def chi_square_normal(over_freedom: float, freedom: int) -> float:
    """A chi-square value divided by its degrees of freedom as a normal deviate (Wilson & Hilferty 1931): within 0.1 from three degrees on.

    >>> round(chi_square_normal(18.307 / 10, 10), 2)
    1.65
    """
    spread = 2.0 / (9.0 * freedom)
    return float((max(over_freedom, 0.0) ** (1.0 / 3.0) - (1.0 - spread)) / math.sqrt(spread))

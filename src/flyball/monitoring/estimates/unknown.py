"""Values that the reference's rows never had: whatever a model makes of them, no label says."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import counting
from flyball.monitoring.estimates.tables import Columns

Bools = NDArray[np.bool_]

MARGIN = 0.05
"""Of the reference's range: a new highest value by a little is what more rows always bring."""
MOST_UNKNOWN = 0.1
"""Share of a window's rows: what they lose is anything from 0 to 1, and a tenth of that is more than any interval allows for."""


def unknown_rows(reference: Columns, columns: Mapping[str, Any], n: int) -> tuple[Bools, str]:
    """Which of the window's n rows have a value out of the reference's range, a category or a gap that it never has, and the column that has most."""
    found, worst, most = np.zeros(n, dtype=np.bool_), "", 0
    for name, known in reference.values.items():
        if name in columns:
            rows = _categories(known, columns[name]) if isinstance(known, list) else _numbers(known, columns[name])
            found |= rows
            if rows.sum() > most:
                worst, most = name, int(rows.sum())
    return found, worst


def told(share: float, worst: str) -> str:
    """Why there is no estimate; empty: there may be one."""
    if share <= MOST_UNKNOWN:
        return ""
    return f"out of support: {share:.0%} of the window's rows have values that no row of the reference has, most by {worst}, at most {MOST_UNKNOWN:.0%} may"


def _numbers(known: NDArray[np.float64], values: Any) -> Bools:
    present, now = known[~np.isnan(known)], counting.numbers(values).astype(np.float64)
    gaps = np.isnan(now)
    if not present.size:
        return ~gaps
    reach = MARGIN * max(float(present.max() - present.min()), 1e-9)
    with np.errstate(invalid="ignore"):
        outside = (now < present.min() - reach) | (now > present.max() + reach)
    return np.asarray(outside | (gaps if present.size == known.size else False), dtype=np.bool_)


def _categories(texts: list[str], values: Any) -> Bools:
    names, codes = counting.codes(values)
    known = frozenset(texts)
    return np.asarray(np.array([name not in known for name in names], dtype=np.bool_)[codes], dtype=np.bool_)

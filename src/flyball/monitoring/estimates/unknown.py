"""Values that the reference's rows never had: whatever a model makes of them, no label says.

Of a column with thousands of categories the rows that were kept lack many that are nothing new. How many a window's rows have where nothing has changed is what
the kept rows have that are alone with theirs (Good, Biometrika 40, 1953), or, where windows of time are known, whose value occurs in no other window: values come
in bursts. What a window has beyond that is unknown.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import counting
from flyball.monitoring.blocks import FEWEST_WINDOWS
from flyball.monitoring.estimates.tables import Columns

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MARGIN = 0.05
"""Of the reference's range: a new highest value by a little is what more rows always bring."""
MOST_UNKNOWN = 0.1
"""Share of a window's rows: what they lose is anything from 0 to 1, and a tenth of that is more than any interval allows for."""
LUCK = 3.0
"""Standard errors of the share that is usual. Simulated without change (1,000 to 50,000 categories, flat and Zipf's law, windows of 60 to 5,000 rows): no window of
1,920 is void where rows are independent, 3 in 100 where values come in bursts of ten rows."""
EVERY, WHOLE = "", " "
"""Stand for all columns together, and for those of which the kept rows lack nothing; no column is named so."""


class Usual(NamedTuple):
    """What rows of the reference are to one another."""

    kept: int
    rows: int
    """Of which those are a sample."""
    shares: dict[str, float]
    """Column, or EVERY → share of the rows that have a value which the others lack."""

    def most(self, name: str, n: int) -> float:
        """Share of a window's n rows that may have one: MOST_UNKNOWN of those that would be known, beside what is usual."""
        share = self.shares.get(name, 0.0)
        luck = math.sqrt(share * (1.0 - share) * (1.0 / n + 1.0 / self.kept))
        return share + MOST_UNKNOWN * (1.0 - share) + LUCK * luck


def usual(reference: Columns, blocks: Ints, rows: int) -> Usual:
    """Of the rows kept, in their windows of time: `blocks` (n_rows,). `rows`: in the holdout."""
    by_block = blocks if np.unique(blocks).size >= FEWEST_WINDOWS else np.arange(blocks.size)
    alone = {name: _alone(known, by_block) for name, known in reference.values.items() if isinstance(known, list)}
    every = np.any([*alone.values()], axis=0) if alone else np.zeros(blocks.size, dtype=np.bool_)
    shares = {name: float(found.mean()) for name, found in alone.items()} | {EVERY: float(every.mean())}
    return Usual(blocks.size, rows, shares)


def _alone(texts: Sequence[str], blocks: Ints) -> Bools:
    """Rows whose value is in no other block. One that fills more of its own than may be unknown is not rare, and stands for nothing new."""
    sizes, times = Counter(blocks.tolist()), Counter(texts)
    places: dict[str, set[int]] = {}
    for text, block in zip(texts, blocks.tolist(), strict=True):
        places.setdefault(text, set()).add(block)
    rare = {
        text for text, where in places.items() if len(where) == 1 and times[text] <= max(1.0, MOST_UNKNOWN * sizes[min(where)])
    }
    return np.fromiter((text in rare for text in texts), dtype=np.bool_, count=len(texts))


def why_void(reference: Columns, known: Usual, columns: Mapping[str, Any], n: int) -> str:
    """Why there is no estimate of the window's n rows; empty: there may be one. Unknown is a number out of the reference's range, a category or a gap that it
    never has."""
    if not n:
        return ""
    found = {
        name: _categories(values, columns[name]) if isinstance(values, list) else _numbers(values, columns[name])
        for name, values in reference.values.items()
        if name in columns
    }
    shares = {name: float(rows.mean()) for name, rows in found.items()}
    if not shares:
        return ""
    shares[EVERY] = float(np.any([*found.values()], axis=0).mean())
    whole = [rows for name, rows in found.items() if not known.shares.get(name, 0.0)]
    shares[WHOLE] = float(np.any(whole, axis=0).mean()) if whole else 0.0
    beyond = {name: share - known.shares.get(name, 0.0) for name, share in shares.items()}
    worst = max(found, key=lambda name: beyond[name])
    # one column's own share, and that of columns without rare values, are told apart from what is usual where that of all columns drowns in it
    for told in (EVERY, WHOLE, worst):
        if shares[told] > (most := known.most(told, n)):
            return _words(known, told, worst, shares[told], most)
    return ""


def _words(known: Usual, told: str, worst: str, share: float, most: float) -> str:
    none = "no row of the reference has"
    if known.kept < known.rows:
        none = f"none of the {known.kept:,} rows kept of the reference's {known.rows:,} has"
    of, by = ("", f", most by {worst}") if told in (EVERY, WHOLE) else (f" of {worst}", "")
    return f"out of support: {share:.0%} of the window's rows have values{of} that {none}{by}, at most {most:.0%} may"


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

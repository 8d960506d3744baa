"""Rows of the reference and of a window in the same levels, so that they can be compared; and which window rows the reference knows nothing like."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.stats import additive
from flyball.stats.additive import UNKNOWN

QUANTILES = (0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
"""Of a number: finer at the ends, where rows that move pile up. Equal ones missed a tenth of the part of a feature that moved by a standard deviation."""
OUTER = (0.005, 0.995)
"""Of a number: the mean loss is followed along it as far as these; beyond, it is held, so that a few far values do not turn the line."""
FEWEST_LEVELS = 4
FEWEST_ROWS = 20
"""Of the reference: a rarer category shares the level `other`."""
ROWS_PER_LEVEL = 10
"""Levels of all features together are at most a tenth of the reference rows: beyond, least squares fits noise."""
OPEN = 5
"""Categories seen once in the reference: with so many, new ones come every day (Good 1953: their share is that of those seen once), and count as `other`."""
MARGIN = 0.1
"""Of the reference's range: a number that far outside of it has nothing to be compared with. Without a margin, one row in 4,000 per feature and end is, by chance."""
MISSING = ""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """Levels of one feature: missing is the first; then bins between edges, or categories and `other`."""

    name: str
    category: bool
    edges: tuple[float, ...] = ()
    """Inner ones: a number x is in bin #{edges ≤ x}."""
    knots: tuple[float, ...] = ()
    """Of a number, rising: the edges and OUTER. Between them the mean loss is a line: levels alone missed what moves within them, 4 to 6 % of a normal number's part."""
    lowest: float = 0.0
    highest: float = 0.0
    categories: tuple[str, ...] = ()
    others: frozenset[str] = frozenset()
    open: bool = False
    """New categories are nothing new."""
    missing: bool = False
    """Whether the reference has missing values."""

    @property
    def n(self) -> int:
        return 1 + (len(self.categories) + 1 if self.category else len(self.edges) + 1)

    @property
    def n_weights(self) -> int:
        return self.n if self.category else 1 + len(self.knots)


def levels_of(columns: Mapping[str, Any]) -> tuple[Levels, ...]:
    """Levels of the reference's columns: numbers with NaN, or categories (dtype object) with '' or None where missing."""
    rows = {len(values) for values in columns.values()}
    if len(rows) != 1:
        raise DataError(f"columns of different length: {sorted(rows)}", expected="at least one column, one value per row in each")
    most = max(FEWEST_LEVELS, min(len(QUANTILES) + 1, rows.pop() // (ROWS_PER_LEVEL * len(columns))))
    return tuple(_levels(name, np.asarray(values), most) for name, values in columns.items())


def _levels(name: str, values: NDArray[Any], most: int) -> Levels:
    if is_category(values):
        return _categories(name, text(values), most)
    numbers = _numbers(name, values)
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return Levels(name=name, category=False, missing=True)
    at = QUANTILES if most > len(QUANTILES) else np.arange(1, most) / most
    cuts = np.unique(np.quantile(known, at, method="inverted_cdf"))
    edges = tuple(cuts[cuts > known.min()].tolist())
    return Levels(
        name=name,
        category=False,
        edges=edges,
        knots=tuple(np.unique([*np.quantile(known, OUTER, method="inverted_cdf"), *edges]).tolist()),
        lowest=float(known.min()),
        highest=float(known.max()),
        missing=known.size < numbers.size,
    )


def _categories(name: str, values: NDArray[Any], most: int) -> Levels:
    found, counts = np.unique(values[values != MISSING].astype(str), return_counts=True)
    ranked = sorted(zip(counts.tolist(), found.tolist(), strict=True), key=lambda item: (-item[0], item[1]))
    own = tuple(category for count, category in ranked[:most] if count >= FEWEST_ROWS)
    others = frozenset(category for _, category in ranked) - set(own)
    once = sum(count == 1 for count, _ in ranked)
    absent = bool(np.any(values == MISSING))
    return Levels(name=name, category=True, categories=own, others=others, open=once >= OPEN, missing=absent)


def codes(levels: Sequence[Levels], columns: Mapping[str, Any]) -> Ints:
    """(n_rows, n_features); UNKNOWN where the reference has nothing like it: a new category, the first missing value, a number far outside its range."""
    missing = [each.name for each in levels if each.name not in columns]
    if missing:
        raise DataError(f"a window without the features {', '.join(missing)}", expected="the features of the reference")
    return np.column_stack([_coded(each, np.asarray(columns[each.name])) for each in levels])


def _coded(levels: Levels, values: NDArray[Any]) -> Ints:
    absent = 0 if levels.missing else UNKNOWN
    if levels.category:
        place = {category: 1 + k for k, category in enumerate(levels.categories)}
        other = 1 + len(levels.categories)
        place |= dict.fromkeys(levels.others, other) | {MISSING: absent}
        new = other if levels.open else UNKNOWN
        return np.array([place.get(value, new) for value in text(values)], dtype=np.int64)
    numbers = _numbers(levels.name, values)
    reach = MARGIN * (levels.highest - levels.lowest) + 1e-6 * max(
        abs(levels.lowest), abs(levels.highest)
    )  # float32 on one side only
    with np.errstate(invalid="ignore"):
        far = (numbers < levels.lowest - reach) | (numbers > levels.highest + reach)
    coded = 1 + np.searchsorted(np.asarray(levels.edges, dtype=np.float64), numbers, side="right")
    return np.asarray(np.where(np.isnan(numbers), absent, np.where(far, UNKNOWN, coded)), dtype=np.int64)


def weights(levels: Sequence[Levels], numbers: Floats, coded: Ints) -> Floats:
    """(n_rows, Σ n_weights) for `additive`: categories and missing values by their code, `numbers` (of `table`) by the two knots that they lie between."""
    return np.column_stack([_weighed(each, numbers[:, j], coded[:, j : j + 1]) for j, each in enumerate(levels)])


def _weighed(levels: Levels, numbers: Floats, coded: Ints) -> Floats:
    if levels.category:
        return additive.one_hot(coded, [levels.n])
    if not levels.knots:
        return np.asarray(coded == 0, dtype=np.float64)
    return np.column_stack([coded[:, 0] == 0, additive.hats(np.where(coded[:, 0] > 0, numbers, np.nan), levels.knots)])


def table(levels: Sequence[Levels], columns: Mapping[str, Any], coded: Ints) -> Floats:
    """What trees are fitted on, (n_rows, n_features): numbers as they are, categories as codes, NaN where missing or unknown."""
    return np.column_stack([_tabled(each, np.asarray(columns[each.name]), coded[:, j]) for j, each in enumerate(levels)])


def _tabled(levels: Levels, values: NDArray[Any], coded: Ints) -> Floats:
    if levels.category:
        return np.where(coded > 0, coded, np.nan)
    numbers = _numbers(levels.name, values)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _numbers(name: str, values: NDArray[Any]) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: text among its values", expected="numbers, as in the reference") from error


def is_category(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "US" or (values.dtype.kind == "O" and any(isinstance(value, str) for value in values))


def text(values: NDArray[Any]) -> NDArray[Any]:
    """Categories as str, '' where missing."""
    return np.array([MISSING if value is None or value != value else str(value) for value in values.tolist()], dtype=object)  # noqa: PLR0124 - NaN

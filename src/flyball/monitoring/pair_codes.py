"""A column in a few codes: the ranges or categories in which pairs of columns are counted."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import counting
from flyball.monitoring.edge_words import of_values

CODES = 8
"""Per column. A table of two columns then has 64 cells: enough that 300 rows show a broken dependence, few enough that 1,000 reference rows fill them."""

Ints = NDArray[np.int64]


class Coding(msgspec.Struct, frozen=True, kw_only=True):
    """What code a value gets. Numbers: ranges, then missing. Categories: the frequent ones (missing may be one), then the rest."""

    name: str
    kind: str
    """`number` or `category`."""
    edges: tuple[float, ...] = ()
    """Numbers: code i holds edges[i − 1] ≤ value < edges[i]."""
    categories: tuple[str, ...] = ()

    @property
    def n_codes(self) -> int:
        return len(self.edges) + 2 if self.kind == "number" else len(self.categories) + 1

    def says(self, code: int) -> str:
        """A code in words, to follow the column's name."""
        if self.kind == "category":
            named = code < len(self.categories)
            return (repr(self.categories[code]) if self.categories[code] else "missing") if named else "another"
        if code == len(self.edges) + 1:
            return "missing"
        if not self.edges:
            return "any number"
        written = of_values(self.edges)
        if code == 0:
            return f"below {written(self.edges[0])}"
        if code == len(self.edges):
            return f"at least {written(self.edges[-1])}"
        return f"from {written(self.edges[code - 1])} to below {written(self.edges[code])}"


def coding_of(name: str, kind: str, values: Any) -> Coding:
    """From reference rows. A value with more than its share of rows gets a code of its own."""
    if kind == "category":
        ranked = sorted(counting.times_each(values).items(), key=lambda item: (-item[1], item[0]))
        return Coding(name=name, kind=kind, categories=tuple(value for value, _ in ranked[: CODES - 1]))
    present = counting.numbers(values).astype(np.float64)
    present = present[np.isfinite(present)]
    if present.size == 0:
        return Coding(name=name, kind=kind)
    distinct, times = np.unique(present, return_counts=True)
    heavy = times > present.size / (CODES - 1)
    light = present[~np.isin(present, distinct[heavy])]
    edges = [*distinct[heavy], *distinct[1:][heavy[:-1]]]  # a heavy value, and the next one above it
    if light.size:
        wanted = max(1, round((CODES - 1) * light.size / present.size))
        edges.extend(np.quantile(light, np.arange(1, wanted) / wanted, method="inverted_cdf"))
    inner = np.unique(np.asarray(edges, dtype=np.float64))
    return Coding(name=name, kind=kind, edges=tuple(inner[inner > distinct[0]].tolist()))


def codes_of(coding: Coding, values: Any) -> Ints:
    """The code of each value, (n_rows,)."""
    if coding.kind == "category":
        places = {name: place for place, name in enumerate(coding.categories)}
        rest = len(coding.categories)
        names, found = counting.codes(values)
        return np.array([places.get(name, rest) for name in names], dtype=np.int64)[found]
    numbers = counting.numbers(values).astype(np.float64)
    place = np.searchsorted(np.asarray(coding.edges), numbers, side="right")
    return np.where(np.isnan(numbers), len(coding.edges) + 1, place).astype(np.int64)

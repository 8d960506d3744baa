"""A stream is one column or one prediction score, with bins that the reference fixes once: counts in them merge exactly."""

from collections import Counter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.stats import distances

QUANTILE_BINS = 16
"""Equal-probability bins of a number: with 1,000 rows some 60 rows a bin, enough for a shift of half a standard deviation to show."""
HEAVY_SHARE = 1.0 / QUANTILE_BINS
"""A value with a larger share fills more than one quantile bin: it gets a bin of its own."""
CATEGORIES = 64
"""The most frequent ones; what is rarer shares the bin `other`."""
MISSING = ""
"""How a missing category is captured."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Bins, the reference's counts in them, and what its scores look like when nothing has drifted."""

    name: str
    role: str
    """`feature` or `prediction`."""
    kind: str
    """`number` or `category`."""
    edges: tuple[float, ...] = ()
    """Numbers: lowest, inner edges, highest value seen in the reference apart from heavy ones."""
    heavy: tuple[float, ...] = ()
    """Numbers: values with a bin of their own, ascending."""
    categories: tuple[str, ...] = ()
    """Categories with a bin of their own."""
    others: tuple[str, ...] = ()
    """Categories that share the bin `other` (at most as many again; rarer ones count as unseen)."""
    counts: tuple[int, ...] = ()
    """Number: missing, below, quantile bins, above, heavy. Category: missing, unseen, other, categories."""
    spread: float = 0.0
    """Divergence between windows of the reference beyond sampling noise, in bits: days differ though nothing drifts."""
    calibration: tuple[float, ...] = ()
    """Scores of reference windows that are not in `counts`."""

    @property
    def n_bins(self) -> int:
        if self.kind == "category":
            return 3 + len(self.categories)
        return 3 + max(len(self.edges) - 1, 0) + len(self.heavy)


def float32(values: ArrayLike) -> Floats:
    """Numbers as the model sees them: rounded to float32, missing as NaN. Otherwise 0.1 of a request would not equal 0.1 of the reference."""
    with np.errstate(over="ignore"):  # 1e300 becomes inf, which falls above every edge
        return np.asarray(values, dtype=np.float64).astype(np.float32).astype(np.float64)


def score_table(scores: ArrayLike) -> Floats:
    """Scores as (n_rows, n_scores); also of no rows at all."""
    table = np.asarray(scores, dtype=np.float64)
    return table if table.ndim == 2 else table.reshape(-1, 1)


def bin_of(stream: Stream, values: Any) -> Ints:
    """Counts of `values` (n_rows,) in the stream's bins (n_bins,)."""
    return _count_categories(stream, values) if stream.kind == "category" else _count_numbers(stream, float32(values))


def _count_numbers(stream: Stream, values: Floats) -> Ints:
    counts = np.zeros(stream.n_bins, dtype=np.int64)
    present = values[~np.isnan(values)]
    counts[0] = values.size - present.size
    heavy_from = stream.n_bins - len(stream.heavy)
    if stream.heavy:
        heavy = np.asarray(stream.heavy)
        place = np.minimum(np.searchsorted(heavy, present), heavy.size - 1)
        is_heavy = heavy[place] == present
        counts[heavy_from:] = np.bincount(place[is_heavy], minlength=heavy.size)
        present = present[~is_heavy]
    if len(stream.edges) < 2:
        low = stream.heavy[0] if stream.heavy else 0.0  # nothing but heavy values was ever seen: any other value is new
        counts[1] = int(np.count_nonzero(present < low))
        counts[heavy_from - 1] = present.size - counts[1]
        return counts
    edges = np.asarray(stream.edges)
    below = int(np.count_nonzero(present < edges[0]))
    above = int(np.count_nonzero(present > edges[-1]))
    inside = np.searchsorted(edges[1:-1], present, side="right")
    counts[2 : heavy_from - 1] = np.bincount(inside, minlength=edges.size - 1)
    counts[2] -= below
    counts[heavy_from - 2] -= above
    counts[1], counts[heavy_from - 1] = below, above
    return counts


def _count_categories(stream: Stream, values: Any) -> Ints:
    counts = np.zeros(stream.n_bins, dtype=np.int64)
    places = {name: place for place, name in enumerate(stream.categories, start=3)}
    others = frozenset(stream.others)
    for value, times in Counter(_texts(values)).items():
        if not value:
            counts[0] += times
        else:
            counts[places.get(value, 2 if value in others else 1)] += times
    return counts


def _texts(values: Any) -> list[str]:
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return [MISSING if value is None else value if isinstance(value, str) else str(value) for value in listed]


def bins_for_numbers(name: str, role: str, values: ArrayLike) -> Stream:
    """Bins of a number from reference rows; no counts yet."""
    present = float32(values)
    present = present[np.isfinite(present)]
    distinct, times = np.unique(present, return_counts=True)
    heavy = distinct[times > HEAVY_SHARE * max(present.size, 1)]
    light = present[~np.isin(present, heavy)]
    edges: Floats = np.zeros(0)
    if light.size:
        wanted = max(1, min(QUANTILE_BINS, round(QUANTILE_BINS * light.size / present.size), np.unique(light).size))
        # an observed value as edge, not one between two: the bins of integers then lie on the lattice
        inner = np.quantile(light, np.arange(1, wanted) / wanted, method="inverted_cdf")
        edges = np.unique(np.concatenate([[light.min()], inner, [light.max()]]))
        if edges.size == 1:
            edges = np.repeat(edges, 2)
    return Stream(name=name, role=role, kind="number", edges=tuple(edges.tolist()), heavy=tuple(heavy.tolist()))


def bins_for_categories(name: str, role: str, values: Any) -> Stream:
    """Bins of a category from reference rows; no counts yet."""
    ranked = sorted(Counter(_texts(values)).items(), key=lambda item: (-item[1], item[0]))
    names = [value for value, _ in ranked if value]
    return Stream(
        name=name,
        role=role,
        kind="category",
        categories=tuple(names[:CATEGORIES]),
        others=tuple(sorted(names[CATEGORIES : 2 * CATEGORIES])),
    )


def score(stream: Stream, counts: ArrayLike) -> float:
    """Divergence from the reference over what a window of so many rows shows without drift: about 1 then, whatever its size.

    Sampling noise falls with the rows; the spread between windows does not. Divided by their sum, a window of 200 rows and one of 20,000
    can stand in one ranking; the bare distance of the small one would always look worse. Rounded, so that a stored score equals a fresh one.
    """
    total = int(np.sum(counts))
    if total == 0:
        return 0.0
    expected = stream.spread + distances.js_sampling_noise(stream.counts, total)
    return float(f"{distances.js_divergence(stream.counts, counts) / expected:.5g}")

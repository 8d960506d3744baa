"""A stream is one column or one prediction score, with bins that the reference fixes once: counts in them merge exactly."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from flyball.monitoring import counting
from flyball.monitoring.season import Season
from flyball.monitoring.spread import Spread
from flyball.monitoring.window import Window

QUANTILE_BINS = 32
"""Equal-probability bins of a number: a rank test on them loses 1/32² of its efficiency; the histogram tests merge them again (stats/chi_square)."""
TAIL_ROWS = 8
"""The outermost bins are halved as long as the outer half holds so many rows: a mean moves by its tails."""
HEAVY_SHARE = 1.0 / QUANTILE_BINS
"""A value with a larger share fills more than one quantile bin: it gets a bin of its own."""
FEWEST_BINS, ROWS_A_BIN = 8, 20
"""What is left beside heavy values still gets so many bins, if each holds so many rows: where nine rows in ten are 0 the others are the news."""
CATEGORIES = 64
"""The most frequent ones; what is rarer shares the bin `other`."""
OTHERS = 1_000
"""Rarer ones known by name; what is rarer still counts as unseen."""
RANKED_EVERY = 3
"""Of a column with more than CATEGORIES values one row in three says which are frequent (blocks.one_in), the others are counted: on the same rows the frequent ones
would look too frequent, and everything else like drift."""

MISSING_BIN, UNSEEN_BIN, OTHER_BIN = 0, 1, 2

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Bins, the reference's counts in them, and how far windows differ when nothing drifts."""

    name: str
    role: str
    """`feature`, `joint` (a number computed from several features) or `prediction`."""
    kind: str
    """`number` or `category`."""
    edges: tuple[float, ...] = ()
    """Numbers, as float32: bin j holds edges[j − 1] ≤ x < edges[j]. The first edge is the lowest value of the reference, the last one the float32
    after its highest, and a heavy value stands between itself and the next float32."""
    centre: float = 0.0
    """Numbers: what was taken off each value before it became a float32 (centres.py); edges, heavy values and means are of what was left. 0 in a package:
    a model sees float32."""
    heavy: tuple[float, ...] = ()
    """Numbers: values with a bin of their own, ascending."""
    means: tuple[float, ...] = ()
    """Numbers: mean of the reference's rows in each bin but `missing`; the nearest edge where there are none."""
    categories: tuple[str, ...] = ()
    """Categories with a bin of their own, the most frequent first."""
    others: tuple[str, ...] = ()
    """Categories that share the bin `other`."""
    counts: tuple[int, ...] = ()
    """Number: missing, below, bins in order, above. Category: missing, unseen, other, categories.
    `unseen` holds what the reference's own rows would have been to one another: the values that occur once (Good 1953)."""
    spreads: tuple[Spread, ...] = ()
    """By size of block (drift.BLOCKS) as far as the reference reaches; empty: rows of the reference are exchangeable."""
    season: Season | None = None
    """None: windows are compared with all windows, whenever they were."""

    def slot_of(self, window: Window) -> int | None:
        """None: its windows are compared with all."""
        return None if self.season is None else self.season.slot_of(window)

    def in_slot(self, slot: int) -> "Stream":
        """As windows of one slot of its season are judged."""
        season = self.season
        if season is None:
            return self
        spreads = season.spreads[slot] if season.spreads else ()
        return msgspec.structs.replace(self, counts=season.counts[slot], spreads=spreads)

    @property
    def n_bins(self) -> int:
        return 3 + len(self.categories) if self.kind == "category" else 2 + len(self.edges)

    @property
    def heavy_bins(self) -> tuple[int, ...]:
        """Index in `counts` of each heavy value's bin."""
        place = {edge: index for index, edge in enumerate(self.edges)}
        return tuple(place[value] + 2 for value in self.heavy)


def score_table(scores: ArrayLike) -> Floats:
    """Scores as (n_rows, n_scores); also of no rows at all."""
    table = np.asarray(scores, dtype=np.float64)
    return table if table.ndim == 2 else table.reshape(-1, 1)


def bin_of(stream: Stream, values: Any) -> Ints:
    """Counts of `values` (n_rows,) in the stream's bins (n_bins,)."""
    if stream.kind == "number":
        return counting.in_bins(counting.numbers(values), np.asarray(stream.edges, dtype=np.float32))
    counts = np.zeros(stream.n_bins, dtype=np.int64)
    places = places_of(stream)
    for value, times in counting.times_each(values).items():
        counts[places.get(value, UNSEEN_BIN)] += times
    return counts


def places_of(stream: Stream) -> dict[str, int]:
    """Category → index in `counts`; what is not in it is unseen."""
    own = {name: place for place, name in enumerate(stream.categories, start=3)}
    return dict.fromkeys(stream.others, OTHER_BIN) | own | {counting.MISSING: MISSING_BIN}


def bins_for_numbers(name: str, role: str, values: Any) -> Stream:
    """Bins of a number from reference rows; no counts yet."""
    listed = counting.numbers(values)
    # the highest float32 counts as infinite: no edge can stand above it
    present = listed[np.isfinite(listed) & (listed < np.finfo(np.float32).max)]
    distinct, times = np.unique(present, return_counts=True)
    heavy = distinct[times > HEAVY_SHARE * max(present.size, 1)]
    light = present[~np.isin(present, heavy)]
    inner = np.zeros(0, dtype=np.float32)
    if light.size:
        share = round(QUANTILE_BINS * light.size / present.size)
        wanted = max(1, share, min(FEWEST_BINS, light.size // ROWS_A_BIN))
        # an observed value as edge, not one between two: the bins of integers then lie on the lattice
        inner = np.quantile(light, _levels(wanted, light.size), method="inverted_cdf").astype(np.float32)
    after = np.nextafter(np.append(heavy, distinct[-1:]).astype(np.float32), np.float32(np.inf))
    edges = np.unique(np.concatenate([distinct[:1], inner, heavy, after]).astype(np.float32))
    place = np.searchsorted(edges, present, side="right")
    totals = np.bincount(place, weights=present.astype(np.float64), minlength=edges.size + 1)
    within = np.bincount(place, minlength=edges.size + 1)
    nearest = edges[np.clip(np.arange(edges.size + 1) - 1, 0, max(edges.size - 1, 0))] if edges.size else np.zeros(1)
    means = np.where(within > 0, totals / np.maximum(within, 1), nearest)
    return Stream(
        name=name,
        role=role,
        kind="number",
        edges=_shortest(edges),
        heavy=_shortest(heavy),
        means=tuple(float(f"{mean:.6g}") for mean in means),
    )


def _levels(wanted: int, rows: int) -> Floats:
    """Probabilities of the inner edges: equal steps, and halves of the outermost bins."""
    equal = np.arange(1, wanted) / wanted
    halvings = int(np.log2(max(rows / wanted / TAIL_ROWS, 1.0)))
    tails = 1.0 / wanted / 2.0 ** np.arange(1, halvings + 1)
    return np.unique(np.concatenate([equal, tails, 1.0 - tails]))


def _shortest(values: NDArray[np.float32]) -> tuple[float, ...]:
    """Decimals that are the same float32 again: short to store and to read."""
    return tuple(float(str(value)) for value in values.astype(np.float32))


def bins_for_categories(name: str, role: str, times: dict[str, int]) -> Stream:
    """Bins of a category from how often each value occurs; no counts yet."""
    ranked = sorted(times.items(), key=lambda item: (-item[1], item[0]))
    names = [value for value, _ in ranked if value]
    return Stream(
        name=name,
        role=role,
        kind="category",
        categories=tuple(names[:CATEGORIES]),
        others=tuple(sorted(names[CATEGORIES : CATEGORIES + OTHERS])),
    )

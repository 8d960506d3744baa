"""A window's rows in the directions of the reference: projected for drift, and counted pair by pair for words."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.monitoring import counting
from flyball.monitoring.joint import DECIMALS, Directions, Score, table_of
from flyball.monitoring.pair_codes import codes_of
from flyball.stats import normal_scores

PIECE = 1 << 14
"""Rows at once: the codes of 128 columns then stay in the cache, and memory does not grow with the rows."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class PairCounts(msgspec.Struct, frozen=True, kw_only=True):
    """A window's rows in the cells of each pair: exact to merge. Only told from, never tested for an alarm."""

    counts: tuple[tuple[int, ...], ...]
    """Of each of `Directions.pairs`; () where a column was not there."""


class Observed(NamedTuple):
    values: dict[str, Floats]
    """Stream → each row's number, (n_rows,)."""
    pairs: PairCounts


def observe(directions: Directions, columns: Mapping[str, Any]) -> Observed:
    """Each direction's number of each row, and the counts of each pair; columns as for `joint.build`.

    A direction of which a column is absent, or shorter than the others (captured of some rows only), is left out: its numbers would be of other rows.
    Row by row the same, however rows are divided among calls.
    """
    sizes = {place: len(columns[each.name]) for place, each in enumerate(directions.columns) if each.name in columns}
    n = max(sizes.values(), default=0)
    there = frozenset(place for place, size in sizes.items() if size == n)
    named = {place: columns[directions.columns[place].name] for place in there}
    tables = [table_of(directions, pair).ravel() for pair in directions.pairs]
    totals = [np.zeros(table.size, dtype=np.int64) for table in tables]
    parts = [
        _piece(directions, {place: values[start : start + PIECE] for place, values in named.items()}, tables, totals)
        for start in range(0, max(n, 1), PIECE)
    ]
    counted = tuple(
        tuple(total.tolist()) if {pair.first, pair.second} <= there else ()
        for pair, total in zip(directions.pairs, totals, strict=True)
    )
    return Observed({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, PairCounts(counts=counted))


def project(directions: Directions, columns: Mapping[str, Any]) -> dict[str, Floats]:
    """The numbers alone."""
    return observe(directions, columns).values


def merge(a: PairCounts, b: PairCounts) -> PairCounts:
    """The counts of the rows of both."""
    return PairCounts(
        counts=tuple(
            tuple(x + y for x, y in zip(one, other, strict=True)) if one and other else one or other
            for one, other in zip(a.counts, b.counts, strict=True)
        )
    )


def _piece(directions: Directions, columns: Mapping[int, Any], tables: list[Floats], totals: list[Ints]) -> dict[str, Floats]:
    """Numbers of some rows; their pairs are added to `totals`."""
    asked = {place for pair in directions.pairs for place in (pair.first, pair.second)} & columns.keys()
    coded = {place: codes_of(directions.columns[place], columns[place]) for place in asked}
    told: dict[int, Floats] = {}
    for place, pair in enumerate(directions.pairs):
        if pair.first in coded and pair.second in coded:
            cells = coded[pair.first] * directions.columns[pair.second].n_codes + coded[pair.second]
            totals[place] += np.bincount(cells, minlength=totals[place].size)
            told[place] = tables[place].take(cells)
    found = {
        surprise.name: np.round(_sum([told[place] for place in surprise.pairs]), DECIMALS)
        for surprise in directions.surprises
        if told.keys() >= set(surprise.pairs)
    }
    if directions.components and all(score.column in columns for score in directions.scores):
        scored = [_scored(score, columns[score.column]) for score in directions.scores]
        for component in directions.components:
            weighted = [loading * values for loading, values in zip(component.loadings, scored, strict=True)]
            # + 0.0: −0.0 and 0.0 are one value and are to be one text
            found[component.name] = np.round(_sum(weighted), DECIMALS) + 0.0
    return found


def _sum(parts: list[Floats]) -> Floats:
    """One after the other: a product of matrices may add in another order for another number of rows, and a row's number would differ in its last bit."""
    total = np.zeros(parts[0].size)
    for part in parts:
        total += part
    return total


def _scored(score: Score, values: Any) -> Floats:
    knots = normal_scores.Knots(np.asarray(score.values), np.asarray(score.scores))
    return normal_scores.of(knots, counting.numbers(values))

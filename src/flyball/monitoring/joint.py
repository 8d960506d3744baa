"""Do features still go together as they did? Directions that the reference fixes once turn a row into a few numbers that feel a broken dependence.

Two kinds. A *surprise* belongs to one column: the sum, over the partners with which it shares most information, of ln p(a, b) / (p(a) p(b)) of the row's
pair of codes (Church & Hanks 1990). It falls where values meet that seldom met, whatever the kind of the columns: categories, missing values and curved
dependence are seen alike. A *component* is a projection of normal scores (stats/normal_scores) on an eigenvector of their correlation matrix whose
eigenvalue is almost 0: numbers that were nearly a function of one another, where a slip of a hundredth shows.

The numbers are ordinary streams (role `joint`): bins, null, budget and alarm are those of drift. Why these directions: docs/monitoring/joint-drift.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.errors import DataError
from flyball.monitoring import blocks, counting
from flyball.monitoring.pair_codes import Coding, codes_of, coding_of
from flyball.stats import contingency, normal_scores

MOST_DIRECTIONS = 16
MOST_COMPONENTS = 6
"""They take the place of surprises: in a table of 128 sensors six found three times as many slight breaks as none."""
ALMOST_ZERO = 0.05
"""Eigenvalues of a correlation matrix average 1. Above it a surprise finds a break sooner."""
ROWS_PER_LOADING = 10
"""Fewer reference rows a column, and the smallest eigenvalues are small by chance."""
PARTNERS = 3
"""Per column. One partner found an eighth fewer slight breaks; five found no more."""
LEAST_INFORMATION = 0.003
"""Nats a row: with less, a window of 1,000 rows whose dependence is lost altogether differs from others by less than two standard deviations."""
SURELY = 4.0
"""Standard deviations that a pair's information lies above what independent columns show: of 8,000 pairs of 128 columns a few by chance."""
FIT_EVERY = 3
MOST_ROWS = 20_000
"""Reference rows used, evenly spaced: with more no direction changes, and 128 columns would take minutes."""
MOST_WINDOWS = 10
"""Of the reference, from which a pair's spread is learned."""
KNOTS = 15
"""Of a normal score: more are no nearer to it than a hundredth between them."""
DECIMALS = 4
"""Of a projection: what rounding in another library's logarithm may change lies far below."""
PREFIX = "joint."

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FILE = "joint.json"
"""In a package."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two columns, counted together in the reference."""

    first: int
    second: int
    """Places in `Directions.columns`."""
    counts: tuple[int, ...]
    """(codes of first, codes of second), row by row."""
    spread: float = 1.0
    """How much more windows of the reference differ in their dependence than independent rows would: a factor on the statistic, at least 1."""


class Surprise(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """Of the stream."""
    pairs: tuple[int, ...]
    """Places in `Directions.pairs`."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How a number becomes a normal score."""

    column: int
    """Place in `Directions.columns`."""
    values: tuple[float, ...]
    scores: tuple[float, ...]


class Component(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """Of the stream."""
    loadings: tuple[float, ...]
    """Of `Directions.scores`, in their order."""


class Directions(msgspec.Struct, frozen=True, kw_only=True):
    """What a version's rows are projected on. Encode with `records.codec`; tens of kB."""

    format: int = 1
    rows: int
    columns: tuple[Coding, ...]
    pairs: tuple[Pair, ...] = ()
    surprises: tuple[Surprise, ...] = ()
    scores: tuple[Score, ...] = ()
    components: tuple[Component, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the streams."""
        return tuple(surprise.name for surprise in self.surprises) + tuple(component.name for component in self.components)


def build(kinds: Mapping[str, str], columns: Mapping[str, Any], windows: Sequence[Ints]) -> Directions:
    """Directions from the reference's rows.

    `kinds`: column → `number` or `category`; `columns` as for `reference.build`; `windows`: indices of the reference's rows, a window each.
    Only `to_fit` of the windows is looked at: the reference's counts are to be of the others, which are as new to the directions as every later row is.
    No column depends on another, or there are fewer than two: no directions.
    Raises DataError when a column is absent, or when there are no rows.
    """
    absent = [name for name in kinds if name not in columns]
    rows = np.concatenate(to_fit(windows)) if windows else np.arange(0)
    if absent or rows.size == 0:
        found = f"directions without {', '.join(absent)}" if absent else "directions of no rows"
        raise DataError(found, expected="every column that is named, and rows of the reference")
    rows = rows[blocks.sampled(rows.size, -(-rows.size // MOST_ROWS))]
    if not kinds:
        return Directions(rows=rows.size, columns=())
    columns = {name: _plain(kind, columns[name]) for name, kind in kinds.items()}
    values = {name: _values(kind, columns[name], rows) for name, kind in kinds.items()}
    codings = tuple(coding_of(name, kind, values[name]) for name, kind in kinds.items())
    coded = [codes_of(coding, values[coding.name]) for coding in codings]
    scores, components = _components(codings, values, rows.size, frozenset(kinds))
    information, tables = _information(codings, coded)
    chosen = _surprises(information, MOST_DIRECTIONS - len(components))
    used = sorted({pair for _, pairs in chosen for pair in pairs})
    places = {pair: place for place, pair in enumerate(used)}
    pairs = tuple(_pair(codings, tables, pair, (columns, windows)) for pair in used)
    names = [_free(PREFIX + codings[column].name, frozenset(kinds)) for column, _ in chosen]
    surprises = tuple(
        Surprise(name=name, pairs=tuple(places[pair] for pair in found)) for name, (_, found) in zip(names, chosen, strict=True)
    )
    return Directions(rows=rows.size, columns=codings, pairs=pairs, surprises=surprises, scores=scores, components=components)


def to_fit(windows: Sequence[Ints]) -> list[Ints]:
    """Rows of each window that make the directions."""
    return [window[blocks.one_in(FIT_EVERY, window.size, number)] for number, window in enumerate(windows)]


def to_count(windows: Sequence[Ints]) -> list[Ints]:
    """The others. Rows that made the directions seldom surprise them: counted, they would make every later window look surprising."""
    return [window[~blocks.one_in(FIT_EVERY, window.size, number)] for number, window in enumerate(windows)]


def table_of(directions: Directions, pair: Pair) -> Floats:
    """What each cell of a pair says, in nats."""
    shape = (directions.columns[pair.first].n_codes, directions.columns[pair.second].n_codes)
    return contingency.pointwise_information(np.asarray(pair.counts).reshape(shape))


def columns_of(directions: Directions, stream: str) -> tuple[str, ...]:
    """Columns that a joint stream is made of; of a component those that weigh most, heaviest first. None for another stream."""
    for surprise in directions.surprises:
        if surprise.name == stream:
            pairs = [directions.pairs[place] for place in surprise.pairs]
            return tuple(dict.fromkeys(directions.columns[place].name for pair in pairs for place in (pair.first, pair.second)))
    for component in directions.components:
        if component.name == stream:
            weights = np.abs(np.asarray(component.loadings))
            heavy = [int(place) for place in np.argsort(-weights, kind="stable") if weights[place] >= weights.max() / 2.0]
            return tuple(directions.columns[directions.scores[place].column].name for place in heavy)
    return ()


def _plain(kind: str, values: Any) -> Any:
    """Categories as text, as every later row is read: what pandas makes of its own is not always that."""
    return np.asarray(counting.texts(values), dtype=object) if kind == "category" else values


def _values(kind: str, values: Any, rows: Ints) -> Any:
    return np.asarray(values, dtype=object)[rows] if kind == "category" else counting.numbers(values)[rows].astype(np.float64)


def _free(name: str, taken: frozenset[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _components(
    codings: Sequence[Coding], values: Mapping[str, Any], n: int, taken: frozenset[str]
) -> tuple[tuple[Score, ...], tuple[Component, ...]]:
    """Directions in which numbers hardly vary, least first."""
    numbers = [place for place, coding in enumerate(codings) if coding.kind == "number"]
    fitted = {place: normal_scores.fit(values[codings[place].name], KNOTS) for place in numbers}
    moving = [place for place in numbers if fitted[place].values.size > 1]
    if len(moving) < 2 or n < ROWS_PER_LOADING * len(moving):
        return (), ()
    rounded = {place: (_short(fitted[place].values), _short(fitted[place].scores, 4)) for place in moving}
    knots = {place: normal_scores.Knots(np.asarray(of[0]), np.asarray(of[1])) for place, of in rounded.items()}
    table = np.column_stack([normal_scores.of(knots[place], values[codings[place].name]) for place in moving])
    # A column of ties may lose what variance it has between the knots; then it correlates with nothing.
    deviations = np.maximum(table.std(axis=0), 1e-9)
    standard = (table - table.mean(axis=0)) / deviations
    sizes, vectors = np.linalg.eigh(standard.T @ standard / n)
    few = min(int((sizes < ALMOST_ZERO).sum()), MOST_COMPONENTS)
    components = tuple(
        Component(
            name=_free(f"{PREFIX}component{place + 1}", taken),
            # eigh is free in the sign; the largest loading is to be positive
            loadings=_short(vectors[:, place] / deviations * np.sign(vectors[np.argmax(np.abs(vectors[:, place])), place])),
        )
        for place in range(few)
    )
    scores = tuple(Score(column=place, values=of[0], scores=of[1]) for place, of in rounded.items())
    return (scores, components) if components else ((), ())


def _short(values: Floats, digits: int = 8) -> tuple[float, ...]:
    return tuple(float(f"{value:.{digits}g}") for value in values.tolist())


def _information(codings: Sequence[Coding], coded: Sequence[Ints]) -> tuple[Floats, Floats]:
    """Mutual information of each pair of columns in nats, 0 where it may be chance (n_columns, n_columns); and all their tables in one."""
    starts = np.cumsum([0, *(coding.n_codes for coding in codings)])
    n = len(coded[0])
    hot = np.zeros((n, int(starts[-1])), dtype=np.float32)  # exact up to 2²⁴ rows
    for start, codes in zip(starts[:-1], coded, strict=True):
        hot[np.arange(n), start + codes] = 1.0
    tables = (hot.T @ hot).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.diag(tables)
        terms = np.where(tables > 0, tables * np.log(tables * n / np.outer(shares, shares)), 0.0)
    likelihood = 2.0 * np.add.reduceat(np.add.reduceat(terms, starts[:-1], axis=0), starts[:-1], axis=1)
    seen = np.add.reduceat(shares > 0, starts[:-1], dtype=np.int64)
    freedom = np.maximum(np.outer(seen - 1, seen - 1), 1).astype(np.float64)
    surplus = (likelihood - freedom) / (2.0 * n)
    sure = (likelihood > freedom + SURELY * np.sqrt(2.0 * freedom)) & (surplus > LEAST_INFORMATION)
    np.fill_diagonal(sure, val=False)
    return np.where(sure, surplus, 0.0), tables


def _surprises(information: Floats, most: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """(column, its pairs) of at most `most` surprises, strongest first; columns beyond them join the one of their best partner with one pair each."""
    order = np.argsort(-information, axis=1, kind="stable")[:, :PARTNERS]
    strength = np.take_along_axis(information, order, axis=1).sum(axis=1)
    columns = [int(column) for column in np.argsort(-strength, kind="stable") if strength[column] > 0]
    chosen = [
        (column, [_ordered(column, int(of)) for of in order[column] if information[column, of] > 0]) for column in columns[:most]
    ]
    of_column = {column: place for place, (column, _) in enumerate(chosen)}
    for column in columns[most:]:
        best = int(order[column][0])
        place = of_column.setdefault(best, min(range(len(chosen)), key=lambda each: len(chosen[each][1])))
        of_column[column] = place
        if _ordered(column, best) not in chosen[place][1]:
            chosen[place][1].append(_ordered(column, best))
    return chosen


def _ordered(column: int, partner: int) -> tuple[int, int]:
    return min(column, partner), max(column, partner)


def _pair(
    codings: Sequence[Coding], tables: Floats, pair: tuple[int, int], rows: tuple[Mapping[str, Any], Sequence[Ints]]
) -> Pair:
    """The table of a pair, and how its windows differ."""
    first, second = (codings[place] for place in pair)
    starts = np.cumsum([0, *(coding.n_codes for coding in codings)])
    table = tables[starts[pair[0]] : starts[pair[0] + 1], starts[pair[1]] : starts[pair[1] + 1]]
    columns, windows = rows
    some = [windows[place] for place in blocks.sampled(len(windows), max(-(-len(windows) // MOST_WINDOWS), 1)).tolist()]
    found = []
    for window in some:
        codes = [codes_of(coding, _values(coding.kind, columns[coding.name], window)) for coding in (first, second)]
        cells = np.bincount(codes[0] * second.n_codes + codes[1], minlength=table.size).reshape(table.shape)
        found.append(contingency.dependence_change(table, cells).statistic)
    spread = max(float(np.mean(found)), 1.0) if found else 1.0
    return Pair(
        first=pair[0],
        second=pair[1],
        counts=tuple(int(count) for count in table.ravel()),
        spread=float(f"{spread:.5g}"),
    )

"""Where rows come from: a table's, as they are or with one thing about them changed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.faults.model import Fitted, Floats
from bench.faults.project import Sent
from bench.faults.tables import Columns, Table

Rng = np.random.Generator
Rows = Callable[[int, float, Rng], Sent]
"""(how many, days since the change began; below 0: before) → rows."""

GRADUAL_DAYS = 8.0
LOUDER = 0.45
"""Share of rows of the region in which the model errs most, in a shift that harms."""
MORE_OFTEN = 3.0
"""Odds of the positive class, times what they were."""


class Source:
    """A table's rows in a random order of their own, without an end."""

    def __init__(self, table: Table, seed: int, learnt: int) -> None:
        """`learnt`: the first so many are history, and come again to no model that has learned them."""
        self.table = table
        self.pool = np.random.default_rng([seed, 0]).permutation(table.rows)
        self.learnt, self._next = learnt, 0

    def take(self, n: int) -> NDArray[np.int64]:
        places = self._next + np.arange(n)
        self._next += n
        beyond = places >= self.pool.size
        places[beyond] = self.learnt + (places[beyond] - self.pool.size) % (self.pool.size - self.learnt)
        return self.pool[places]

    def from_the_start(self) -> None:
        """The same history again, in another world."""
        self._next = 0

    def columns(self, at: NDArray[np.int64]) -> Columns:
        return {name: of[at] for name, of in self.table.columns.items()}

    def sent(self, at: NDArray[np.int64], **changes: Any) -> Sent:
        label = self.table.label[at]
        return Sent(**{"columns": self.columns(at), "truth": label, "said": label, "faulty": False, **changes})


def quiet(source: Source) -> Rows:
    return lambda n, _day, _draw: source.sent(source.take(n))


def _after(source: Source, change: Callable[[NDArray[np.int64], float, Rng], Sent]) -> Rows:
    """As they are until the change."""

    def rows(n: int, day: float, draw: Rng) -> Sent:
        at = source.take(n)
        return source.sent(at) if day < 0 else change(at, day, draw)

    return rows


def other_unit(source: Source) -> Rows:
    name, factor, offset = source.table.unit
    return _changed_column(source, name, lambda of: of * factor + offset)


def emptied(source: Source) -> Rows:
    return _changed_column(source, source.table.emptied, lambda of: np.full_like(of, "" if of.dtype == object else np.nan))


def renamed(source: Source) -> Rows:
    """`Sales` → `C07`."""
    of = source.table.columns[source.table.renamed]
    code = {value: f"C{place:02d}" for place, value in enumerate(sorted(set(of.tolist()) - {""}))} | {"": ""}
    return _changed_column(source, source.table.renamed, lambda of: np.asarray([code[value] for value in of], dtype=object))


def _changed_column(source: Source, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Rows:
    def broken(at: NDArray[np.int64], _day: float, _draw: Rng) -> Sent:
        columns = source.columns(at)
        return source.sent(at, columns={**columns, name: change(columns[name])}, faulty=True)

    return _after(source, broken)


def poisoned(source: Source) -> Rows:
    """Labels of one slice are the opposite of what is true; those of others are right."""
    name, value = source.table.poisoned

    def wrong(at: NDArray[np.int64], _day: float, _draw: Rng) -> Sent:
        of, label = source.table.columns[name][at], source.table.label[at]
        inside = of == value if of.dtype == object else of > value
        return source.sent(at, said=np.where(inside, 1.0 - label, label), faulty=True)

    return _after(source, wrong)


class Concept:
    """Another world for the same rows: what two columns mean has changed sides. Its labels are drawn from trees that know the first world."""

    def __init__(self, source: Source) -> None:
        self._source = source
        half = source.pool[: min(source.pool.size, 12_000)]
        self._trees = Fitted(source.columns(half), source.table.label[half])
        self._sorted = {
            name: np.sort(source.table.columns[name][~np.isnan(source.table.columns[name])]) for name in source.table.mirrored
        }

    def labels(self, at: NDArray[np.int64], draw: Rng) -> Floats:
        columns = self._source.columns(at)
        for name, known in self._sorted.items():
            ranks = np.searchsorted(known, columns[name], side="left") / known.size
            turned = known[np.clip(((1.0 - ranks) * known.size).astype(int), 0, known.size - 1)]
            columns[name] = np.where(np.isnan(columns[name]), np.nan, turned)
        return (draw.random(at.size) < self._trees(columns)).astype(float)


def changed_concept(source: Source, *, gradual: bool = False) -> Rows:
    concept = Concept(source)

    def turned(at: NDArray[np.int64], day: float, draw: Rng) -> Sent:
        part = min((day + 0.25) / GRADUAL_DAYS, 1.0) if gradual else 1.0
        label = np.where(draw.random(at.size) < part, concept.labels(at, draw), source.table.label[at])
        return source.sent(at, truth=label, said=label)

    return _after(source, turned)


class Regimes(NamedTuple):
    first: Rows
    second: Rows
    back: Rows
    """The second until the change, then the first."""


def regimes(source: Source) -> Regimes:
    concept = Concept(source)

    def other(at: NDArray[np.int64], draw: Rng) -> Sent:
        label = concept.labels(at, draw)
        return source.sent(at, truth=label, said=label)

    def back(n: int, day: float, draw: Rng) -> Sent:
        return source.sent(source.take(n)) if day >= 0 else other(source.take(n), draw)

    return Regimes(quiet(source), lambda n, _day, draw: other(source.take(n), draw), back)


def label_shift(source: Source) -> Rows:
    """More rows of the positive class, each as they were."""
    weights = np.where(source.table.label == 1.0, MORE_OFTEN, 1.0)
    return _drawn(source, weights)


def harmful_rows(source: Source) -> Rows:
    """More rows of the region in which the model errs most: labels of each row as they were."""
    from sklearn.tree import DecisionTreeRegressor

    half = source.pool.size // 2
    first, second = source.pool[:half], source.pool[half:]
    losses = (Fitted(source.columns(first), source.table.label[first])(source.columns(second)) - source.table.label[second]) ** 2
    numbers = {
        name: of if of.dtype != object else np.unique(of.astype(str), return_inverse=True)[1]
        for name, of in source.table.columns.items()
    }
    table = np.nan_to_num(np.column_stack([numbers[name].astype(float) for name in numbers]), nan=-1.0)
    tree = DecisionTreeRegressor(max_leaf_nodes=8, min_samples_leaf=0.05, random_state=0).fit(table[second], losses)
    leaf = tree.apply(table)
    worst = max(np.unique(leaf), key=lambda each: losses[leaf[second] == each].mean())
    share = float((leaf == worst).mean())
    to = max(LOUDER, min(share + 0.35, 0.8))
    return _drawn(source, np.where(leaf == worst, to / share, (1.0 - to) / (1.0 - share)))


def _drawn(source: Source, weights: Floats) -> Rows:
    """Of rows that no model has learned."""
    new = source.pool[source.learnt :]
    cumulated = np.cumsum(weights[new] / weights[new].sum())

    def tilted(at: NDArray[np.int64], _day: float, draw: Rng) -> Sent:
        return source.sent(new[np.minimum(np.searchsorted(cumulated, draw.random(at.size)), cumulated.size - 1)])

    return _after(source, tilted)

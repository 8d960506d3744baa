"""Requests that share one call of a model: merged before it, told apart after it.

What shares a call must not share a fate. Rows are valid before they come here; a part that a unit cannot answer is halved between requests until
the request that it cannot answer stands alone, and that one alone goes to the next unit or is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np

from flyball.errors import FlyballError, RequestError
from flyball.gateway import tracing
from flyball.gateway.borders import Border
from flyball.gateway.columns import ColumnBuilder, Table
from flyball.gateway.validation import Rows

MOMENT_US = 100_000
"""Of event time: what a shadow scored in one call is captured as of one moment if it is no longer than this. (The rows that were shown have theirs.)"""


class Job:
    """One request that waits for its answer."""

    __slots__ = ("admitted", "answer", "at_us", "rows", "taken", "trace", "until")

    def __init__(self, rows: Rows, at_us: int | None, until: float | None, answer: "asyncio.Future[Answer]") -> None:
        self.rows = rows
        self.at_us = at_us
        """Event time; None: when its batch is answered."""
        self.until = until
        """On the loop's clock; None: as long as the model takes."""
        self.answer = answer
        self.admitted = 0.0
        """To a queue, on the loop's clock."""
        self.taken = False
        """Into a batch: what becomes of it is captured, though nobody may wait for it any more."""
        self.trace = tracing.present()
        """None: this request is not traced."""


class Answer(NamedTuple):
    """A request's answer, in the order of its rows."""

    ids: list[str]
    scores: list[list[float]]
    units: list[Any]
    """Who answered each row (LiveUnit)."""


Then = Callable[[Answer], Awaitable[None]] | None
"""What else has to succeed before an answer is handed over and given."""


class Batch:
    """The rows of one or several requests, one behind the other."""

    def __init__(self, jobs: Sequence[Job], at_us: int, ids: list[str], builder: ColumnBuilder) -> None:
        """`ids`: of all rows; keys are the requests' own, or the ids."""
        self.jobs = jobs
        self.at_us = at_us
        self.ids = ids
        self.n = len(ids)
        self._builder = builder
        # Made when they are first asked for. (functools.cached_property takes a lock on Python 3.11: two microseconds of a request.)
        self._keys: list[str] | None = None
        self._table: Table | None = None
        self.offsets = [0, *accumulate(job.rows.n for job in jobs)]
        """Of each request's first row, and the end."""

    @property
    def keys(self) -> list[str]:
        """Of all rows: what requests are divided by."""
        if self._keys is None:
            self._keys = []
            for job, start in zip(self.jobs, self.offsets, strict=False):
                self._keys += job.rows.keys if job.rows.keys is not None else self.ids[start : start + job.rows.n]
        return self._keys

    @property
    def table(self) -> Table:
        """All rows."""
        if self._table is None:
            self._table = self._builder.merged([job.rows for job in self.jobs])
        return self._table

    def taken(self, rows: Sequence[int] | None) -> Table:
        """Some rows; None: all."""
        if rows is None:
            return self.table
        tuples = self._all_tuples()
        return self._builder.of_tuples([tuples[at] for at in rows]) if tuples is not None else self.table.rows(rows)

    def beyond(self, rows: Sequence[int] | None, borders: Sequence[Border]) -> tuple[set[int], str]:
        """Those of some rows (None: all) that are beyond a unit's borders, and why the first one is. Each request's as it came: tuples hold exact numbers."""
        found: set[int] = set()
        words = ""
        for number, some in enumerate([None] * len(self.jobs)) if rows is None else self._within(rows).items():
            of, start = self.jobs[number].rows, self.offsets[number]
            for border in borders:
                beyond = border.beyond(of, some)
                if beyond:
                    words = words or border.words(of, beyond[0])
                    found.update(start + at for at in beyond)
        return found, words

    def _within(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """By request: their numbers in it."""
        owners = np.searchsorted(self.offsets, np.asarray(rows), side="right") - 1
        found: dict[int, list[int]] = {}
        for at, owner in zip(rows, owners.tolist(), strict=True):
            found.setdefault(owner, []).append(at - self.offsets[owner])
        return found

    def _all_tuples(self) -> Sequence[tuple[Any, ...]] | None:
        """All rows' values; None where a request brought arrays."""
        if len(self.jobs) == 1:
            return self.jobs[0].rows.tuples
        tuples: list[tuple[Any, ...]] = []
        for job in self.jobs:
            if job.rows.tuples is None:
                return None
            tuples += job.rows.tuples
        return tuples

    def singles(self, rows: Sequence[int] | None) -> list[list[int]]:
        """Some rows (None: all) by request; empty when they are of one request alone."""
        listed = range(self.n) if rows is None else rows
        owners = np.searchsorted(self.offsets, np.asarray(listed), side="right").tolist()
        by_owner: dict[int, list[int]] = {}
        for at, owner in zip(listed, owners, strict=True):
            by_owner.setdefault(owner, []).append(at)
        return list(by_owner.values()) if len(by_owner) > 1 else []

    def halves(self, rows: Sequence[int] | None) -> list[list[int]]:
        """Some rows (None: all) in two parts between requests; empty when they are of one request alone."""
        singles = self.singles(rows)
        middle = len(singles) // 2
        return [[*chain(*half)] for half in (singles[:middle], singles[middle:])] if singles else []

    def parted(self, rows: Sequence[int] | None, of: Container[int]) -> list[list[int]]:
        """Some rows (None: all) in two parts: those of requests that have none of `of`, and the others; empty where all are of one kind."""
        listed, lost = range(self.n) if rows is None else rows, self.lost(of)
        parts = [[at for at in listed if at not in lost], [at for at in listed if at in lost]]
        return parts if all(parts) else []

    def lost(self, rows: Container[int]) -> set[int]:
        """All rows of the requests that have one of `rows`."""
        spans = (self.span(number) for number in range(len(self.jobs)))
        return {
            at
            for span in spans
            if any(each in rows for each in range(span.start, span.stop))
            for at in range(span.start, span.stop)
        }

    def span(self, number: int) -> slice:
        """The rows of request `number`."""
        return slice(self.offsets[number], self.offsets[number + 1])


def moments(times: Sequence[int]) -> Iterator[slice]:
    """Runs of event times that may all be told as their first."""
    first = 0
    for at, at_us in enumerate(times):
        if not 0 <= at_us - times[first] <= MOMENT_US:
            yield slice(first, at)
            first = at
    yield slice(first, len(times))


def told(why: FlyballError, n: int) -> FlyballError:
    """What a request of `n` rows is, of what its rows have in common with others'."""
    return RequestError(why.faults, rows=n) if isinstance(why, RequestError) else why


def lone(rows: Rows) -> Job:
    """Of a slice: it waits for nobody."""
    return Job(rows, None, None, asyncio.get_running_loop().create_future())


def joined(parts: Iterable[Answer | FlyballError]) -> Answer:
    """The answers of slices, one behind the other. Raises what a slice is told instead of one."""
    ids, scores, units = [], [], []
    for part in parts:
        if isinstance(part, FlyballError):
            raise part
        ids += part.ids
        scores += part.scores
        units += part.units
    return Answer(ids, scores, units)


def tell_answers(batch: Batch, outcome_of: Callable[[Batch, int], Answer | FlyballError], numbers: Iterable[int]) -> None:
    """Those requests of the batch that still wait."""
    for number in numbers:
        job = batch.jobs[number]
        if not job.answer.done():
            outcome = outcome_of(batch, number)
            if isinstance(outcome, FlyballError):
                job.answer.set_exception(outcome)
            else:
                job.answer.set_result(outcome)


def tell(jobs: Sequence[Job], broken: Exception) -> None:
    """Those who still wait: all of them alike."""
    for job in jobs:
        if not job.answer.done():
            job.answer.set_exception(broken)

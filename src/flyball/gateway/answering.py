"""Who answers a batch's rows: champion, canary or an arm by key; the next unit where one fails; shadows for comparison.

What happens is one generator, `steps`: it asks for parts to be scored and is told what became of them. Two drivers perform it: on the event
loop for models that answer in microseconds, beside it for all others.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from time import perf_counter
from typing import NamedTuple
from zlib import crc32

from flyball.errors import DeadlinePassed, Fault, FlyballError, ModelFailed, RequestError
from flyball.gateway.batches import Answer, Batch, told
from flyball.gateway.borders import Border
from flyball.gateway.breaker import fair_seconds
from flyball.gateway.metrics import Metrics
from flyball.gateway.parts import Outcome, Part, Scored, failure_of, in_turn, prediction_of, rows_of, size_of
from flyball.gateway.tables import LiveRoute, LiveUnit
from flyball.gateway.units import LoadedModel
from flyball.records.captured import Captured, FailureBatch

Steps = Generator[list[Part], list[Outcome], "Answered"]


class Answered(NamedTuple):
    """What became of a batch."""

    scores: list[list[float]]
    units: list[LiveUnit | None]
    """Who answered each row; None: nobody could."""
    failed: dict[int, FlyballError]
    """Row → why nobody could answer it."""
    tried: frozenset[tuple[str, int]]
    """(unit, row) that failed: not tried again as a shadow."""
    parts: list[tuple[Part, Scored]]
    """Whose answers are shown."""
    failures: list[FailureBatch]
    died: bool = False
    """A model's process did, of some of the rows."""

    def records(self, live: LiveRoute, batch: Batch, revision: int) -> list[Captured]:
        """What is to be captured of it before it is shown."""
        return [*self.failures, *(prediction_of(live, part, scored, batch, revision) for part, scored in self.parts)]

    def of(self, batch: Batch, number: int) -> Answer | FlyballError:
        """What request `number` is told: all of its rows, or why not."""
        span = batch.span(number)
        if self.failed:
            for at in range(span.start, span.stop):
                if at in self.failed:
                    return told(self.failed[at], span.stop - span.start)
        return Answer(batch.ids[span], self.scores[span], self.units[span])


class Answering:
    """`now`: seconds of the event loop's clock."""

    def __init__(self, metrics: Metrics, canaries_allowed: Callable[[], bool], now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._canaries_allowed = canaries_allowed
        self._now = now

    def at_once(self, live: LiveRoute, batch: Batch) -> Answered:
        """For models that answer faster than a thread is woken."""
        steps = self._steps(live, batch)
        asked = next(steps)
        while True:
            try:
                asked = steps.send([self._score(live, part, batch) for part in asked])
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]

    async def beside(self, live: LiveRoute, batch: Batch, until: float | None, bound: float | None = None) -> Answered:
        """For all others, each unit for itself: in a thread, or in its model's own process. `until`: when the last of the requests gives up, on the loop's
        clock; `bound`: when they have waited for long enough for a process that dies."""
        steps = self._steps(live, batch)
        asked = next(steps)
        while True:
            outcomes = [*await asyncio.gather(*(self._within(live, part, batch, until, bound) for part in asked))]
            if any(part.unit is live.last and _died(outcome) for part, outcome in zip(asked, outcomes, strict=True)):
                now = self._now()
                live.queue.deaths.struck(now)
                bound = now + live.last.model.dying_seconds if bound is None else bound
            try:
                asked = steps.send(outcomes)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]

    async def _within(self, live: LiveRoute, part: Part, batch: Batch, until: float | None, bound: float | None) -> Outcome:
        """`bound` is of the unit that nobody stands in for: any other has a share of the callers' time, as ever."""
        if bound is None or part.unit is not live.last or (until is not None and until <= bound):
            return await self.score_beside(live, part, batch, until)
        return _in_vain(await self.score_beside(live, part, batch, bound))

    def _steps(self, live: LiveRoute, batch: Batch) -> Steps:
        """Each round: score the parts; halve what failed between requests; give what still fails to the next unit."""
        taken = _Taken(live, batch)
        parts = self._divided(live, batch)
        while parts:
            outcomes = yield parts
            following: list[Part] = []
            for part, outcome in zip(parts, outcomes, strict=True):
                if isinstance(outcome, Scored):
                    self._metrics.scored(live.model, part.unit.id, part.role, size_of(part, batch), outcome.seconds)
                    taken.keep(part, outcome)
                    continue
                taken.died = taken.died or outcome.died
                apart = self._apart(live, part, batch, outcome)
                if apart:
                    following += apart
                    continue
                self._metrics.failed(live.model, part.unit.id, part.role, size_of(part, batch))
                following += taken.give_up(part, outcome)
            parts = following
        if live.tolerated:
            for job in batch.jobs:
                for name, n in (job.rows.brought or {}).items():
                    self._metrics.tolerated(live.model, name, n)
        return taken.answered()

    def _apart(self, live: LiveRoute, part: Part, batch: Batch, failed: ModelFailed) -> list[Part]:
        """The failed part in smaller ones; empty: it is one request's, or the unit is broken whatever it is asked."""
        if failed.beyond:
            return [part._replace(rows=rows, turn=2) for rows in batch.parted(part.rows, failed.beyond)]
        closed = not part.unit.breaker.open or part.unit is live.last
        if failed.late or not closed:
            return []
        # A request that kills its worker costs the others a restart: one by one they wait for two at most, by halves for one a halving.
        pieces = batch.singles(part.rows) if failed.died else batch.halves(part.rows)
        return [part._replace(rows=rows, turn=2) for rows in pieces]

    def _divided(self, live: LiveRoute, batch: Batch) -> list[Part]:
        """The rows by who is to answer them."""
        canaries = live.canary is not None and self._canaries_allowed()
        if not canaries and not live.arms:
            return [Part(live.champion, "champion", None)]
        chosen = live.chosen(batch.keys, canaries=canaries)
        if len(chosen) == 1:
            return [Part(*chosen[0][:2], None)]
        return in_turn(chosen, crc32(batch.ids[0].encode("utf-8", "surrogatepass")))

    def _score(self, live: LiveRoute, part: Part, batch: Batch) -> Outcome:
        refused = self._refused(live, part, batch)
        if refused is not None:
            return refused
        outcome = _scored(part, batch)
        self._learn(part.unit, outcome)
        return outcome

    async def score_beside(self, live: LiveRoute, part: Part, batch: Batch, until: float | None) -> Outcome:
        """A unit that another one can stand in for gets half of the time that is left: where it hangs, the other still answers in time."""
        refused = self._refused(live, part, batch)
        if refused is not None:
            return refused
        loop = asyncio.get_running_loop()
        seconds = None if until is None else max(until - loop.time(), 0.0)
        if part.role != "shadow" and part.unit is not live.last:
            seconds = part.unit.patience(size_of(part, batch)) if seconds is None else seconds / 2
        if seconds == 0.0:
            return _late(part.unit)
        call = _Call(part, batch)
        begun = call.outcome
        try:
            await asyncio.wait([begun], timeout=seconds)
        except asyncio.CancelledError:
            call.cancel()
            raise
        if begun.done():
            outcome = begun.result()
            self._learn(part.unit, outcome)
            return outcome
        runs = not call.cancel()  # one that has not begun never will: calls that nobody waits for must not pile up
        late = _late(part.unit)
        if seconds is not None and seconds >= fair_seconds(part.unit.model.call_seconds, size_of(part, batch)):
            self._learn(part.unit, late)
        elif runs:
            begun.add_done_callback(lambda done: self._learn(part.unit, done.result()))
        return late

    def _refused(self, live: LiveRoute, part: Part, batch: Batch) -> ModelFailed | None:
        """Why the unit is not asked at all. A circuit always lets the last unit of a route be asked: nobody stands in for it."""
        borders = live.borders[part.unit.id]
        refused = refused_at(borders, part, batch) if borders else None
        if refused is not None:
            return refused
        # Behind what it is not asked for anyway: an open circuit's probe is one that it answers.
        if part.unit is not live.last and not part.unit.breaker.allows(self._now()):
            return ModelFailed(f"{part.unit.id} failed too often and is not asked for now")
        return None

    def _learn(self, unit: LiveUnit, outcome: Outcome) -> None:
        if isinstance(outcome, ModelFailed):
            unit.breaker.failed(self._now(), outcome.message, late=outcome.late)
        else:
            unit.breaker.succeeded(self._now())


class _Taken:
    """What was answered so far."""

    def __init__(self, live: LiveRoute, batch: Batch) -> None:
        self._live = live
        self._batch = batch
        self._parts: list[tuple[Part, Scored]] = []
        self._failed: dict[int, FlyballError] = {}
        self._tried: set[tuple[str, int]] = set()
        self._given_up: list[tuple[Part, ModelFailed, str | None]] = []
        """With who is asked instead."""
        self.died = False
        self._refused: set[int] = set()
        """Rows that no unit takes: no failure of anybody's."""

    def keep(self, part: Part, scored: Scored) -> None:
        self._parts.append((part, scored))

    def give_up(self, part: Part, failed: ModelFailed) -> list[Part]:
        """What the next unit is asked for instead; empty: there is none, and the rows stay without an answer."""
        rows = rows_of(part, self._batch)
        self._tried.update((part.unit.id, at) for at in rows)
        champion, fallback = self._live.champion, self._live.fallback
        following: Part | None = None
        if part.unit is not champion and part.unit is not fallback:
            following = Part(champion, "champion", part.rows, 2)
        elif part.unit is champion and fallback is not None:
            following = Part(fallback, "fallback", part.rows, 2)
        self._given_up.append((part, failed, following.unit.id if following else None))
        if following is None and failed.beyond:
            # Each unit takes less than the other in some column: as good as what neither takes.
            fault = Fault("rows", failed.message, "values of which one unit takes all")
            self._refused.update(rows)
            self._failed.update(dict.fromkeys(rows, RequestError((fault,))))
            return []
        if following is None:
            # The last unit had all of the time that any of the requests had: whether the request's own clock or this call ends first is chance.
            own = failed.late and not failed.died
            why = DeadlinePassed("The request's deadline passed before the model answered", asked=True) if own else failed
            self._failed.update(dict.fromkeys(rows, why))
            return []
        return [following]

    def answered(self) -> Answered:
        if len(self._parts) != 1 or self._parts[0][0].rows is not None:
            self._leave_out_half_answered()
        scores, units = gathered(self._parts, self._batch.n)
        return Answered(scores, units, self._failed, frozenset(self._tried), self._parts, self._failures(), self.died)

    def _failures(self) -> list[FailureBatch]:
        told: list[FailureBatch] = []
        for part, failed, instead in self._given_up:
            rows = [at for at in rows_of(part, self._batch) if at not in self._refused] if self._refused else part.rows
            if rows is None or rows:
                told.append(failure_of(self._live, part._replace(rows=rows), self._batch, failed, instead))
        return told

    def _leave_out_half_answered(self) -> None:
        """A request that has a row without an answer is refused as a whole: its other rows were shown to nobody, so they are no predictions."""
        if not self._failed:
            return
        lost = self._batch.lost(self._failed)
        kept: list[tuple[Part, Scored]] = []
        for part, scored in self._parts:
            rows = rows_of(part, self._batch)
            places = [place for place, at in enumerate(rows) if at not in lost]
            if places:
                table = scored.table.rows(places) if scored.table is not None else None
                kept.append(
                    (
                        part._replace(rows=[rows[place] for place in places]),
                        Scored([scored.scores[place] for place in places], scored.seconds, table),
                    )
                )
        self._parts = kept


def gathered(parts: Sequence[tuple[Part, Scored]], n: int) -> tuple[list[list[float]], list[LiveUnit | None]]:
    """(scores, who answered) of each of `n` rows."""
    if len(parts) == 1 and parts[0][0].rows is None:
        part, scored = parts[0]
        return scored.scores, [part.unit] * n
    scores: list[list[float]] = [[]] * n
    units: list[LiveUnit | None] = [None] * n
    for part, scored in parts:
        for at, each in zip(range(n) if part.rows is None else part.rows, scored.scores, strict=True):
            scores[at] = each
            units[at] = part.unit
    return scores, units


def labels_of(live: LiveRoute, answer: Answer) -> list[str] | None:
    """The class that each row's scores mean; None for regression."""
    classes = live.signature.classes
    if live.signature.task == "regression":
        return None
    if live.signature.task == "binary":
        return [classes[scores[0] >= unit.threshold] for scores, unit in zip(answer.scores, answer.units, strict=True)]
    return [classes[max(range(len(scores)), key=scores.__getitem__)] for scores in answer.scores]


class _Call:
    """One call of the unit's model beside the loop. It goes on where nobody waits for it any more."""

    def __init__(self, part: Part, batch: Batch) -> None:
        self._part, self._batch, self._begun = part, batch, False
        model = part.unit.model
        self._threaded = None if model.begun_rows else model.pool.submit(_scored, part, batch)
        self.outcome: asyncio.Future[Outcome] = (
            asyncio.ensure_future(self._in_turn(model)) if self._threaded is None else asyncio.wrap_future(self._threaded)
        )

    def cancel(self) -> bool:
        """Where it had not begun it never will."""
        if self._threaded is not None:
            return self._threaded.cancel()
        return not self._begun and self.outcome.cancel()

    async def _in_turn(self, model: LoadedModel) -> Outcome:
        """Of a process, which makes one call at a time: who waits for it does so here, and not within what is measured."""
        async with model.turn:
            self._begun = True
            if size_of(self._part, self._batch) <= model.begun_rows:
                table, began = self._batch.taken(self._part.rows), perf_counter()
                scores = self._part.unit.begin(table.columns, size_of(self._part, self._batch))
                if scores is not None:
                    try:
                        told = await scores
                    except ModelFailed as failed:
                        return failed
                    return Scored(told.tolist(), perf_counter() - began, table)
            return await asyncio.wrap_future(model.pool.submit(_scored, self._part, self._batch))


def _scored(part: Part, batch: Batch) -> Outcome:
    """One call of the unit's model. In whatever thread: it touches nothing that is shared."""
    try:
        table = batch.taken(part.rows)
        begin = perf_counter()
        scores = part.unit.score(table.columns, size_of(part, batch))
    except ModelFailed as failed:
        return failed
    return Scored(scores.tolist(), perf_counter() - begin, table)


def refused_at(borders: Sequence[Border], part: Part, batch: Batch) -> ModelFailed | None:
    """Why the unit is not asked for some of the rows."""
    rows, words = batch.beyond(part.rows, borders)
    if not rows:
        return None
    failed = ModelFailed(f"{part.unit.id} {words}")
    failed.beyond = rows
    return failed


def _died(outcome: Outcome) -> bool:
    return isinstance(outcome, ModelFailed) and outcome.died


def _in_vain(outcome: Outcome) -> Outcome:
    """Where the time had gone to a process's deaths: a 504 would say that it was the caller's haste."""
    if not isinstance(outcome, ModelFailed) or not outcome.late:
        return outcome
    failed = ModelFailed("requests that came together with this one killed the model's process again and again", died=True)
    failed.late = True
    return failed


def _late(unit: LiveUnit) -> ModelFailed:
    failed = ModelFailed(f"{unit.id} did not answer in the time that the request had left")
    failed.late = True
    return failed

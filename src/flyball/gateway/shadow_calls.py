"""What shadows are asked, and what is captured of it. A model that answers others as well is asked between its calls, for a moment each time: production
must not notice (reliability.md R30)."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate
from weakref import WeakKeyDictionary

from flyball.errors import ModelFailed
from flyball.gateway import answering as by
from flyball.gateway.answering import Answered, Answering, Outcome, Part, Scored, rows_of, size_of
from flyball.gateway.batches import Batch, moments
from flyball.gateway.metrics import Metrics
from flyball.gateway.pacing import Pace
from flyball.gateway.tables import LiveRoute, LiveTable, LiveUnit
from flyball.gateway.units import LoadedModel
from flyball.records.captured import Captured

SOON_ROWS = 256
"""In one call. Behind more than these a job waits long enough for what can be made again to be worth dropping: five times the row's own size."""
MOMENT_SECONDS = 0.03
"""Of a call of a model that others may ask meanwhile: one of them waits so much longer at most."""
LOOK_SECONDS = 0.005
"""Between two looks whether nobody asks it."""
PATIENCE_SECONDS = 5.0
"""For such a moment. A model that has none in so long has no time for a shadow, and other models' shadows wait behind it."""

Score = Callable[[Part, Batch], Awaitable[Outcome]]


class _NoMoment(Exception):
    """None came in time, or nobody wants to know any more."""


class ShadowCalls:
    """Of one worker."""

    def __init__(self, answering: Answering, metrics: Metrics, routes: Callable[[], Iterable[LiveRoute]]) -> None:
        """`routes`: all that are served now. Two of them may have one model."""
        self._answering = answering
        self._metrics = metrics
        self._routes = routes
        self._paces: WeakKeyDictionary[LoadedModel, Pace] = WeakKeyDictionary()

    async def records(
        self, table: LiveTable, live: LiveRoute, answers: Sequence[tuple[Batch, Answered]], *, at_once: bool = False
    ) -> list[Captured]:
        """Of the route's shadows, for the rows that they did not answer. What finds no moment is counted as dropped. Raises nothing that is a model's: a
        shadow is nobody's problem. `at_once`: whoever asked waits for it."""
        records: list[Captured] = []
        wanted = {batch: live.shadowed(batch.keys) for batch, _ in answers}
        for unit in live.shadows:
            due = [(batch, Part(unit, "shadow", _due(unit, batch, answered, wanted[batch]))) for batch, answered in answers]
            due = [(batch, part) for batch, part in due if size_of(part, batch)]
            score = functools.partial(self._whole if at_once else self._in_moments, table, live)
            try:
                outcomes = await _shadowed(score, live, due)
            except _NoMoment:
                self._metrics.shadow_dropped.inc(sum(size_of(part, batch) for batch, part in due))
                continue
            for batch, part, outcome in outcomes:
                if isinstance(outcome, ModelFailed):
                    records.append(by.failure_of(live, part, batch, outcome, live.champion.id))
                    self._metrics.failed(live.model, unit.id, "shadow", size_of(part, batch))
                else:
                    self._metrics.scored(live.model, unit.id, "shadow", size_of(part, batch), outcome.seconds)
                    records.append(by.prediction_of(live, part, outcome, batch, table.revision))
        return records

    async def _whole(self, _: LiveTable, live: LiveRoute, part: Part, batch: Batch) -> Outcome:
        return await self._answering.score_beside(live, part, batch, None)

    async def _in_moments(self, table: LiveTable, live: LiveRoute, part: Part, batch: Batch) -> Outcome:
        """In one call where nobody else waits for its thread, and otherwise in as many as it takes. Raises _NoMoment."""
        model = part.unit.model
        if model.inline_rows >= SOON_ROWS or not self._lanes(live, part.unit):
            return await self._whole(table, live, part, batch)
        pace = self._paces.setdefault(model, Pace(MOMENT_SECONDS, model.call_seconds, SOON_ROWS))
        rows, scores, seconds = rows_of(part, batch), list[list[float]](), 0.0
        while len(scores) < len(rows):
            await self._moment(table, live, part.unit)
            some = [*rows[len(scores) : len(scores) + pace.rows]]
            outcome = await self._answering.score_beside(live, part._replace(rows=some), batch, None)
            if isinstance(outcome, ModelFailed):
                return outcome
            pace.took(len(some), outcome.seconds)
            scores += outcome.scores
            seconds += outcome.seconds
        return Scored(scores, seconds, None)

    async def _moment(self, table: LiveTable, live: LiveRoute, unit: LiveUnit) -> None:
        """Wait until nobody waits for the model, and no call of it is being made."""
        for _ in range(round(PATIENCE_SECONDS / LOOK_SECONDS)):
            if table.retired:
                break
            if not any(lane.queue.rows or lane.queue.busy_rows or lane.turns.busy for lane in self._lanes(live, unit)):
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise _NoMoment

    def _lanes(self, live: LiveRoute, unit: LiveUnit) -> list[LiveRoute]:
        """All in which somebody may wait for the unit's model."""
        routes = {route.whole: None for route in (live, *self._routes())}
        lanes = (lane for route in routes for lane in route.lanes)
        return [lane for lane in lanes if unit.model in (*lane.answering, lane.last.model)]


async def _shadowed(score: Score, live: LiveRoute, due: Sequence[tuple[Batch, Part]]) -> list[tuple[Batch, Part, Outcome]]:
    """What became of them: of all in one call, and where that fails, of one after the other. Those of one moment are told as one batch: a
    record a request, eighty at a time, kept the loop for longer than the call."""
    if len(due) > 1:
        whole, part = _joined(live, due)
        await asyncio.sleep(0)  # work on many small batches stands before and behind the call: others may come between
        outcome = await score(part, whole)
        if isinstance(outcome, Scored):
            groups = [due[span] for span in moments([batch.at_us for batch, _ in due])]
            if len(groups) == 1:
                return [(whole, part, outcome)]
            told: list[tuple[Batch, Part, Outcome]] = []
            first = 0
            for group in groups:
                whole, part = _joined(live, group)
                last = first + size_of(part, whole)
                told.append((whole, part, Scored(outcome.scores[first:last], outcome.seconds, None)))
                first = last
            return told
    return [(batch, part, await score(part, batch)) for batch, part in due]


def _due(unit: LiveUnit, batch: Batch, answered: Answered, wanted: list[int] | None) -> list[int] | None:
    """Of the `wanted` rows (None: all), those that somebody else answered and that it did not fail on before; None: all there are."""
    rows = _unanswered(unit, batch, answered)
    if wanted is None or rows == []:
        return rows
    return wanted if rows is None else sorted({*rows}.intersection(wanted))


def _unanswered(unit: LiveUnit, batch: Batch, answered: Answered) -> list[int] | None:
    if len(answered.parts) == 1 and answered.parts[0][0].rows is None and not answered.tried:
        return [] if answered.parts[0][0].unit.id == unit.id else None
    rows = [
        at for at, by in enumerate(answered.units) if by is not None and by.id != unit.id and (unit.id, at) not in answered.tried
    ]
    return None if len(rows) == batch.n else rows


def _joined(live: LiveRoute, parts: Sequence[tuple[Batch, Part]]) -> tuple[Batch, Part]:
    """Batches behind one another, and the rows of all parts in them."""
    jobs = [job for batch, _ in parts for job in batch.jobs]
    whole = Batch(jobs, parts[0][0].at_us, [each for batch, _ in parts for each in batch.ids], live.builder)
    rows: list[int] | None = None
    if any(part.rows is not None for _, part in parts):
        starts = accumulate((batch.n for batch, _ in parts), initial=0)
        rows = [start + at for start, (batch, part) in zip(starts, parts, strict=False) for at in rows_of(part, batch)]
    return whole, Part(parts[0][1].unit, parts[0][1].role, rows)

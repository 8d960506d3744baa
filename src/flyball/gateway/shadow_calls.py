"""What shadows are asked, and what is captured of it. A model that answers others as well is asked between its calls, for a moment each time: production
must not notice (reliability.md R30)."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple
from weakref import WeakKeyDictionary

from flyball.errors import ModelFailed
from flyball.gateway.answering import Answered, Answering, refused_at
from flyball.gateway.batches import Batch, moments
from flyball.gateway.borders import Border
from flyball.gateway.large import SLICE_ROWS_BESIDE, SLICE_SHARE
from flyball.gateway.metrics import Metrics
from flyball.gateway.pacing import Pace
from flyball.gateway.parts import Outcome, Part, Scored, failure_of, prediction_of, rows_of, size_of
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
"""For such moments, of one job. A model that has so few has no time for a shadow, and other models' shadows wait behind it."""

Due = Sequence[tuple[Batch, Part]]


class _Asked(NamedTuple):
    """Of the rows of a part, in their order: so many first ones scored, then those of the call that failed; the rest was not asked."""

    scored: Scored
    failed: ModelFailed | None = None
    failed_rows: int = 0


Score = Callable[[Part, Batch], Awaitable[_Asked]]


class _Patience:
    """Of one job: what it may still wait for moments, all of them together. With so long for each of them, a model that is idle for a moment in a second
    kept other models' shadows waiting for minutes."""

    def __init__(self) -> None:
        self.seconds = PATIENCE_SECONDS


class ShadowCalls:
    """Of one worker."""

    def __init__(self, answering: Answering, metrics: Metrics, routes: Callable[[], Iterable[LiveRoute]]) -> None:
        """`routes`: all that are served now. Two of them may have one model."""
        self._answering = answering
        self._metrics = metrics
        self._routes = routes
        self._paces: WeakKeyDictionary[LoadedModel, dict[bool, Pace]] = WeakKeyDictionary()

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
            whole = functools.partial(self._in_one, live)
            score = whole if at_once else functools.partial(self._in_calls, table, live, _Patience())
            dropped = sum(size_of(part, batch) for batch, part in due)
            asked, told = _apart(live.borders[unit.id], due)
            for batch, part, outcome in [*told, *await _shadowed(score, live, asked)]:
                dropped -= size_of(part, batch)
                if isinstance(outcome, ModelFailed):
                    records.append(failure_of(live, part, batch, outcome, live.champion.id))
                    self._metrics.failed(live.model, unit.id, "shadow", size_of(part, batch))
                elif outcome.scores:
                    self._metrics.scored(live.model, unit.id, "shadow", size_of(part, batch), outcome.seconds)
                    records.append(prediction_of(live, part, outcome, batch, table.revision))
            self._metrics.shadow_dropped.inc(dropped)
        return records

    async def _in_one(self, live: LiveRoute, part: Part, batch: Batch) -> _Asked:
        outcome = await self._answering.score_beside(live, part, batch, None)
        return _Asked(outcome) if isinstance(outcome, Scored) else _Asked(Scored([], 0.0, None), outcome, size_of(part, batch))

    async def _in_calls(self, table: LiveTable, live: LiveRoute, patience: _Patience, part: Part, batch: Batch) -> _Asked:
        """In as many as it takes: none as long as would end the model's process and, where others wait for its thread, each in a moment. Until one fails,
        or no more moments come."""
        model = part.unit.model
        if model.inline_rows >= SOON_ROWS:
            return await self._in_one(live, part, batch)
        shared = bool(self._lanes(live, part.unit))
        pace, loop = self._pace(model, shared=shared), asyncio.get_running_loop()
        rows, scores, seconds = rows_of(part, batch), list[list[float]](), 0.0
        while len(scores) < len(rows) and await self._moment(table, live, part.unit, patience):
            some, began = [*rows[len(scores) : len(scores) + pace.rows]], loop.time()
            asked = part if len(some) == len(rows) else part._replace(rows=some)
            outcome = await self._answering.score_beside(live, asked, batch, None)
            if isinstance(outcome, Scored):
                pace.took(len(some), outcome.seconds)
                scores += outcome.scores
                seconds += outcome.seconds
            elif shared or not outcome.died or not pace.halved(len(some), loop.time() - began):
                return _Asked(Scored(scores, seconds, None), outcome, len(some))
        return _Asked(Scored(scores, seconds, None))

    def _pace(self, model: LoadedModel, *, shared: bool) -> Pace:
        """Of its calls: `shared` with others who ask it, or not."""
        aim, most = (MOMENT_SECONDS, SOON_ROWS) if shared else (SLICE_SHARE * model.deadline_seconds, SLICE_ROWS_BESIDE)
        return self._paces.setdefault(model, {}).setdefault(shared, Pace(aim, model.call_seconds, most))

    async def _moment(self, table: LiveTable, live: LiveRoute, unit: LiveUnit, patience: _Patience) -> bool:
        """Wait until nobody waits for the model, and no call of it is being made: whether such a moment came, and somebody still wants to know."""
        loop = asyncio.get_running_loop()
        while not table.retired:
            if not any(lane.queue.rows or lane.queue.busy_rows or lane.turns.busy for lane in self._lanes(live, unit)):
                return True
            if patience.seconds <= 0:
                break
            began = loop.time()
            await asyncio.sleep(LOOK_SECONDS)
            patience.seconds -= loop.time() - began
        return False

    def _lanes(self, live: LiveRoute, unit: LiveUnit) -> list[LiveRoute]:
        """All in which somebody may wait for the unit's model."""
        routes = {route.whole: None for route in (live, *self._routes())}
        lanes = (lane for route in routes for lane in route.lanes)
        return [lane for lane in lanes if unit.model in (*lane.answering, lane.last.model)]


async def _shadowed(score: Score, live: LiveRoute, due: Due) -> list[tuple[Batch, Part, Outcome]]:
    """What became of them: of all together, and what that failed at, and what was not asked then, of one after the other."""
    told: list[tuple[Batch, Part, Outcome]] = []
    if len(due) > 1:
        whole, part = _joined(live, due)
        await asyncio.sleep(0)  # work on many small batches stands before and behind the calls: others may come between
        asked = await score(part, whole)
        told = _by_moments(live, due, (whole, part), asked.scored)
        due = [] if asked.failed is None else _behind(due, len(asked.scored.scores))
    for batch, part in due:
        asked = await score(part, batch)
        first = len(asked.scored.scores)
        told.append((batch, _rows(part, batch, 0, first), asked.scored))
        if asked.failed is not None:
            told.append((batch, _rows(part, batch, first, first + asked.failed_rows), asked.failed))
    return told


def _apart(borders: Sequence[Border], due: Due) -> tuple[Due, list[tuple[Batch, Part, Outcome]]]:
    """What the unit is asked for, and what it does not take: those who share a call with such a request lose no answer, and are no failures."""
    if not borders:
        return due, []
    asked: list[tuple[Batch, Part]] = []
    told: list[tuple[Batch, Part, Outcome]] = []
    for batch, part in due:
        refused = refused_at(borders, part, batch)
        if refused is None:
            asked.append((batch, part))
            continue
        parts = batch.parted(part.rows, refused.beyond)
        if parts:
            asked.append((batch, part._replace(rows=parts[0])))
        told.append((batch, part._replace(rows=parts[1]) if parts else part, refused))
    return asked, told


def _by_moments(live: LiveRoute, due: Due, together: tuple[Batch, Part], scored: Scored) -> list[tuple[Batch, Part, Outcome]]:
    """The first of the rows, as far as they were scored. Those of one moment are told as one batch: a record a request, eighty at a time, kept the
    loop for longer than the call."""
    spans = [*moments([batch.at_us for batch, _ in due])]
    told: list[tuple[Batch, Part, Outcome]] = []
    first = 0
    for span in spans:
        whole, part = together if len(spans) == 1 else _joined(live, due[span])
        scores = scored.scores[first : first + size_of(part, whole)]
        told.append((whole, _rows(part, whole, 0, len(scores)), Scored(scores, scored.seconds, None)))
        first += len(scores)
    return told


def _behind(due: Due, n: int) -> list[tuple[Batch, Part]]:
    """What follows the first `n` rows."""
    left: list[tuple[Batch, Part]] = []
    for batch, part in due:
        size = size_of(part, batch)
        if n < size:
            left.append((batch, _rows(part, batch, n, size)))
        n = max(n - size, 0)
    return left


def _rows(part: Part, batch: Batch, start: int, stop: int) -> Part:
    """Some of its rows."""
    whole = start == 0 and stop == size_of(part, batch)
    return part if whole else part._replace(rows=[*rows_of(part, batch)[start:stop]])


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


def _joined(live: LiveRoute, parts: Due) -> tuple[Batch, Part]:
    """Batches behind one another, and the rows of all parts in them."""
    jobs = [job for batch, _ in parts for job in batch.jobs]
    whole = Batch(jobs, parts[0][0].at_us, [each for batch, _ in parts for each in batch.ids], live.builder)
    rows: list[int] | None = None
    if any(part.rows is not None for _, part in parts):
        starts = accumulate((batch.n for batch, _ in parts), initial=0)
        rows = [start + at for start, (batch, part) in zip(starts, parts, strict=False) for at in rows_of(part, batch)]
    return whole, Part(parts[0][1].unit, parts[0][1].role, rows)

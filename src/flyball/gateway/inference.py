"""One request's way through the gateway, whatever door it came in by: queued with others, answered, handed over, shadows behind it.

Batches adapt by themselves. On the event loop a batch is what arrived in one of its turns: alone when idle, many when busy, and nobody waits for
company. Beside the loop it is what came while the call before was running.
"""

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from time import perf_counter
from typing import NamedTuple

from flyball.errors import DeadlinePassed, FlyballError, HttpRefused, ModelFailed, NotFound, Overloaded
from flyball.gateway.answering import Answered, Answering
from flyball.gateway.batches import Answer, Batch, Job, Then, joined, lone, tell, tell_answers
from flyball.gateway.callers import NOBODY, Caller, patiently, while_there
from flyball.gateway.capture_writer import Sink
from flyball.gateway.ids import FreshIds
from flyball.gateway.lanes import Lanes, failed_once, is_long, row_seconds
from flyball.gateway.large import LARGE_ROWS, SLICE_ROWS, SLICE_ROWS_BESIDE, SLICE_SHARE, ArrayRows, Kept, Sliced, kept
from flyball.gateway.metrics import Metrics
from flyball.gateway.pacing import Pace
from flyball.gateway.queueing import MAX_WAIT_SECONDS, REFUSAL_SECONDS, Queue
from flyball.gateway.shadows import ShadowJob, Shadows
from flyball.gateway.tables import LiveRoute, LiveTable, Tables
from flyball.gateway.validation import Rows
from flyball.records.captured import Captured, FailureBatch


class Clocks(NamedTuple):
    now_us: Callable[[], int]
    """UTC."""
    loop: Callable[[], float]
    """Seconds of the event loop's clock."""


class Parts(NamedTuple):
    """What an answer is made with."""

    tables: Tables
    answering: Answering
    shadows: Shadows
    capture: Sink
    ids: FreshIds
    metrics: Metrics
    lanes: Lanes


PATIENT_TURNS = 8
"""More, and a slow model's callers would hold large requests of all others up."""
TURN_JOBS = 16
"""Answers of a batch beside the loop that are worded in one of its turns: two hundred at once would keep other models' requests for ten
milliseconds and more."""
SLOW_SECONDS = 0.001
"""Of a call, for each of its requests: many answers of it are worded one a turn. Some sixty microseconds each, they are told long before the call that runs
meanwhile ends; of a faster model the next batch would only become smaller."""


class Inference:
    """What the doors of REST and gRPC share."""

    def __init__(self, parts: Parts, clocks: Clocks, *, simulated: bool, deadline_seconds: float) -> None:
        """`simulated`: event times come with the requests, and shadows are scored before an answer leaves. `deadline_seconds`: of a code model's call."""
        self._tables, self._answering, self._shadows, self._capture, self._ids, self._metrics, self._lanes = parts
        self._clocks = clocks
        self._simulated = simulated
        self._slice_seconds = SLICE_SHARE * deadline_seconds
        self._large_ones = 0
        """That are being answered, or wait for the one before."""
        self._running: set[asyncio.Task[None]] = set()

    @property
    def serves(self) -> bool:
        """Whether there is a table."""
        return self._tables.live is not None

    def route(self, model: str) -> tuple[LiveTable, LiveRoute]:
        """Raises NotFound; HttpRefused 503 while there is no table, or nobody in it who could answer."""
        table = self._tables.live
        if table is None:
            raise self._tables.refusal()
        live = table.routes.get(model)
        if live is None and model in table.absent:
            raise HttpRefused(503, f"No unit of {model} could be loaded here; its log says why", headers=[("retry-after", "5")])
        if live is None:
            raise NotFound(
                f"There is no model {model[:100]!r} here", expected=", ".join(sorted(table.routes)) or "none is routed yet"
            )
        return table, live

    def open_route(self, model: str) -> tuple[LiveTable, LiveRoute]:
        """The route, if it has room for one more request. Raises as `route` does, Overloaded, and HttpRefused 503 while the model is stopped."""
        table, live = self.route(model)
        self.check_answers(live)
        now = self._clocks.loop()
        for lane in self._lanes_of(live):
            wait = lane.queue.too_long(now)
            if wait is not None:
                self._metrics.shed(live.model, "queue")
                self._charge(table, lane, REFUSAL_SECONDS)
                raise lane.queue.refusal(wait)
        return table, live

    def full(self, model: str, coming: int) -> tuple[Queue, float] | None:
        """Where there is no room for one more beside so many requests that nobody has read yet, and for how long it would wait. Raises as `route` does, and
        HttpRefused 503 while the model is stopped."""
        live = self.route(model)[1]
        self.check_answers(live)
        now = self._clocks.loop()
        for lane in self._lanes_of(live):
            wait = lane.queue.too_long(now, coming=coming)
            if wait is not None:
                return lane.queue, wait
        return None

    def refused(self, model: str, seconds: float) -> None:
        """A request was, unread, and it took so long. Those who wait have most of the time, however many are refused."""
        self._metrics.shed(model, "queue")
        table, live = self.route(model)
        for lane in self._lanes_of(live):
            self._charge(table, lane, seconds)

    def check_answers(self, live: LiveRoute) -> None:
        """Raises HttpRefused 503 while a person has to resume the model."""
        if live.route.stopped:
            raise HttpRefused(
                503, live.route.stopped, next_step="Do without it, or ask whoever runs it", headers=[("retry-after", "60")]
            )

    def _lanes_of(self, live: LiveRoute) -> tuple[LiveRoute, ...]:
        """Where a challenger is asked beside the loop, nobody waits for it: there is always the other queue."""
        return (live, live.sure) if live.inline_rows and live is not live.sure else (live.sure,)

    def _charge(self, table: LiveTable, live: LiveRoute, seconds: float) -> None:
        """A refusal took so long: where they have had their share, those who wait are answered now. A turn of the loop refuses all who asked meanwhile, a
        thousand perhaps, and would answer one batch. (Calls beside the loop need no turn of it.)"""
        queue = live.queue
        queue.allowance -= seconds
        if queue.on_loop and queue.scheduled is not None and queue.allowance <= 0:
            queue.scheduled.cancel()
            self._flush(table, live)

    async def answer(
        self, table: LiveTable, live: LiveRoute, rows: Rows, at_us: int | None = None, caller: Caller = NOBODY
    ) -> Answer:
        """The answer, its records handed over. `at_us`: the event time of a simulated clock. Raises ModelFailed, Overloaded, DeadlinePassed, CallerGone."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        patience = MAX_WAIT_SECONDS if caller.until is None else min(caller.until - now, MAX_WAIT_SECONDS)
        if patience <= 0:
            raise DeadlinePassed("The request's deadline had passed when it arrived")
        if not self._simulated:
            live, rows = self._lanes.choose(live, rows, now, patience)
        queue, job = live.queue, Job(rows, at_us, caller.until, loop.create_future())
        if caller.alone and rows.n <= live.inline_rows and not self._simulated and not queue.rows:
            self._answer_at_once(table, live, [job])
            return job.answer.result()
        if rows.n > live.inline_rows and is_long(live, rows.n, self._slice_seconds) and not self._simulated:
            return await self._in_slices(table, live, rows, caller, None)
        try:
            queue.admit(job, now)
        except FlyballError:
            self._metrics.shed(live.model, "queue")
            raise
        self._tables.hold(table)
        try:
            self._go_on(table, live)
            if caller is NOBODY or live.inline_rows >= rows.n:
                return await job.answer
            return await patiently(job.answer, caller, asked=lambda: job.taken)
        finally:
            self._tables.release(table)

    async def answer_rows(
        self, table: LiveTable, live: LiveRoute, rows: Rows, at_us: int | None = None, caller: Caller = NOBODY, then: Then = None
    ) -> Answer:
        """As `answer`; rows that were checked as whole columns are answered slice by slice where they are many. `then`: see `answer_large`."""
        # Shadows of slices come after the answer, where nobody waits for them.
        if self._simulated or (rows.n < LARGE_ROWS and then is None):
            answer = await self.answer(table, live, rows, at_us, caller)
            if then is not None:
                await then(answer)
            return answer
        return await self._in_slices(table, live, rows, caller, then)

    async def _in_slices(self, table: LiveTable, live: LiveRoute, rows: Rows, caller: Caller, then: Then) -> Answer:
        return joined([part async for part in self.answer_large(table, live, ArrayRows(rows), None, caller, then)])

    async def answer_large(
        self,
        table: LiveTable,
        live: LiveRoute,
        source: Sliced,
        at_us: int | None = None,
        caller: Caller = NOBODY,
        then: Then = None,
    ) -> AsyncIterator[Answer]:
        """The answers of its slices, in order, each handed over before it is given. One large request of a model at a time (`then`: such a one is
        small, and waits for no other); nothing of it is handed over or given before every row was scored and `then` has taken all answers, and
        nothing is begun once its caller has gone. Raises as `answer` does, RequestError, and what `then` raises."""
        self._tables.hold(table)
        self._large_ones += 1
        try:
            async with AsyncExitStack() as turn:
                async with while_there(caller):
                    if then is None:
                        await self._enter(turn, live, caller)
                    scored = await self._first_pass(live, source, at_us, caller, shared=then is None)
                if then is not None:
                    # That somebody failed at a row stays true whatever comes of this.
                    self._capture.hand_over([failure for each in scored for failure in each.failures])
                    await then(joined(each.again().of(self._slice(live, source, each), 0) for each in scored))
                    # It may have taken minutes, and monitoring takes a window for whole soon after its end: the rows are of the moment of their capture.
                    scored = deque(each._replace(failures=(), at_us=at_us or self._clocks.now_us()) for each in scored)
                while scored:
                    each = scored.popleft()  # and freed with its answer: all at the end would take milliseconds
                    batch = self._slice(live, source, each)
                    answered = each.again()
                    self._keep(table, live, batch, answered)
                    answer = answered.of(batch, 0)
                    if isinstance(answer, FlyballError):
                        raise answer
                    yield answer
                    source.release(each.start, each.stop)
                    await self._others_first(caller)
        finally:
            self._large_ones -= 1
            self._tables.release(table)

    async def _enter(self, turn: AsyncExitStack, live: LiveRoute, caller: Caller) -> None:
        try:
            await turn.enter_async_context(live.turns.taken(caller.until))
        except Overloaded:
            self._metrics.shed(live.model, "large")
            raise

    @contextmanager
    def reading(self, caller: Caller) -> Iterator[Callable[[], Awaitable[None]]]:
        """While a large request is read in pieces: what is to be awaited between two of them."""
        self._large_ones += 1
        try:
            yield functools.partial(self._others_first, caller)
        finally:
            self._large_ones -= 1

    async def _others_first(self, caller: Caller) -> None:
        """A turn of the loop, and some more while small requests are being answered: each takes four of them, and a slice in every one would
        triple its time."""
        for _ in range(PATIENT_TURNS):
            await asyncio.sleep(0)
            if caller.pending() <= self._large_ones:
                return

    async def _first_pass(
        self, live: LiveRoute, source: Sliced, at_us: int | None, caller: Caller, *, shared: bool
    ) -> deque[Kept]:
        """Beside the loop slices are as long as their rows take, for a call that is late costs everybody the model's process. `shared`: at the pace
        of large requests, which learns from it; a few rows would slow it down."""
        scored: deque[Kept] = deque()
        inline, pace = live.inline_rows >= SLICE_ROWS, Pace(self._slice_seconds, row_seconds(live), SLICE_ROWS_BESIDE)
        pace = live.turns.pace([model.fingerprint for model in live.answering], pace) if shared else pace
        while (start := scored[-1].stop if scored else 0) < source.n:
            span = start, min(start + (SLICE_ROWS if inline else pace.rows), source.n)
            n, began = span[1] - start, self._clocks.loop()
            each = await self._scored(live, source, span, at_us, caller)
            if isinstance(each, Kept):
                scored.append(each)
                if not inline:
                    pace.took(n, each.seconds)
                    live.queue.learn(n, each.seconds)
                    live.queue.cost.took(n, each.seconds)
                continue
            again = isinstance(each[0], ModelFailed) and each[0].died and pace.halved(n, self._clocks.loop() - began)
            self._capture.hand_over([failed_once(failure, live.last.id) for failure in each[1]] if again else each[1])
            if not again:
                raise each[0]
        return scored

    async def _scored(
        self, live: LiveRoute, source: Sliced, span: tuple[int, int], at_us: int | None, caller: Caller
    ) -> Kept | tuple[FlyballError, list[FailureBatch]]:
        """One slice of the first pass, or why nobody could answer it."""
        await self._others_first(caller)
        if caller.until is not None and caller.until <= self._clocks.loop():
            raise DeadlinePassed(f"The request's deadline passed at row {span[0]} of {source.n}")
        rows = source.rows(*span)
        fresh = self._ids.take(rows.n) if rows.ids is None else None
        batch = Batch([lone(rows)], self._clocks.now_us() if at_us is None else at_us, rows.ids or fresh or [], live.builder)
        inline = rows.n <= live.inline_rows
        answered = self._answering.at_once(live, batch) if inline else await self._answering.beside(live, batch, caller.until)
        outcome = answered.of(batch, 0)
        return (outcome, answered.failures) if isinstance(outcome, FlyballError) else kept(span, fresh, batch.at_us, answered)

    def _slice(self, live: LiveRoute, source: Sliced, each: Kept) -> Batch:
        rows = source.rows(each.start, each.stop)
        return Batch([lone(rows)], each.at_us, each.ids.split() if each.ids is not None else rows.ids or [], live.builder)

    async def drain(self) -> None:
        """Until every batch beside the loop is answered."""
        while self._running:
            await asyncio.wait(self._running)

    def _flush(self, table: LiveTable, live: LiveRoute) -> None:
        """Answer what has come, or have it answered."""
        queue = live.queue
        queue.scheduled = None
        # On a simulated clock every request has a time of its own, so none shares a batch.
        jobs = self._living(queue.take(1 if self._simulated else live.inline_rows or queue.call_rows))
        if not jobs:
            self._go_on(table, live)
            return
        if sum(job.rows.n for job in jobs) <= live.inline_rows and not (self._simulated and live.shadows):
            self._answer_at_once(table, live, jobs)
            self._go_on(table, live)
            return
        batch = self._batch(live, jobs)
        queue.busy_rows = batch.n
        self._tables.hold(table)  # its callers may leave before it is answered
        task = asyncio.get_running_loop().create_task(self._answer_beside(table, live, batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _answer_at_once(self, table: LiveTable, live: LiveRoute, jobs: list[Job]) -> None:
        try:
            # Not the loop's clock, which counts whole milliseconds: some batches take less.
            batch, began = self._batch(live, jobs), perf_counter()
            answered = self._answering.at_once(live, batch)
            live.queue.learn(batch.n, perf_counter() - began)
            self._keep(table, live, batch, answered)
            tell_answers(batch, answered.of, range(len(jobs)))
            live.queue.worked(perf_counter() - began)
        except Exception as broken:  # noqa: BLE001 - ours to mend: whoever waits must be told, the door logs it
            tell(jobs, broken)

    async def _answer_beside(self, table: LiveTable, live: LiveRoute, batch: Batch) -> None:
        began = self._clocks.loop()
        # The most patient one's: who gives up earlier is told so, and takes nobody along.
        until = None if any(job.until is None for job in batch.jobs) else max(job.until or 0.0 for job in batch.jobs)
        try:
            try:
                answered = await self._answering.beside(live, batch, until, None if self._simulated else live.bound(batch.jobs))
                shadows = self._shadows.calls.records(table, live, [(batch, answered)], at_once=True) if self._simulated else None
                shadowed = [] if shadows is None else await shadows
                took = self._clocks.loop() - began
                live.queue.learn(batch.n, took, sum(scored.seconds for _, scored in answered.parts), died=answered.died)
                live.queue.resize(batch.n, beside_large=live.turns.busy, died=answered.died and not answered.failed)
                self._keep(table, live, batch, answered, shadowed)
            finally:
                live.queue.busy_rows = 0
                self._go_on(table, live)
            asked = len(batch.jobs)
            together = 1 if asked > TURN_JOBS and took >= SLOW_SECONDS * asked else TURN_JOBS
            for start in range(0, asked, together):
                tell_answers(batch, answered.of, range(start, min(start + together, len(batch.jobs))))
                await asyncio.sleep(0)
        except Exception as broken:  # noqa: BLE001 - ours to mend: whoever waits must be told, the door logs it
            tell(batch.jobs, broken)
        finally:
            self._tables.release(table)

    def _keep(
        self, table: LiveTable, live: LiveRoute, batch: Batch, answered: Answered, shadowed: Sequence[Captured] = ()
    ) -> None:
        """Hand over, before anything is told: an answer that leaves is captured."""
        self._metrics.batch(live.model, batch.n)
        records = answered.records(live, batch, table.revision)
        self._capture.hand_over([*records, *shadowed])
        for number, job in enumerate(batch.jobs):
            if job.trace is not None:
                span = batch.span(number)
                failed = frozenset(unit for unit, at in answered.tried if span.start <= at < span.stop)
                job.trace.scored(records, frozenset(batch.ids[span]), failed)
        if live.shadows and not self._simulated:
            self._shadows.offer(ShadowJob(table, live.whole, batch, answered))

    def _go_on(self, table: LiveTable, live: LiveRoute) -> None:
        """The next batch, unless a call is being made: that one goes on when it ends."""
        queue = live.queue
        if queue.rows and queue.scheduled is None and not queue.busy_rows:
            queue.scheduled = asyncio.get_running_loop().call_soon(self._flush, table, live)

    def _living(self, jobs: list[Job]) -> list[Job]:
        """Those whose callers still wait: no work begins for the others."""
        if all(job.until is None and not job.answer.done() for job in jobs):
            return jobs
        now = self._clocks.loop()
        for job in jobs:
            if job.until is not None and job.until <= now and not job.answer.done():
                job.answer.set_exception(DeadlinePassed("The request's deadline passed while it waited"))
        return [job for job in jobs if not job.answer.done()]

    def _batch(self, live: LiveRoute, jobs: list[Job]) -> Batch:
        ids: list[str] = []
        for job in jobs:
            job.taken = True
            ids += job.rows.ids if job.rows.ids is not None else self._ids.take(job.rows.n)
        at_us = jobs[0].at_us
        return Batch(jobs, self._clocks.now_us() if at_us is None else at_us, ids, live.builder)

"""Shadows score after the answer has left. Bounded: what does not fit is dropped and counted, nobody waits."""

import asyncio
import logging
from collections import deque
from typing import NamedTuple

from flyball.gateway.answering import Answered, Answering
from flyball.gateway.batches import Batch
from flyball.gateway.capture_writer import Sink
from flyball.gateway.metrics import Metrics
from flyball.gateway.shadow_calls import SOON_ROWS, ShadowCalls
from flyball.gateway.tables import LiveRoute, LiveTable, Tables

MAX_QUEUED_ROWS = 20_000
"""Some 20 MB of rows of ten columns: a slow shadow may lag behind, it may not eat the memory (KServe 6167)."""
GATHER_SECONDS = 0.1
"""A shadow waits for company, since nobody waits for it: ten calls a second instead of one a request. Each keeps the interpreter for some tenths of a
millisecond: fifty a second were more than one request in a hundred that met one."""
TURN_JOBS = 64
"""Dropped between two turns of the event loop."""
FREED_JOBS = 8
"""Of those that were scored, between two turns."""

log = logging.getLogger("flyball.gateway")


class ShadowJob(NamedTuple):
    """A batch that was answered."""

    table: LiveTable
    live: LiveRoute
    batch: Batch
    answered: Answered

    def light(self) -> "ShadowJob":
        """Without arrays and scores: a shadow needs the rows, and who answered them."""
        batch = Batch(self.batch.jobs, self.batch.at_us, self.batch.ids, self.live.builder)
        return self._replace(batch=batch, answered=self.answered._replace(scores=[], parts=[], failures=[]))


class Shadows:
    """The queue of one worker."""

    def __init__(self, answering: Answering, capture: Sink, tables: Tables, metrics: Metrics) -> None:
        self.calls = ShadowCalls(answering, metrics, lambda: tables.live.routes.values() if tables.live is not None else ())
        self._capture = capture
        self._tables = tables
        self._metrics = metrics
        self._jobs: deque[ShadowJob] = deque()  # asyncio's queue takes a microsecond a job
        self._some, self._none = asyncio.Event(), asyncio.Event()
        self._none.set()
        self.waiting_rows = 0
        """Of the job that is being scored, too."""

    def offer(self, job: ShadowJob) -> None:
        """Take the job, or count its rows as dropped. Never waits."""
        if self.waiting_rows + job.batch.n > MAX_QUEUED_ROWS:
            self._metrics.shadow_dropped.inc(job.batch.n)
            return
        if not self.waiting_rows:
            self._some.set()
            self._none.clear()
        self._jobs.append(job if self.waiting_rows < SOON_ROWS else job.light())
        self.waiting_rows += job.batch.n
        self._tables.hold(job.table)

    async def run(self) -> None:
        """Work until cancelled."""
        count = 0
        while True:
            await self._some.wait()
            if self._jobs[0].table.retired:
                # A slow shadow may be hours behind: it would go on scoring, and its table's models would stay, long after it was withdrawn.
                gone = self._jobs.popleft()
                self._metrics.shadow_dropped.inc(gone.batch.n)
                self._done(gone)
                count += 1
                if count % TURN_JOBS == 0:
                    await asyncio.sleep(0)
                continue
            await asyncio.sleep(GATHER_SECONDS)
            jobs = self._gathered()
            try:
                await asyncio.sleep(0)
                await self._score(jobs)
            finally:
                while jobs:  # to free eighty requests takes as long as to score them
                    self._done(jobs.pop())
                    if len(jobs) % FREED_JOBS == 0:
                        await asyncio.sleep(0)

    def _done(self, job: ShadowJob) -> None:
        self.waiting_rows -= job.batch.n
        self._tables.release(job.table)
        if not self.waiting_rows:
            self._some.clear()
            self._none.set()

    async def _score(self, jobs: list[ShadowJob]) -> None:
        first = jobs[0]
        try:
            records = await self.calls.records(first.table, first.live, [(job.batch, job.answered) for job in jobs])
            if records:
                self._capture.hand_over(records)
        except Exception:  # ours to mend; production does not end with a shadow
            rows = sum(job.batch.n for job in jobs)
            self._metrics.shadow_dropped.inc(rows)
            log.exception("%d rows were not scored by the shadows of %s", rows, first.live.model)

    def _gathered(self) -> list[ShadowJob]:
        """The next one, and what came meanwhile for the same shadows, as far as one call takes it."""
        jobs = [self._jobs.popleft()]
        live, rows = jobs[0].live, jobs[0].batch.n
        while self._jobs and self._jobs[0].live is live and (rows := rows + self._jobs[0].batch.n) <= SOON_ROWS:
            jobs.append(self._jobs.popleft())
        return jobs

    async def drain(self, seconds: float) -> None:
        """Finish what is queued, for at most `seconds`; the rest counts as dropped."""
        try:
            await asyncio.wait_for(self._none.wait(), seconds)
        except TimeoutError:
            self._metrics.shadow_dropped.inc(self.waiting_rows)
            log.warning("%d rows were dropped that still waited for a shadow", self.waiting_rows)

"""Shadows score after the answer has left. Bounded: what does not fit is dropped and counted, nobody waits."""

import asyncio
import logging
from typing import NamedTuple

from flyball.gateway.answering import Answered, Answering
from flyball.gateway.batches import Batch
from flyball.gateway.capture_writer import Sink
from flyball.gateway.metrics import Metrics
from flyball.gateway.tables import LiveRoute, LiveTable, Tables

MAX_QUEUED_ROWS = 20_000
"""Some 20 MB of rows of ten columns: a slow shadow may lag behind, it may not eat the memory (KServe 6167)."""
SOON_ROWS = 256
"""Behind more than these a job waits long enough for what can be made again to be worth dropping: five times the row's own size."""
GATHER_SECONDS = 0.1
"""A shadow waits for company, since nobody waits for it: ten calls a second instead of one a request. Each keeps the interpreter for some tenths of a
millisecond: fifty a second were more than one request in a hundred that met one."""
TURN_JOBS = 64
"""Dropped between two turns of the event loop."""

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
        self._answering = answering
        self._capture = capture
        self._tables = tables
        self._metrics = metrics
        self._queue: asyncio.Queue[ShadowJob] = asyncio.Queue()
        self._ahead: ShadowJob | None = None
        """Taken from the queue, and not for the call before."""
        self.waiting_rows = 0
        """Of the job that is being scored, too."""

    def offer(self, job: ShadowJob) -> None:
        """Take the job, or count its rows as dropped. Never waits."""
        if self.waiting_rows + job.batch.n > MAX_QUEUED_ROWS:
            self._metrics.shadow_dropped.inc(job.batch.n)
            return
        self._queue.put_nowait(job if self.waiting_rows < SOON_ROWS else job.light())
        self.waiting_rows += job.batch.n
        self._tables.hold(job.table)

    async def run(self) -> None:
        """Work until cancelled."""
        count = 0
        while True:
            jobs = [self._ahead or await self._queue.get()]
            self._ahead = None
            try:
                if jobs[0].table.retired:
                    # A slow shadow may be hours behind: it would go on scoring, and its table's models would stay, long after it was withdrawn.
                    self._metrics.shadow_dropped.inc(jobs[0].batch.n)
                    count += 1
                    if count % TURN_JOBS == 0:
                        await asyncio.sleep(0)
                    continue
                await asyncio.sleep(GATHER_SECONDS)
                self._gather(jobs)
                await self._score(jobs)
            finally:
                for job in jobs:
                    self.waiting_rows -= job.batch.n
                    self._tables.release(job.table)
                    self._queue.task_done()

    async def _score(self, jobs: list[ShadowJob]) -> None:
        first = jobs[0]
        try:
            records = await self._answering.shadow(first.live, [(job.batch, job.answered) for job in jobs], first.table.revision)
            if records:
                self._capture.hand_over(records)
        except Exception:  # ours to mend; production does not end with a shadow
            rows = sum(job.batch.n for job in jobs)
            self._metrics.shadow_dropped.inc(rows)
            log.exception("%d rows were not scored by the shadows of %s", rows, first.live.model)

    def _gather(self, jobs: list[ShadowJob]) -> None:
        """What came meanwhile for the same shadows, as far as one call takes it."""
        rows = jobs[0].batch.n
        while not self._queue.empty():
            following = self._queue.get_nowait()
            rows += following.batch.n
            if following.live is not jobs[0].live or rows > SOON_ROWS:
                self._ahead = following
                return
            jobs.append(following)

    async def drain(self, seconds: float) -> None:
        """Finish what is queued, for at most `seconds`; the rest counts as dropped."""
        try:
            await asyncio.wait_for(self._queue.join(), seconds)
        except TimeoutError:
            self._metrics.shadow_dropped.inc(self.waiting_rows)
            log.warning("%d rows were dropped that still waited for a shadow", self.waiting_rows)

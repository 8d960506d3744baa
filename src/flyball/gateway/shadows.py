"""Shadows score after the answer has left. Bounded: what does not fit is dropped and counted, nobody waits."""

import asyncio
from typing import NamedTuple

from flyball.gateway.answering import Answered, Answering
from flyball.gateway.batches import Batch
from flyball.gateway.capture_writer import Sink
from flyball.gateway.metrics import Metrics
from flyball.gateway.tables import LiveRoute, LiveTable, Tables

MAX_QUEUED_ROWS = 20_000
"""Some 20 MB of rows of forty columns: a slow shadow may lag behind, it may not eat the memory (KServe 6167)."""


class ShadowJob(NamedTuple):
    """A batch that was answered."""

    table: LiveTable
    live: LiveRoute
    batch: Batch
    answered: Answered


class Shadows:
    """The queue of one worker."""

    def __init__(self, answering: Answering, capture: Sink, tables: Tables, metrics: Metrics) -> None:
        self._answering = answering
        self._capture = capture
        self._tables = tables
        self._metrics = metrics
        self._queue: asyncio.Queue[ShadowJob] = asyncio.Queue()
        self._queued_rows = 0

    def offer(self, job: ShadowJob) -> None:
        """Take the job, or count its rows as dropped. Never waits."""
        if self._queued_rows + job.batch.n > MAX_QUEUED_ROWS:
            self._metrics.shadow_dropped.inc(job.batch.n)
            return
        self._queued_rows += job.batch.n
        self._tables.hold(job.table)
        self._queue.put_nowait(job)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            job = await self._queue.get()
            try:
                records = await self._answering.shadow(job.live, job.batch, job.answered, job.table.revision)
                if records:
                    self._capture.hand_over(records)
            finally:
                self._queued_rows -= job.batch.n
                self._tables.release(job.table)
                self._queue.task_done()

    async def drain(self, seconds: float) -> None:
        """Finish what is queued, for at most `seconds`; the rest counts as dropped."""
        try:
            await asyncio.wait_for(self._queue.join(), seconds)
        except TimeoutError:
            self._metrics.shadow_dropped.inc(self._queued_rows)

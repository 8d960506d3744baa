"""What waits for one model, and how much may. Each model has a queue of its own: one that is asked too much refuses, the others notice nothing."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flyball.errors import DeadlinePassed, Overloaded
from flyball.gateway.batches import Job
from flyball.gateway.deaths import Deaths
from flyball.gateway.pacing import GROWTH, Cost, Pace

MAX_WAIT_SECONDS = 1.0
"""A request that would wait longer than this, or than its own deadline, is refused at once: whoever waited has often gone by then."""
STANDING_SECONDS, STANDING_WAIT_SECONDS = 1.0, 0.15
"""A queue of the event loop that has not been empty for so long is no burst but overload: then no more may wait than its calls take 0.15 s for,
for reading, wording and refusals take as long again, and answers after a second are no good to most (Maurer, ACM Queue 13, 2015)."""
MAX_QUEUED_ROWS = 50_000
"""Whatever the estimate says: some 50 MB of rows of forty columns."""
MAX_WAITING_REQUESTS = 256
"""While a call beside the loop is made: as many as the largest call takes. A model that answers a thousand rows a second would otherwise let a thousand
requests wait within MAX_WAIT_SECONDS, and the worker's limit of all requests would refuse those of other models."""
MAX_BATCH_ROWS = 256
"""In one call beside the event loop: beyond this a model is hardly faster a row, and the first request waits for the last."""
CALL_SECONDS = 0.05
"""A call beside the event loop lasts so long where that makes no row dearer (`Cost.worth`). A model of 7 ms a row was given all that had come within its last
call, 140 rows in a second: their answers, worded one after the other, held up everybody else's for thirty milliseconds."""
LOOK_AGAIN, LOOK_SELDOM = 64, 4096
"""One call in so many is a larger one: what such calls took may have been bad luck, or be long past. Each look is followed by twice as many calls without."""
MAX_LARGE_WAITING = 16
"""Requests of thousands of rows that wait for one model: each holds its body, up to 16 MB as a rule."""
REFUSING = 0.35
"""Of the time that a batch on the loop took, refusals may take so much before the next: its rows take half as long again to be read, and their answers to be
worded, so more refusals than a worker can give leave it some four fifths of what it does. At 0.15 refusals of large requests could not keep up with five times
what a worker can answer: each waited a third of a second, and answers came after two."""
REFUSAL_SECONDS = 1.5e-4
"""Of one whose request was read."""
_LEARNED = 0.2
"""Weight of the newest call in the estimate of a row's time."""


class Queue:
    """Of one route, used on the event loop only. Each table has its own, since those who wait are answered by the units of the table in which they came."""

    def __init__(self, model: str, *, on_loop: bool = True) -> None:
        """`on_loop`: calls are short enough for the event loop, but for those of large requests."""
        self._model = model
        self.on_loop = on_loop
        self._jobs: list[Job] = []
        self.rows = 0
        """That wait."""
        self.busy_rows = 0
        """In the call that is being made beside the loop."""
        self.scheduled: asyncio.Handle | None = None
        """Its next batch, on the loop: one at a time. A second one would begin a call while the first is being made, and go on for ever beside it."""
        self.row_seconds = 0.0
        """As was learned so far."""
        self.others_seconds = 0.0
        """Of a call beside the loop, however many its rows: what it waited for others who ask the same models, slices of large requests say, or what it took
        to fail. A call of one row waits as long for them as one of two hundred."""
        self.cost = Cost()
        """Of calls beside the loop."""
        self._died = False
        """A model's process did in the latest one: the next waits until it stands again."""
        self.deaths = Deaths()
        self.call_rows = MAX_BATCH_ROWS
        """Of the next one, at most."""
        self._most = MAX_BATCH_ROWS
        """Rows that no process has died of."""
        self._calls, self._look_at = 0, LOOK_AGAIN
        """Beside the loop, and when one is larger."""
        self._usual = 0
        """Rows of a request, as those that waited last had."""
        self.allowance = 0.0
        """Seconds that refusals may still take before those who wait are answered again, however many others are to be refused."""
        self._empty_at = 0.0
        """When nothing was seen to wait last."""
        self._before: Queue | None = None
        """Of the routing table before, while something waits in it."""

    def go_on_from(self, before: "Queue") -> None:
        """Of the same models: how long their rows take is known, and what waits there goes before what comes."""
        self.row_seconds, self.others_seconds, self.cost = before.row_seconds, before.others_seconds, before.cost
        self.call_rows, self._most, self.deaths = before.call_rows, before._most, before.deaths  # noqa: SLF001 - of its own kind
        self._before = before if before.rows + before.busy_rows + before.ahead() else None

    def too_long(
        self, now: float, patience: float = MAX_WAIT_SECONDS, n_rows: int | None = None, coming: int = 0
    ) -> float | None:
        """Seconds of work before a request where that is more than `patience`, or where too much waits; None: there is room. Costs nothing, so it is
        asked before a body is read: a refusal must be cheaper than an answer. `n_rows`: None: as many as those that wait have, for a full
        queue lacks the last of a request's rows, and each would be read to be told so. `coming`: requests before this one that nobody has read yet."""
        if not self.rows:
            self._empty_at = now
        elif self.on_loop and not self.busy_rows and now - self._empty_at > STANDING_SECONDS:
            patience = min(patience, STANDING_WAIT_SECONDS)
        if self._jobs:
            self._usual = self.rows // len(self._jobs)
        waiting, more = self._waiting(), coming * self._usual
        wait = (waiting + more) * self.row_seconds + self.calls(more) * self.others_seconds
        if n_rows is None:
            n_rows = self._usual if self._jobs else 0
        crowded = self.busy_rows > 0 and len(self._jobs) + coming >= MAX_WAITING_REQUESTS
        full = wait > patience or crowded or self.rows + more + n_rows > MAX_QUEUED_ROWS
        return wait if full and (waiting or coming) else None

    def refusal(self, wait: float) -> Overloaded:
        """Of a request that would wait for so long."""
        return Overloaded(
            429,
            f"{self._waiting()} rows wait for {self._model} already, some {wait:.2g} s of work",
            retry_after=min(max(math.ceil(wait), 1), 60),
        )

    def check_room(self, now: float, patience: float = MAX_WAIT_SECONDS, n_rows: int | None = None) -> None:
        """Raises Overloaded, with when to try again, where a request would wait for too long."""
        wait = self.too_long(now, patience, n_rows)
        if wait is not None:
            raise self.refusal(wait)

    def _waiting(self) -> int:
        """Rows before a request that comes now."""
        waiting = self.rows + self.busy_rows
        return waiting if self._before is None else waiting + self.ahead()

    def calls(self, more: int = 0) -> int:
        """Beside the loop, that the rows that wait take, and so many more."""
        before = 0 if self._before is None else self._before.calls()
        return before + (self.busy_rows > 0) + math.ceil((self.rows + more) / self.call_rows)

    def admit(self, job: Job, now: float) -> None:
        """Take it, or raise Overloaded."""
        self.check_room(now, MAX_WAIT_SECONDS if job.until is None else min(job.until - now, MAX_WAIT_SECONDS), job.rows.n)
        job.admitted = now
        self._jobs.append(job)
        self.rows += job.rows.n

    def take(self, most_rows: int) -> list[Job]:
        """The next jobs, first come first served: at most so many rows, at least one job if there is any."""
        jobs, taken = self._jobs, 0
        if self.rows <= most_rows:
            self._jobs, self.rows = [], 0
            return jobs
        for count, job in enumerate(jobs):
            if count and taken + job.rows.n > most_rows:
                break
            taken += job.rows.n
        else:
            count = len(jobs)
        self._jobs, self.rows = jobs[count:], self.rows - taken
        return jobs[:count]

    def learn(self, n_rows: int, seconds: float, in_models: float | None = None, *, died: bool = False) -> None:
        """How long so many rows took; `in_models`: seconds of it, of a call beside the loop (0: all of it failed). `died`: a model's process did in it.
        What a call waited for a process to stand again is not learned: those that come may bring no row that kills."""
        waited, self._died = self._died or (died and bool(in_models)), died
        self.deaths.called(died=died)
        if waited:
            return
        if in_models is not None:
            self.others_seconds = _smoothed(self.others_seconds, max(seconds - in_models, 0.0))
            seconds = min(seconds, in_models)
        if in_models:
            self.cost.took(n_rows, in_models)
        if in_models != 0.0:
            self.row_seconds = _smoothed(self.row_seconds, seconds / n_rows)

    def resize(self, n_rows: int, *, beside_large: bool = False, died: bool = False) -> None:
        """Of the next call, after one of `n_rows`. `beside_large`: slices of large requests are between any two calls, so each is to take what there is.
        `died`: a process did of so many rows, and answered each of their requests alone."""
        self._calls += 1
        rows = self.cost.worth(CALL_SECONDS, MAX_BATCH_ROWS)
        if died:
            self._most = max(n_rows // 2, 1)
        elif self._calls >= self._look_at:
            self._look_at += min(self._look_at, LOOK_SELDOM)
            self._most = min(self._most * 2, MAX_BATCH_ROWS)
            rows *= GROWTH
        self.call_rows = min(MAX_BATCH_ROWS if beside_large else rows, self._most)

    def worked(self, seconds: float) -> None:
        """A batch was answered on the loop."""
        self.allowance = REFUSING * seconds

    def ahead(self) -> int:
        """Rows that wait in the queues before."""
        before = self._before
        if before is None:
            return 0
        ahead = before.rows + before.busy_rows + before.ahead()
        if not ahead:
            self._before = None
        return ahead


def _smoothed(known: float, new: float) -> float:
    return known + _LEARNED * (new - known) if known else new


class Turns:
    """Of the large requests of one model: one at a time, used on the event loop only."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._pace: tuple[list[str], Pace] | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being answered."""
        return self._lock.locked()

    def pace(self, fingerprints: list[str], fresh: Pace) -> Pace:
        """Of calls of these models: as the request before left it, or a `fresh` one."""
        if self._pace is None or self._pace[0] != fingerprints:
            self._pace = fingerprints, fresh
        return self._pace[1]

    @asynccontextmanager
    async def taken(self, until: float | None) -> AsyncIterator[None]:
        """Raises Overloaded at once, DeadlinePassed at `until` (on the loop's clock)."""
        if self._waiting >= MAX_LARGE_WAITING:
            raise Overloaded(429, f"{self._waiting} large requests wait for {self._model} already")
        self._waiting += 1
        try:
            async with asyncio.timeout_at(until):
                await self._lock.acquire()
        except TimeoutError:
            raise DeadlinePassed("The request's deadline passed while it waited for other large ones") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()

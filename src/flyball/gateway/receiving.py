"""Messages of gRPC while they come: how large one is nobody knows before all of it is here. So few may come at a time, and large ones are counted."""

import asyncio
from typing import Any

import grpc.aio

from flyball.errors import Overloaded
from flyball.gateway.app import MAX_HELD_BYTES
from flyball.gateway.freed import give_back_freed
from flyball.gateway.large import LARGE_BYTES
from flyball.gateway.metrics import Metrics

MIN_COMING = 4
"""At a time, however large each may be: one that is slow must not keep all others."""
PATIENCE_SECONDS = 1.0
"""Of the next one for its turn: a message that takes longer to come is a large one, or its sender has stopped, and gives way."""
MOST_TURNS = 5
"""Waited for; then so many come slowly that this one will not be here in time."""
GIVE_BACK_BYTES = 64 * 1024 * 1024
"""Of large messages that are done: what the C library keeps of them is given back when none is left."""
GIVE_BACK_SECONDS = 1.0
"""After the last one: others may follow."""


class Receiving:
    """Of one server. Half of what may be held is for those that come, half for large ones that are being answered."""

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._most_held = MAX_HELD_BYTES // 2
        self._turns = asyncio.Semaphore(max(MIN_COMING, self._most_held // max_bytes))
        self._metrics = metrics
        self._since: dict[asyncio.Task[Any], float] = {}
        """Whose message is coming, the first to begin first."""
        self._sent_away: set[asyncio.Task[Any]] = set()
        self._done_bytes = 0
        self._giving_back = False
        self.held_bytes = 0

    async def message(self, context: Any) -> bytes:
        """All of it; `done` is to be told of its size in the end. Raises Overloaded; CancelledError where nothing comes."""
        if self._turns.locked():
            await self._wait()
        else:
            await self._turns.acquire()
        task: Any = asyncio.current_task()
        self._since[task] = asyncio.get_running_loop().time()
        try:
            body = await context.read()
        except asyncio.CancelledError:
            if task not in self._sent_away:
                raise
            task.uncancel()
            raise self._overloaded("This message came slowly, and others waited") from None
        finally:
            del self._since[task]
            self._sent_away.discard(task)
            self._turns.release()
        if body is grpc.aio.EOF:
            raise asyncio.CancelledError  # too large, or its sender has gone: gRPC has told it, or nobody listens
        self._hold(len(body))
        return body  # type: ignore[no-any-return]

    def done(self, size: int) -> None:
        """A message of that size is needed no more."""
        if size < LARGE_BYTES:
            return
        self.held_bytes -= size
        self._done_bytes += size
        if not self.held_bytes and self._done_bytes >= GIVE_BACK_BYTES and not self._giving_back:
            self._giving_back = True
            asyncio.get_running_loop().call_later(GIVE_BACK_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._giving_back = False
        if not self.held_bytes and not self._since:  # else whoever is the last to be done
            self._done_bytes = 0
            asyncio.get_running_loop().run_in_executor(None, give_back_freed)

    def _hold(self, size: int) -> None:
        if size < LARGE_BYTES:
            return
        if self.held_bytes and self.held_bytes + size > self._most_held:
            self._done_bytes += size
            raise self._overloaded(f"Large messages of {self.held_bytes} bytes together are being answered already")
        self.held_bytes += size

    async def _wait(self) -> None:
        for _ in range(MOST_TURNS):
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._turns.acquire()
                return
            except TimeoutError:
                self._send_away()
        raise self._overloaded("Too many messages come slowly")

    def _send_away(self) -> None:
        """Of those that have been coming for too long the last: it has the least to lose."""
        late = asyncio.get_running_loop().time() - PATIENCE_SECONDS
        for task in reversed(self._since):
            if self._since[task] < late and task not in self._sent_away:
                self._sent_away.add(task)
                task.cancel()
                return

    def _overloaded(self, words: str) -> Overloaded:
        self._metrics.shed("", "bodies")
        return Overloaded(429, words)

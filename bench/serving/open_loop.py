"""Requests at a rate that does not ask how the server is doing: they come when they are due, as clients of a busy service do."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import uvloop

TICK_SECONDS = 0.001
BROKEN, UNSENT = 0, -1
"""In place of a status: the connection ended; all connections waited for an answer already."""


class Outcome(NamedTuple):
    status: int
    seconds: float
    """From sending to the whole answer."""
    late_seconds: float
    """How much later than due it was sent: what this client itself could not keep up with."""


class _Connection(asyncio.Protocol):
    def __init__(self, idle: "list[_Connection]", told: list[Outcome]) -> None:
        self._idle = idle
        self._told = told
        self._buffer = b""
        self._sent = self._due = 0.0
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._idle.append(self)

    def ask(self, request: bytes, due: float) -> None:
        self._waits, self._due, self._sent = True, due, time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]):
            return
        self._buffer = b""
        self._tell(int(head[9:12]))
        if b"connection: close" not in head.lower():
            self._idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it ended
        if self._waits:
            self._tell(BROKEN)
        if self in self._idle:
            self._idle.remove(self)

    def close(self) -> None:
        self._transport.close()

    def _tell(self, status: int) -> None:
        self._waits = False
        self._told.append(Outcome(status, time.perf_counter() - self._sent, self._sent - self._due))


def offer(port: int, requests: Sequence[bytes], rate: float, seconds: float, connections: int = 1024) -> list[Outcome]:
    """What became of `rate` requests a second; whatever is not answered two seconds after the last one is broken."""

    async def run() -> list[Outcome]:
        loop, told, idle, opened = asyncio.get_running_loop(), [], [], []
        for _ in range(connections):
            _, each = await loop.create_connection(lambda: _Connection(idle, told), "127.0.0.1", port)
            opened.append(each)
        begun, sent, count = time.perf_counter(), 0, int(rate * seconds)
        while sent < count:
            due_by_now = min(count, int((time.perf_counter() - begun) * rate) + 1)
            for number in range(sent, due_by_now):
                if idle:
                    idle.pop().ask(requests[number % len(requests)], begun + number / rate)
                else:
                    told.append(Outcome(UNSENT, 0.0, 0.0))
            sent = due_by_now
            await asyncio.sleep(TICK_SECONDS)
        until = time.perf_counter() + 2
        while len(told) < count and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        for each in opened:
            each.close()
        await asyncio.sleep(0.05)
        return told

    return uvloop.run(run())

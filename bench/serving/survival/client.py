"""Clients in a process of their own: `with Crowd(plan) as crowd: …` has them ask until the end; `crowd.outcome` is what each request was told.

Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share: what a client saw can be laid beside when a worker was killed.
"""

import asyncio
import os
import subprocess
import sys
import time
from array import array
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
import uvloop

BROKEN, UNSENT, TIMED_OUT, WRONG = 0, -1, -2, -3
"""In place of a status: the connection ended before the answer; no connection was free when it was due; no answer in time; an answer of 200 that
is not the one to this request, or not by one unit alone."""
REPOSITORY = Path(__file__).parents[3]
TICK_SECONDS = 0.001
RECONNECT_SECONDS = 0.01


Marks = np.ndarray[Any, np.dtype[np.bool_]]
"""One for each request."""


class Plan(msgspec.Struct, kw_only=True):
    """What is asked, by how many, how fast."""

    port: int
    token: str
    paths: tuple[str, ...] = ("/models/shop/predict",)
    """Asked in turn."""
    rows: tuple[str, ...]
    """JSON of single rows, taken in turn."""
    rows_a_request: int = 1
    prefix: str = "c"
    """Of the prediction ids: prefix, number of the request, row."""
    connections: int = 8
    rate: float | None = None
    """Requests a second, whatever the server does; None: each connection asks again when it was answered."""
    pause_seconds: float = 0.0
    """Mean time before it asks again."""
    seconds: float | None = None
    """None: until the crowd is left."""
    timeout_seconds: float = 30.0
    deadline_ms: int | None = None
    """Told to the server."""
    scores: dict[str, str] = {}
    """Unit → the score in its answers, as it is written; empty: any."""
    pure: bool = True
    """Each answer must be by one unit alone, which its header and all of its rows name."""
    retries: int = 0
    """How often a refused request is asked again at once, as an impatient client does."""


class Outcome:
    """One line a request that was sent (or was due and could not be)."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.units: list[str] = told["units"]
        self.begun = np.frombuffer(told["begun"], dtype=np.float64)
        self.ended = np.frombuffer(told["ended"], dtype=np.float64)
        self.late = np.frombuffer(told["late"], dtype=np.float64)
        """Seconds after it was due: what this client itself could not keep up with."""
        self.connected = np.frombuffer(told["connected"], dtype=np.float64)
        """When its connection began to be made."""
        self.status = np.frombuffer(told["status"], dtype=np.int16)
        self.unit = np.frombuffer(told["unit"], dtype=np.int16)
        """Index into `units`; -1: none was named."""
        self.number = np.frombuffer(told["number"], dtype=np.int64)
        self.retry_after = np.frombuffer(told["retry_after"], dtype=np.int8)
        self.refused_connections: int = told["refused_connections"]
        self.first_failure: str = told["first_failure"]
        self.prefix: str = told["prefix"]
        self.rows_a_request: int = told["rows_a_request"]

    @property
    def good(self) -> Marks:
        return self._with(200)

    @property
    def shed(self) -> Marks:
        return self._with(429, 503)

    @property
    def failed(self) -> Marks:
        """Sent, and not answered with 200."""
        return ~self._with(200, UNSENT)

    @property
    def failures(self) -> int:
        return int(self.failed.sum())

    @property
    def seconds(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        return self.ended - self.begun

    def _with(self, *statuses: int) -> Marks:
        return np.isin(self.status, statuses)

    def counts(self) -> dict[int, int]:
        values, counts = np.unique(self.status, return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}

    def quantile_ms(self, q: float, which: "np.ndarray[Any, Any] | None" = None) -> float:
        taken = self.seconds[self.good if which is None else which]
        return float(np.quantile(taken, q)) * 1e3 if len(taken) else float("nan")

    def answered_ids(self) -> list[str]:
        """Of every row that was answered."""
        return [
            f"{self.prefix}{number:012d}-{row}"
            for number in self.number[self.good].tolist()
            for row in range(self.rows_a_request)
        ]


class Crowd:
    """Asks from the moment that all connections stand."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.outcome: Outcome

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.serving.survival.client"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(self.plan) + b"\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != b"asking\n":
            raise RuntimeError("the clients did not come up")
        return self

    def wait(self) -> None:
        """For a plan that ends by itself."""
        self._finish()

    def __exit__(self, *_: object) -> None:
        if not hasattr(self, "outcome"):
            self._finish()

    def _finish(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self.plan.seconds is None:
            self._process.stdin.close()
        told = self._process.stdout.read()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self.outcome = Outcome(msgspec.msgpack.decode(told))


def ask(plan: Plan) -> Outcome:
    """A plan that ends by itself, to its end."""
    with Crowd(plan) as crowd:
        crowd.wait()
    return crowd.outcome


class Times(NamedTuple):
    """Of a request until it is answered; see `Outcome`."""

    connected: float
    begun: float
    late: float = 0.0


class _Book:
    """What is noted of all requests."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.begun, self.ended, self.late, self.connected = array("d"), array("d"), array("d"), array("d")
        self.status, self.unit = array("h"), array("h")
        self.number, self.retry_after = array("q"), array("b")
        self.units: dict[bytes, int] = {}
        self.refused_connections = 0
        self.first_failure = ""
        self.stopping = False
        self._next = 0
        self._heads = [self._head(path) for path in plan.paths]
        self._rows = [row.encode() for row in plan.rows]
        self._scores = {unit.encode(): b'"score":' + score.encode() + b"," for unit, score in plan.scores.items()}

    def _head(self, path: str) -> bytes:
        plan = self.plan
        deadline = "" if plan.deadline_ms is None else f"X-Flyball-Timeout-Ms: {plan.deadline_ms}\r\n"
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nAuthorization: Bearer {plan.token}\r\n"
            f"Content-Type: application/json\r\n{deadline}Content-Length: "
        ).encode()

    def request(self) -> tuple[int, bytes]:
        """The next one, with its number."""
        number, self._next = self._next, self._next + 1
        n, rows = self.plan.rows_a_request, self._rows
        ids = ",".join(f'"{self.plan.prefix}{number:012d}-{row}"' for row in range(n)).encode()
        taken = b",".join(rows[(number * n + row) % len(rows)] for row in range(n))
        body = b'{"rows":[' + taken + b'],"ids":[' + ids + b"]}"
        return number, self._heads[number % len(self._heads)] + str(len(body)).encode() + b"\r\n\r\n" + body

    def note(self, number: int, times: Times, status: int, *, unit: bytes = b"", retry_after: bool = False) -> None:
        self.number.append(number)
        self.connected.append(times.connected)
        self.begun.append(times.begun)
        self.ended.append(time.monotonic())
        self.late.append(times.late)
        self.status.append(status)
        self.unit.append(self.units.setdefault(unit, len(self.units)) if unit else -1)
        self.retry_after.append(retry_after)

    def judged(self, number: int, head: bytes, body: bytes) -> tuple[int, bytes]:
        """(status, unit)"""
        status, unit = int(head[9:12]), _header(head, b"x-flyball-unit: ")
        if status != 200:
            if not self.first_failure:
                self.first_failure = f"{head[:40]!r} {body[:300]!r}"
            return status, unit
        plan = self.plan
        same = _header(head, b"x-flyball-prediction-id: ") == f"{plan.prefix}{number:012d}-0".encode()
        if plan.pure:
            same = same and body.count(b'"unit":"' + unit + b'"') == plan.rows_a_request + 1
            same = same and body.count(self._scores.get(unit, b'"score":')) == plan.rows_a_request
        if not same and not self.first_failure:
            self.first_failure = f"to {number}: {head!r} {body[:300]!r}"
        return status if same else WRONG, unit

    def told(self) -> bytes:
        names = ("connected", "begun", "ended", "late", "status", "unit", "number", "retry_after")
        arrays = {name: getattr(self, name).tobytes() for name in names}
        more = {
            "units": [unit.decode() for unit in self.units],
            "refused_connections": self.refused_connections,
            "first_failure": self.first_failure,
            "prefix": self.plan.prefix,
            "rows_a_request": self.plan.rows_a_request,
        }
        return msgspec.msgpack.encode(arrays | more)


class _Connection(asyncio.Protocol):
    """One at a time; `free` is called when it may ask again, `lost` when it has ended."""

    def __init__(self, asking: "_Asking", connected: float) -> None:
        self._asking = asking
        self._book = asking.book
        self._buffer = b""
        self._waits = False
        self._number, self._tries = 0, 0
        self._connected = connected
        self._times = Times(connected, 0.0)
        self._request = b""
        self._closing = False
        self._lost = asking.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, due: float | None) -> None:
        self._number, self._request = self._book.request()
        self._tries = 0
        self._send(due)

    def _send(self, due: float | None) -> None:
        self._waits, begun = True, time.monotonic()
        self._times = Times(self._connected, begun, 0.0 if due is None else begun - due)
        self._transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        head = head.lower()
        if len(body) < int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]):
            return
        if not self._waits:
            raise RuntimeError("an answer that nobody asked for")
        status, unit = self._book.judged(self._number, head, body)
        self._buffer = b""
        self._end(status, unit, retry_after=b"\r\nretry-after: " in head)
        if b"\r\nconnection: close" in head:
            self._closing = True
            self._transport.close()
        elif status in (429, 503) and self._tries < self._book.plan.retries:
            self._tries += 1
            self._send(None)
        else:
            self._asking.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waits:
            if not self._book.first_failure:
                self._book.first_failure = f"the connection ended before the answer: {exc!r}"
            self._end(BROKEN)
        self._asking.lost(self)
        self._lost.set_result(None)

    def look(self, now: float) -> None:
        if self._waits and now - self._times.begun > self._book.plan.timeout_seconds:
            self._end(TIMED_OUT)
            self._transport.close()

    async def leave(self) -> None:
        """When it was answered."""
        while self._waits:
            await asyncio.sleep(TICK_SECONDS * 5)
        self._transport.close()
        await self._lost

    def _end(self, status: int, unit: bytes = b"", *, retry_after: bool = False) -> None:
        self._waits = False
        self._book.note(self._number, self._times, status, unit=unit, retry_after=retry_after)


class _Asking:
    """All connections of a plan."""

    def __init__(self, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.book = _Book(plan)
        self.open: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        self._draw = np.random.default_rng(3)
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self, stop: "asyncio.Future[None]") -> None:
        await asyncio.gather(*(self._connect() for _ in range(self.plan.connections)))
        print("asking", flush=True)
        if self.plan.seconds is not None:
            self.loop.call_later(self.plan.seconds, _set, stop)
        watch = self.loop.create_task(self._watch())
        if self.plan.rate is None:
            while self._idle:
                self._again(self._idle.popleft())
            await stop
        else:
            await self._offer(self.plan.rate, stop)
        self.book.stopping = True
        for each in self._connecting:
            each.cancel()
        await asyncio.gather(*(each.leave() for each in [*self.open]))
        watch.cancel()

    def free(self, connection: _Connection) -> None:
        if self.book.stopping:
            return
        if self.plan.rate is None:
            self._again(connection)
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        self.open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self.book.stopping:
            task = self.loop.create_task(self._reconnect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _again(self, connection: _Connection) -> None:
        if self.plan.pause_seconds:
            self.loop.call_later(self._draw.uniform(0, 2 * self.plan.pause_seconds), self._ask_if_open, connection)
        else:
            connection.ask(None)

    def _ask_if_open(self, connection: _Connection) -> None:
        if connection in self.open and not self.book.stopping:
            connection.ask(None)

    async def _connect(self) -> None:
        while True:
            now = time.monotonic()
            try:
                _, made = await self.loop.create_connection(partial(_Connection, self, now), "127.0.0.1", self.plan.port)
            except OSError:
                self.book.refused_connections += 1
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            self.open.add(made)
            self._idle.append(made)
            return

    async def _reconnect(self) -> None:
        await self._connect()
        if self.plan.rate is None and self._idle:
            self._again(self._idle.popleft())

    async def _offer(self, rate: float, stop: "asyncio.Future[None]") -> None:
        begun, sent = time.monotonic(), 0
        while not stop.done():
            due_by_now = int((time.monotonic() - begun) * rate) + 1
            for number in range(sent, due_by_now):
                if self._idle:
                    self._idle.pop().ask(begun + number / rate)
                else:
                    self.book.note(-1, Times(float("nan"), time.monotonic()), UNSENT)
            sent = due_by_now
            await asyncio.sleep(TICK_SECONDS)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            now = time.monotonic()
            for each in [*self.open]:
                each.look(now)


def _set(stop: "asyncio.Future[None]") -> None:
    if not stop.done():
        stop.set_result(None)


def _header(head: bytes, name: bytes) -> bytes:
    """Of a head in lower case; b"" where there is none."""
    return head.partition(b"\r\n" + name)[2].partition(b"\r\n")[0]


async def _run(plan: Plan) -> bytes:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()
    if plan.seconds is None:
        loop.add_reader(sys.stdin.fileno(), _set, stop)
    asking = _Asking(plan, loop)
    await asking.run(stop)
    return asking.book.told()


def _first_line() -> bytes:
    """Of stdin, and not a byte of what follows: the loop watches for its end."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(sys.stdin.fileno(), 1)
    return line


def main() -> None:
    plan = msgspec.json.decode(_first_line(), type=Plan)
    told = memoryview(uvloop.run(_run(plan)))
    while told:
        told = told[os.write(sys.stdout.fileno(), told) :]


if __name__ == "__main__":
    main()

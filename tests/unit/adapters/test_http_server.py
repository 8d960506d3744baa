"""Control's own server, over real sockets: what others offer with a request, what never ends, and its own end."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from paper_workspace import PaperWorkspace

from flyball.adapters.http_connections import Patience
from flyball.adapters.http_server import USUAL, serve
from flyball.web.app import app


class Served:
    """The control application on a port of its own."""

    def __init__(self, patience: Patience = USUAL, application: Any = None) -> None:
        self.workspace = PaperWorkspace()
        self.end = threading.Event()
        self._bound = socket.create_server(("127.0.0.1", 0))
        self.port = self._bound.getsockname()[1]
        self.thread = threading.Thread(target=serve, args=(application or app(self.workspace), self._bound, self.end, patience))
        self.thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def head(self, length: int, more: str = "") -> bytes:
        lines = [
            "POST /api/rollback HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Authorization: Bearer owner-token", "Content-Type: application/json",
            f"Content-Length: {length}", *([more] if more else []), "", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()


@contextmanager
def serving(patience: Patience, application: Any = None) -> Iterator[Served]:
    made = Served(patience, application)
    try:
        yield made
    finally:
        made.end.set()
        made.thread.join(30)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(USUAL) as made:
        yield made


ASKS = b"GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n"
"""Refused, and the connection stays."""
LARGE_BYTES = 30_000_000


async def large(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE_BYTES)]})
    await send({"type": "http.response.body", "body": b"x" * LARGE_BYTES})


BODY = b'{"reason": "worse since noon"}'
H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"


@pytest.mark.parametrize("later", [False, True], ids=["with its head", "a moment later"])
def test_an_order_that_offers_another_protocol_keeps_its_reason(served: Served, later: bool) -> None:
    with served.connect() as client:
        if later:
            client.sendall(served.head(len(BODY), H2C))
            time.sleep(0.2)
            client.sendall(BODY)
        else:
            client.sendall(served.head(len(BODY), H2C) + BODY)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert served.workspace.calls == [("rollback", "worse since noon", "user:owner")]


def test_a_head_is_not_read_without_end(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /health HTTP/1.1\r\n" + b"X-A: " + b"a" * 70_000)
        assert client.recv(65536).startswith(b"HTTP/1.1 4")


def test_a_connection_that_is_never_finished_keeps_no_server_from_ending(served: Served) -> None:
    with served.connect() as half_a_body, served.connect() as half_a_head, served.connect():
        half_a_body.sendall(served.head(len(BODY)) + BODY[:5])
        half_a_head.sendall(b"GET /health HTTP/1.1\r\n")
        time.sleep(0.5)
        began = time.monotonic()
        served.end.set()
        served.thread.join(20)
        assert not served.thread.is_alive()
        assert time.monotonic() - began < 9
    assert not served.workspace.calls


def answer(client: socket.socket) -> bytes:
    """Of the application, in JSON."""
    read = b""
    while not read.endswith(b"}"):
        more = client.recv(65536)
        assert more, "closed"
        read += more
    return read


def is_closed(client: socket.socket) -> bool:
    """By the server, within ten seconds."""
    with suppress(ConnectionResetError):
        return client.recv(65536) == b""
    return True


def test_who_sends_no_whole_head_is_closed_and_who_asks_now_and_then_is_not() -> None:
    with (
        serving(Patience(head_seconds=2.0)) as served,
        served.connect() as silent,
        served.connect() as half,
        served.connect() as asks,
    ):
        half.sendall(ASKS[:20])
        for _ in range(7):
            asks.sendall(ASKS)
            assert answer(asks).startswith(b"HTTP/1.1 4")
            time.sleep(0.4)
        half.settimeout(10)
        assert is_closed(silent)
        assert is_closed(half)


def test_an_answer_that_nobody_takes_does_not_stay() -> None:
    with serving(Patience(stalled_seconds=0.3), large) as served, served.connect() as client:
        client.sendall(ASKS)
        time.sleep(3.0)
        taken = 0
        with suppress(ConnectionResetError):
            while more := client.recv(1 << 20):
                taken += len(more)
        assert taken < LARGE_BYTES


def test_beyond_the_bound_who_has_been_silent_for_longest_makes_room() -> None:
    with serving(Patience(most=3)) as served, ExitStack() as held:
        clients = []
        for _ in range(5):
            clients.append(held.enter_context(served.connect()))
            time.sleep(0.02)
        clients[4].sendall(ASKS)
        assert answer(clients[4]).startswith(b"HTTP/1.1 4")
        assert is_closed(clients[0])
        assert is_closed(clients[1])
        clients[2].sendall(ASKS)
        assert answer(clients[2]).startswith(b"HTTP/1.1 4")


def test_who_sends_heads_without_their_bodies_keeps_nobody_out(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(Patience(most=3)) as served, ExitStack() as held:
        for _ in range(3):
            held.enter_context(served.connect()).sendall(served.head(len(BODY)))
            time.sleep(0.02)
        time.sleep(0.05)
        with served.connect() as asks:
            asks.sendall(ASKS)
            assert answer(asks).startswith(b"HTTP/1.1 4")
    assert not served.workspace.calls
    assert not capfd.readouterr().err


def test_who_takes_no_answer_keeps_nobody_out() -> None:
    with serving(Patience(most=2), large) as served, served.connect() as first, served.connect() as second:
        for each in (first, second):
            each.sendall(ASKS)
        time.sleep(2.0)
        with served.connect() as third:
            third.sendall(ASKS)
            assert third.recv(65536).startswith(b"HTTP/1.1 200")


def test_where_all_are_being_answered_one_more_is_refused() -> None:
    asked, go_on = threading.Semaphore(0), threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"  # it knows of no beginning and end of a server
        await receive()
        asked.release()
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with serving(Patience(most=2), slow) as served, served.connect() as first, served.connect() as second:
        for each in (first, second):
            each.sendall(served.head(len(BODY)) + BODY)
            assert asked.acquire(timeout=10)
        with served.connect() as third:
            assert is_closed(third)
        go_on.set()
        for each in (first, second):
            assert each.recv(65536).startswith(b"HTTP/1.1 200")


SERVES = """
import socket, threading
from flyball.adapters.http_server import serve

from starlette.applications import Starlette

print("ready", flush=True)
bound = socket.create_server(("127.0.0.1", 0))
serve(Starlette(), bound, threading.Event())
print("whole")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_to_end_comes_to_its_own_end(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVES], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.0)  # uvicorn does not say when it hears signals
        process.send_signal(number)
        assert (process.stdout.read().strip(), process.wait(20)) == ("whole", 0)

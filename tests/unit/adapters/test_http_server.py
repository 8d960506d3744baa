"""Control's own server, over real sockets: what others offer with a request, what never ends, and its own end."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from paper_workspace import PaperWorkspace

from flyball.adapters.http_server import serve
from flyball.web.app import app


class Served:
    """The control application on a port of its own."""

    def __init__(self) -> None:
        self.workspace = PaperWorkspace()
        self.end = threading.Event()
        self._bound = socket.create_server(("127.0.0.1", 0))
        self.port = self._bound.getsockname()[1]
        self.thread = threading.Thread(target=serve, args=(app(self.workspace), self._bound, self.end))
        self.thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def head(self, length: int, more: str = "") -> bytes:
        lines = [
            "POST /api/rollback HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Authorization: Bearer owner-token", "Content-Type: application/json",
            f"Content-Length: {length}", *([more] if more else []), "", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.end.set()
    made.thread.join(30)


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

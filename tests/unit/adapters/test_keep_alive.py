"""One connection for many requests; a closed one is opened again, a broken or slow one is an error and never a second request."""

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from flyball.adapters.keep_alive import FAILURES, KeepAlive


class Server:
    def __init__(self) -> None:
        self.connections, self.requests = 0, 0
        self.close, self.wait = False, 0.0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                server.requests += 1
                time.sleep(server.wait)
                self.send_response(200 if body != b"no" else 503)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = server.close

            def log_message(self, *_: object) -> None:
                return

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def client(self) -> KeepAlive:
        return KeepAlive("127.0.0.1", self.http.server_port, {"authorization": "Bearer x"})


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()
    made.thread.join()


def test_requests_share_a_connection_and_threads_do_not(server: Server) -> None:
    client = server.client
    answers = [client.ask("POST", "/x", timeout=5, body=b"%d" % number) for number in range(20)]
    assert [answer.body for answer in answers] == [b"%d" % number for number in range(20)]
    assert server.connections == 1
    other = threading.Thread(target=lambda: client.ask("POST", "/x", timeout=5, body=b"y"))
    other.start()
    other.join()
    assert (server.connections, server.requests) == (2, 21)
    client.close()


def test_a_refusal_is_an_answer(server: Server) -> None:
    client = server.client
    answer = client.ask("POST", "/x", timeout=5, body=b"no")
    assert (answer.status, answer.is_success, answer.text) == (503, False, "no")
    client.close()


def test_a_connection_that_the_other_side_has_closed_is_opened_again(server: Server) -> None:
    client = server.client
    server.close = True
    for _ in range(3):
        assert client.ask("POST", "/x", timeout=5, body=b"y").is_success
        time.sleep(0.05)
    assert (server.connections, server.requests) == (3, 3)
    client.close()


def test_one_that_is_slow_is_given_up_and_its_late_answer_answers_nothing_else(server: Server) -> None:
    client = server.client
    server.wait = 0.3
    with pytest.raises(TimeoutError):
        client.ask("POST", "/x", timeout=0.05, body=b"slow")
    server.wait = 0.0
    assert client.ask("POST", "/x", timeout=5, body=b"next").body == b"next"
    client.close()


def test_nobody_there_is_a_failure_of_those_that_are_named() -> None:
    with pytest.raises(FAILURES):
        KeepAlive("127.0.0.1", 1, {}).ask("GET", "/", timeout=1)

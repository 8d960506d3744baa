"""What comes on the wire, byte by byte, at a real gateway: each request is answered once, in its order, whatever else its head wishes for."""

import contextlib
import json
import re
import socket
import time

import psutil
import pytest
from gateway_rig import CLIENT, ROW, SIGNATURE, Rig, onnx_model, package, table

from flyball.records.unit import Format


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wire")
    rig = Rig(directory / "state")
    rig.publish(table(1, package(directory / "v1", Format.ONNX, onnx_model()[0], SIGNATURE)))
    yield rig.start()
    rig.close()


BODY = json.dumps({"rows": [ROW]}).encode()
UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


def asked(more="", body=BODY, path="/models/shop/predict", token=CLIENT):
    """(head, body) of a POST."""
    length = "" if "Transfer-Encoding" in more else f"Content-Length: {len(body)}\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    return f"{head}{more}{length}\r\n".encode(), body


def chunked(body):
    half = len(body) // 2
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (body[:half], body[half:], b""))


class Wire:
    """One connection."""

    def __init__(self, worker):
        self.socket = socket.create_connection(("127.0.0.1", worker.card["port"]), timeout=10)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *packets):
        for packet in packets:
            self.socket.sendall(packet)
            time.sleep(0.05)

    def answer(self):
        """(status, head, body) of the next one."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        size = int(re.search(rb"content-length: (\d+)", head)[1])
        while len(self.received) < size:
            self._more()
        body, self.received = self.received[:size], self.received[size:]
        return int(head[9:12]), head, body

    def silent(self):
        """Whether nothing more comes."""
        self.socket.settimeout(0.3)
        try:
            return not self.received and not self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10)

    def ended(self):
        """Whether the server closed, and said nothing more."""
        try:
            return not self.received and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self):
        data = self.socket.recv(65536)
        assert data, f"closed after {self.received!r}"
        self.received += data


def score(body):
    return json.loads(body)["predictions"][0]["score"]


PACKETS = {
    "one": lambda head, body: (head + body,),
    "head and body": lambda head, body: (head, body),
    "split inside the head": lambda head, body: (head[:20], head[20:210], head[210:] + body),
    "split inside the word": lambda head, body: (head[: head.index(b"h2c") + 1], head[head.index(b"h2c") + 1 :] + body[:9], body[9:]),
    "byte by byte": lambda head, body: (head[:-40], *(bytes([each]) for each in head[-40:] + body[:9]), body[9:]),
}  # fmt: skip


@pytest.mark.parametrize("packets", PACKETS)
@pytest.mark.parametrize("coding", ["", "Transfer-Encoding: chunked\r\n"])
def test_an_offer_of_http_2_is_not_taken_and_costs_the_request_nothing(worker, packets, coding):
    expected = worker.predict(ROW).json()["predictions"][0]["score"]
    body = chunked(BODY) if coding else BODY
    with Wire(worker) as wire:
        for _ in range(2):
            wire.send(*PACKETS[packets](*asked(UPGRADE + coding, body)))
            status, _, answered = wire.answer()
            assert (status, score(answered)) == (200, expected)
        wire.send(b"".join(asked()))
        assert wire.answer()[0] == 200
        assert wire.silent()


def test_what_lies_behind_an_offer_is_read_as_it_was_sent(worker):
    """A request within the body is none."""
    within = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Wire(worker) as wire:
        wire.send(
            b"".join((*asked(UPGRADE, within), *asked(UPGRADE), within, *asked("Connection: close, Upgrade\r\nUpgrade: h2c\r\n")))
        )
        assert [wire.answer()[0] for _ in range(4)] == [422, 200, 200, 200]
        assert wire.ended()


@pytest.mark.parametrize(
    "more",
    [
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Upgrade: a\r\nUPGRADE: h2c\r\n",
    ],
)
def test_other_offers_are_not_taken_either(worker, more):
    with Wire(worker) as wire:
        wire.send(
            b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" + more + b"\r\n", b"".join(asked())
        )
        assert [wire.answer()[0] for _ in range(2)] == [200, 200]
        assert wire.silent()


def test_an_offer_with_a_head_that_is_wrong_or_for_a_tunnel_is_refused(worker):
    length = b"Content-Length: 1\r\nContent-Length: 2\r\n"
    for head in (
        b"POST /labels HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + length,
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    ):
        with Wire(worker) as wire:
            wire.send(head + b"\r\n")
            assert wire.answer()[0] == 400
            assert wire.ended()


PROBE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_few_dozen_requests_at_once_are_answered_in_their_order(worker):
    with Wire(worker) as wire:
        for _ in range(3):
            wire.send(b"".join([PROBE, b"".join(asked()), *[PROBE] * 30, b"".join(asked(token="no"))]))
            assert [wire.answer()[0] for _ in range(33)] == [200] * 32 + [401]
        assert wire.silent()


@pytest.mark.parametrize("request_of", [PROBE, b"POST /labels HTTP/1.1\r\n\r\n", b"".join(asked()), b"".join(asked(UPGRADE))])
def test_of_thousands_at_once_the_first_are_answered_and_the_connection_is_closed(worker, request_of):
    with Wire(worker) as wire:
        wire.send(request_of * 2000)
        heads = [wire.answer()[1] for _ in range(65)]
        assert [b"\r\nconnection: close" in head for head in heads] == [False] * 64 + [True]
        assert wire.ended()
    assert worker.predict(ROW).status_code == 200


def test_what_cannot_be_read_behind_a_request_does_not_take_its_answer(worker):
    with Wire(worker) as wire:
        wire.send(b"".join(asked()) + b"nonsense\r\n\r\n")
        status, head, _ = wire.answer()
        assert (status, b"\r\nconnection: close" in head) == (200, True)
        assert wire.ended()


def memory(worker):
    return psutil.Process(worker.process.pid).memory_info().rss


def test_a_stranger_who_asks_faster_than_anybody_could_answer_takes_no_memory(worker):
    before = memory(worker)
    with Wire(worker) as wire:
        wire.socket.setblocking(False)
        until = time.monotonic() + 1.0
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < until and memory(worker) - before < 30_000_000:
                for use in (
                    lambda: wire.socket.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2000),
                    lambda: wire.socket.recv(1 << 20),
                ):
                    with contextlib.suppress(BlockingIOError):
                        use()
        assert memory(worker) - before < 10_000_000


@pytest.mark.parametrize("token", [CLIENT, "no"])
@pytest.mark.parametrize("piece", [b"a:b\r\n" * 1600, b"a" * 8000])
def test_trailers_without_an_end_are_given_up_before_they_fill_the_memory(worker, piece, token):
    with Wire(worker) as wire:
        head, _ = asked("Transfer-Encoding: chunked\r\n", token=token)
        wire.send(head + b"2\r\n{}\r\n0\r\na:")
        if token != CLIENT:
            assert wire.answer()[0] == 401
        try:
            for _ in range(20):
                wire.send(piece)
        except ConnectionError:
            return
        assert wire.ended()


def test_trailers_are_no_headers(worker):
    with Wire(worker) as wire:
        for _ in range(2):
            head, body = asked("Transfer-Encoding: chunked\r\nTrailer: x-flyball-timeout-ms\r\n", chunked(BODY))
            wire.send(head, body[:-2] + b"x-flyball-timeout-ms: soon\r\n\r\n")
            assert wire.answer()[0] == 200


@pytest.mark.parametrize("size", [1, 70, 300_000])
def test_a_large_body_is_read_whatever_its_chunks_and_though_its_answer_is_out(worker, size):
    body = b" " * 300_000 + BODY
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    with Wire(worker) as wire:
        for token, status in (("no", 401), (CLIENT, 200)):
            wire.socket.sendall(b"".join(asked("Transfer-Encoding: chunked\r\n", sent, token=token)))
            assert wire.answer()[0] == status

"""What comes on the wire, byte by byte, at a real gateway: each request is answered once, in its order, whatever else its head wishes for."""

import json
import re
import socket
import time

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

"""Clients that keep a connection and say nothing, send half a request, vanish, or never read: nothing of them stays. And the end of a worker
with hundreds of them."""

import json
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.bars import Bar
from bench.serving.survival import segments
from bench.serving.survival.client import Crowd
from bench.serving.survival.models import linear_unit
from bench.serving.survival.stand import CLIENT, ONE_ROW, Gateway, Stand
from flyball.records.routing import Route


@dataclass(frozen=True)
class Scale:
    kept: int = 500
    """Connections of clients that ask now and then."""
    odd: int = 100
    """Of each kind that misbehaves."""
    drains: int = 2
    patience_seconds: float = 120.0
    """For the odd ones to be closed; 0: not waited for."""


FULL, SHORT = Scale(), Scale(200, 20, 1, 0.0)


@dataclass
class Seen:
    answered: int = 0
    broken: int = 0
    """Accepted requests that were reset or left without an answer."""
    statuses: dict[int, int] = field(default_factory=dict)
    first_failure: str = ""
    not_captured: int = 0
    drain_seconds: list[float] = field(default_factory=list)
    """From SIGTERM to the end of the process, with kept and odd connections."""
    left: int = 0
    """Connections of odd clients that the worker still had after all its patience."""
    vanished: int = 0
    """Clients that went in the middle of a body, or before their answer."""
    captured_of_vanished: int = 0
    """Records of requests whose body never came whole: none can be."""


def measure(scale: Scale) -> Seen:
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="bench-connections-") as name, Stand(Path(name)) as stand:
        stand.publish(Route(model="shop", champion=linear_unit(stand.directory, 0)))
        gateway = stand.start()
        _leave_in_the_middle(stand, scale, seen)
        if scale.patience_seconds:
            _wait_for_the_odd(stand, gateway, scale, seen)
        with Crowd(stand.plan(connections=scale.kept, pause_seconds=0.5)) as crowd:
            time.sleep(1.5)
            for number in range(scale.drains):
                odd = _odd(stand, scale.odd)
                time.sleep(0.2)
                following = threading.Thread(target=stand.start, args=(f"next{number}",))
                begun = time.monotonic()
                gateway.terminate()
                following.start()
                gateway.process.wait(timeout=60)
                seen.drain_seconds.append(time.monotonic() - begun)
                following.join()
                for each in odd:
                    each.close()
                gateway = stand.newest
                time.sleep(1.0)
        told = crowd.outcome
        kept = {each for record in segments.read(stand.capture).predictions() for each in record["ids"]}
        seen.answered, seen.broken, seen.statuses = len(told.answered_ids()), told.failures, told.counts()
        seen.first_failure = told.first_failure
        seen.not_captured = len(set(told.answered_ids()) - kept)
        seen.captured_of_vanished = sum(each.startswith("v-") for each in kept)
    return seen


def bars(seen: Seen) -> list[Bar]:
    return [
        Bar(f"drained with hundreds of connections: failed of {seen.answered:,}", seen.broken, 0, least=False),
        Bar("… answered and not captured", seen.not_captured, 0, least=False),
        Bar("… ended after, at the latest", max(seen.drain_seconds), 30, least=False, unit=" s"),
        Bar(f"{seen.vanished} clients that vanished or fell silent: connections left", seen.left, 0, least=False),
        Bar("… predictions captured of bodies that never came whole", seen.captured_of_vanished, 0, least=False),
    ]


def _head(stand: Stand, length: int) -> bytes:
    return (
        f"POST /models/shop/predict HTTP/1.1\r\nHost: 127.0.0.1:{stand.port}\r\nAuthorization: Bearer {CLIENT}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _odd(stand: Stand, n: int) -> list[socket.socket]:
    """Of each kind n: silent, with half a head, with half a body, with an answer that is never read."""
    body = json.dumps({"rows": [json.loads(ONE_ROW)]}).encode()
    head = _head(stand, len(body))
    many = b'{"rows":[' + b",".join([ONE_ROW.encode()] * 2_000) + b"]}"
    unread = _head(stand, len(many)) + many
    opened: list[socket.socket] = []
    for said in (b"", head[:40], head + body[:20]):
        for _ in range(n):
            opened.append(socket.create_connection(("127.0.0.1", stand.port)))
            opened[-1].sendall(said)
    for _ in range(max(n // 20, 1)):
        each = socket.socket()
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the kernels must not take all of the answer
        each.connect(("127.0.0.1", stand.port))
        each.sendall(unread * 4)
        opened.append(each)
    return opened


def _leave_in_the_middle(stand: Stand, scale: Scale, seen: Seen) -> None:
    """Their prediction ids begin with v-: none may be captured."""
    for number in range(scale.odd):
        body = json.dumps({"rows": [json.loads(ONE_ROW)], "ids": [f"v-{number}"]}).encode()
        with socket.create_connection(("127.0.0.1", stand.port)) as each:
            each.sendall(_head(stand, len(body)) + body[:-10])
        seen.vanished += 1


def _wait_for_the_odd(stand: Stand, gateway: Gateway, scale: Scale, seen: Seen) -> None:
    odd = _odd(stand, scale.odd)
    seen.vanished += len(odd)
    until = time.monotonic() + scale.patience_seconds
    time.sleep(1.0)
    while gateway.connections(stand.port) and time.monotonic() < until:
        time.sleep(0.5)
    seen.left = gateway.connections(stand.port)
    for each in odd:
        each.close()

"""Refusals that are given by the head of a request: under five times what a worker can do, four of five requests are for nothing, and each must cost next to nothing."""

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from flyball.errors import FlyballError, Overloaded
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.inflating import INFLATED
from flyball.gateway.metrics import Metrics
from flyball.gateway.problems import JSON, Headers, Response, as_v2_reads, headers_of, problem_of
from flyball.gateway.queueing import Queue
from flyball.gateway.refusals import Refusals
from flyball.gateway.routes import MAX_REMEMBERED, Door

MAX_CROWDED = 256
"""Paths: models, in all their doors."""
CALM_SECONDS = 1.0
"""Without a refusal: then a path is forgotten. While it is crowded a thousand requests may come in one turn of the loop, and room for three is no reason to
read them all."""
TOLD_SECONDS = 0.05
"""How long the same words are given: how many rows wait changes from one request to the next, and nobody acts on that."""
_READ_AND_WRITTEN = 3.0
"""A refusal takes three times what it takes here: its request is read from the connection, and it is written there."""


class Rooms(Protocol):
    """Models, and how many requests they take."""

    def full(self, model: str, coming: int) -> tuple[Queue, float] | None:
        """What has no room beside so many that nobody has read yet, and for how long one more would wait. Raises FlyballError where it does not answer for
        another reason."""
        ...

    def refused(self, model: str, seconds: float) -> None:
        """Somebody was, and it took so long."""
        ...


class _Coming:
    """Requests of a model that were let in within this turn of the loop: nobody has read them yet, so no queue knows of them."""

    def __init__(self) -> None:
        self.count = 0

    def more(self) -> None:
        if not self.count:
            asyncio.get_running_loop().call_soon(self._turned)
        self.count += 1

    def _turned(self) -> None:
        self.count = 0


class _Crowd:
    """At a path."""

    def __init__(self, door: Door, model: str, coming: _Coming) -> None:
        self.door = door
        self.model = model
        self.coming = coming
        self.refused_at = time.perf_counter()
        self.told = b""
        self.told_at = 0.0


class Unread:
    """Of the public port. Knows where a request was refused for want of room, and refuses those that follow, the body passed over, until there is some."""

    def __init__(
        self, access: tuple[Neighbours, Tokens], counters: tuple[Metrics, Refusals], rooms: Rooms, max_body_bytes: int
    ) -> None:
        self._neighbours, self._tokens = access
        self._metrics, self._refusals = counters
        self._rooms = rooms
        self._max_body_bytes = max_body_bytes
        self._coming: dict[str, _Coming] = {}
        self.ended = False
        self.crowded: dict[bytes, _Crowd] = {}
        """By the path of a POST, as it was written. Nearly always empty."""

    def refused(self, scope: Mapping[str, Any], door: Door, model: str) -> None:
        """A request was, for want of room, by who had read it."""
        path: bytes = scope["raw_path"]
        if self.ended or path in self.crowded or len(path) > MAX_REMEMBERED:
            return
        if len(self.crowded) >= MAX_CROWDED:  # the first of those where nobody was refused for longest
            del self.crowded[min(self.crowded, key=lambda each: self.crowded[each].refused_at)]
        self.crowded[path] = _Crowd(door, model, self._coming.setdefault(model, _Coming()))

    def refusal(self, path: bytes, headers: Headers, more: Headers) -> bytes | None:
        """What is written to a POST there; None: it is to be read. Whoever may not ask, or asks for what cannot be answered, is told so by who reads it.
        `more`: headers of the server's own."""
        began, crowd = time.perf_counter(), self.crowded[path]
        if not self._is_plain(headers):
            return None
        try:
            self._tokens.permit(crowd.door, self._neighbours.check(headers))
            full = self._rooms.full(crowd.model, crowd.coming.count)
        except FlyballError:
            return None
        if full is None:
            if began - crowd.refused_at > CALM_SECONDS:
                del self.crowded[path]
            crowd.coming.more()
            return None
        crowd.refused_at = began
        if began - crowd.told_at > TOLD_SECONDS:
            queue, wait = full
            response = problem_of(queue.refusal(wait))
            crowd.told, crowd.told_at = written(as_v2_reads(response) if path.startswith(b"/v2") else response, more), began
        counters, door = self._metrics.requests, crowd.door.name
        counters.failed(door, crowd.model, Overloaded.__name__)
        self._refusals.unread(crowd.model)
        took = time.perf_counter() - began
        counters.answered(door, crowd.model, 429, took)
        self._rooms.refused(crowd.model, took * _READ_AND_WRITTEN)
        return crowd.told

    def _is_plain(self, headers: Headers) -> bool:
        """Whether it would be read but for the crowd: a body of JSON, of a length that is said and not too much."""
        length = kind = b""
        for name, value in headers:
            if name == b"content-length":
                length = value
            elif name == b"content-type":
                kind = value
            elif name == b"transfer-encoding" or (name == b"content-encoding" and value.lower() not in INFLATED):
                return False
        return kind in (b"", JSON) and length.isdigit() and int(length) <= self._max_body_bytes

    def end(self) -> None:
        """From now on answers close their connections, those that are under way, too."""
        self.ended = True
        self.crowded.clear()


def written(response: Response, more: Headers) -> bytes:
    """As it stands on the wire; `more`: headers of the server's own."""
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    head = [b"HTTP/1.1 %d %s" % (response.status, HTTPStatus(response.status).phrase.encode())]
    head += [b"%s: %s" % header for header in (*more, *headers_of(response, len(body)))]
    return b"\r\n".join([*head, b"", body])

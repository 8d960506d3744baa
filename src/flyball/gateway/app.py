"""The ASGI application: who may come in, what they bring, and an answer in every case."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from flyball.errors import FlyballError, HttpRefused, Overloaded
from flyball.gateway import routes, tracing
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.callers import Caller, CallerGone
from flyball.gateway.handlers import Request
from flyball.gateway.heads import body_began
from flyball.gateway.inflating import coding, inflated
from flyball.gateway.large import LARGE_BYTES
from flyball.gateway.metrics import Metrics
from flyball.gateway.openinference.wording import BINARY
from flyball.gateway.problems import Response, as_v2_reads, headers_of, problem, problem_of
from flyball.gateway.refusals import ASKED, Refusals
from flyball.gateway.unread import Unread
from flyball.gateway.validation import Body
from flyball.records.permissions import Permission

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Handler = Callable[[Request], Awaitable[Response]]

BODY_SECONDS = 30.0
"""For the whole body: a client that dribbles one byte after another must not hold a connection for ever."""

MAX_IN_FLIGHT = 2048
"""Requests being answered at once, of all models: four slow ones that hold as many as each may (queueing.py) leave room for the others. One that
is refused now costs less than one that is answered after its caller has gone."""

MAX_HELD_BYTES = 512 * 1024 * 1024
"""Of large bodies that are being read or answered, together: two thousand of them at their own limit would be more than a machine has."""

TIMEOUT_HEADERS = frozenset({b"x-flyball-timeout-ms", b"x-envoy-expected-rq-timeout-ms"})
"""How long the caller waits: ours, and what Envoy and the meshes on it set. (There is no standard header.)"""

log = logging.getLogger("flyball.gateway")


class Gateway:
    """One ASGI application; `admin` tells the loopback port from the public one."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        access: tuple[Neighbours, Tokens],
        counters: tuple[Metrics, Refusals],
        max_body_bytes: int,
    ) -> None:
        self._handlers = handlers
        self._neighbours, self._tokens = access
        metrics, self._refusals = counters
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._in_flight = 0
        metrics.watch_in_flight(lambda: self._in_flight)
        self._held_bytes = 0
        self._incidents = 0
        self.draining = False
        self.pending: Callable[[], int] = lambda: self._in_flight
        """Requests that have come and are not answered, those that nobody looked at yet included (the server knows)."""
        self.unread: Unread | None = None
        """Who is told of models without room."""

    def port(self, *, admin: bool) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """The application of one port."""

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self._serve(scope, receive, send, admin=admin)

        return application

    async def _serve(self, scope: Scope, receive: Receive, send: Send, *, admin: bool) -> None:
        begin = perf_counter()
        door_name, model = "none", ""
        body: Body = b""
        held, stranger = 0, False
        self._in_flight += 1
        try:
            authorization, stranger = self._authorization(scope, admin=admin)
            door, model, version = routes.find(scope["method"], scope["path"], admin=admin)
            door_name = door.name
            self._tokens.permit(door, authorization)
            if scope["query_string"]:
                _refuse_query(door_name, scope["query_string"])
            if scope["method"] == "POST" and self._in_flight > MAX_IN_FLIGHT and not door.admin:
                self._metrics.shed("", "in_flight")
                raise Overloaded(503, f"{self._in_flight} requests are being answered already")
            headers = scope["headers"]
            if scope["method"] not in {"GET", "HEAD"}:
                body = await self._read(headers, receive, binary=door.binary)
                held = len(body) if isinstance(body, bytearray) else 0  # its reader may empty it
            response = await self._handlers[door_name](Request(model, body, headers, self._caller(headers, receive), version))
        except Overloaded as full:
            response = problem_of(full)
            self._failed(door_name, model, full)
            if self.unread is not None and model and not version and door.permission is Permission.PREDICT:
                self.unread.refused(scope, door, model)
        except FlyballError as refused:
            response = problem_of(refused)
            self._failed(door_name, model, refused)
        except CallerGone:
            return
        except Exception as broken:
            self._incidents += 1
            log.exception("incident %d at the door %s", self._incidents, door_name, extra={"incident": self._incidents})
            self._failed(door_name, model, broken)
            response = problem(500, "The gateway failed; its log says more.", incident=self._incidents)
        finally:
            self._in_flight -= 1
            self._held_bytes -= held
        response = _as_read(response, scope["path"], stranger=stranger)
        self._metrics.requests.answered(door_name, model, response.status, perf_counter() - begin)
        await self._send(send, response)

    def _authorization(self, scope: Scope, *, admin: bool) -> tuple[bytes, bool]:
        """The header, and whether a stranger asks; raises HttpRefused. Who asks how we are need not know our name: a kubelet calls every container by its
        address. It is told 200 or 503, and not why, for a page that has our address under a name of its own could read that."""
        try:
            return self._neighbours.check(scope["headers"]), False
        except HttpRefused as refused:
            if refused.http_status != 421 or any(name == b"origin" for name, _ in scope["headers"]):
                raise
            if not routes.is_probe(scope["method"], scope["path"], admin=admin):
                raise
            return b"", True

    def _failed(self, door_name: str, model: str, error: Exception) -> None:
        """Count and trace an error by its class: there are as many as errors.py has."""
        kind = type(error).__name__ if isinstance(error, FlyballError) else "Unforeseen"
        self._metrics.requests.failed(door_name, model, kind)
        tracing.failed(kind)
        if door_name in ASKED:
            self._refusals.count(model, error)

    def _caller(self, headers: Sequence[tuple[bytes, bytes]], receive: Receive) -> Caller:
        """What is known of who asks; raises HttpRefused for a deadline that cannot be read."""
        until = None
        for name, value in headers:
            if name in TIMEOUT_HEADERS:
                if not value.isdigit() or len(value) > 9:
                    raise HttpRefused(400, f"{name.decode()}: {value[:40].decode('latin-1')!r}", expected="whole milliseconds")
                ends = asyncio.get_running_loop().time() + int(value) / 1000
                until = ends if until is None else min(until, ends)  # a mesh adds its own to the client's
        return Caller(until, receive, self.pending() <= 1, self.pending)

    async def _send(self, send: Send, response: Response) -> None:
        headers = headers_of(response, _size(response.body))
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if isinstance(response.body, bytes):
            await send({"type": "http.response.body", "body": response.body})
            return
        pieces = response.body[::-1]
        response.body.clear()
        while pieces:  # each is freed when it is sent: all at the end would take milliseconds
            await send({"type": "http.response.body", "body": pieces.pop(), "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    async def _read(self, headers: Sequence[tuple[bytes, bytes]], receive: Receive, *, binary: bool) -> Body:
        """Raises HttpRefused when it is not JSON (`binary`: or bytes behind JSON) or too large, compressed or inflated."""
        packed = None
        for name, value in headers:
            if name == b"content-type" and not _is_json(value) and not (binary and value == BINARY):
                raise HttpRefused(
                    415, f"Content-Type {value[:80].decode('latin-1')!r}", expected="application/json", next_step=_CURL
                )
            if name == b"content-encoding":
                if packed is not None:
                    raise HttpRefused(415, "Two Content-Encodings", expected="one")
                packed = coding(value)
            if name == b"content-length" and int(value) > self._max_body_bytes:
                self._too_large(int(value))
        body: Body = b""
        more = True
        if body_began(receive):  # nearly always: no timer is needed
            message = await receive()
            if message["type"] != "http.request":
                raise CallerGone
            body, more = message["body"], message.get("more_body", False)
        if more:
            body = await self._read_on(bytearray(body), receive)
        if len(body) > self._max_body_bytes:
            self._too_large(len(body))
        return body if packed is None else await self._inflated(body, packed)

    async def _inflated(self, body: Body, packed: bytes) -> Body:
        """Raises HttpRefused. It is held in place of what came."""
        came = len(body) if isinstance(body, bytearray) else 0
        whole, kept = bytearray(), False
        try:
            for piece in inflated(body, packed):
                whole += piece
                self._hold(len(piece), len(whole))
                await asyncio.sleep(0)
            kept = len(whole) >= LARGE_BYTES
            return whole if kept else bytes(whole)
        finally:
            self._held_bytes -= came if kept else came + len(whole)

    async def _read_on(self, body: bytearray, receive: Receive) -> Body:
        """All of a body that comes in pieces, or late. A large one counts as held from now on."""
        counted, kept = 0, False
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise CallerGone
                    body += message["body"]
                    more, counted = len(body) - counted, len(body)
                    self._hold(more, counted)
                    if not message.get("more_body"):
                        kept = counted >= LARGE_BYTES
                        return body if kept else bytes(body)  # a copy of a large one would double it
        except TimeoutError:
            raise HttpRefused(
                408, f"The body did not arrive within {BODY_SECONDS:g} s", headers=[("connection", "close")]
            ) from None
        finally:
            if not kept:
                self._held_bytes -= counted

    def _hold(self, more: int, size: int) -> None:
        """A body has grown by `more`, to `size`; counted whatever is raised: HttpRefused, Overloaded."""
        self._held_bytes += more
        if size > self._max_body_bytes:
            self._too_large(size)
        if self._held_bytes > MAX_HELD_BYTES:
            self._metrics.shed("", "bodies")
            raise Overloaded(503, f"Large bodies of {self._held_bytes} bytes together are being answered already")

    def _too_large(self, size: int) -> None:
        raise HttpRefused(
            413,
            f"A body of {size} bytes or more",
            expected=f"at most {self._max_body_bytes}",
            next_step="Send fewer rows in a request",
            headers=[("connection", "close")],  # the rest of the body is not read, so the connection cannot be used again
        )


_IN_THE_BODY = {
    "predict": 'options go into the body: {"rows": […], "explain": true}',
    "labels": 'all goes into the body: {"labels": [{"id": …, "label": …, "observed_at": …}], "model": …}',
}
"""By door: what is to be written in place of a query."""


def _as_read(response: Response, path: str, *, stranger: bool) -> Response:
    """As whoever asked at that path reads it."""
    if stranger and response.status == 503:
        response = problem(
            503, "This gateway does not serve now.", headers=[each for each in response.headers if each[0] == b"retry-after"]
        )
    return as_v2_reads(response) if path.startswith("/v2") else response


def _refuse_query(door: str, query: bytes) -> None:
    """Raises HttpRefused where no query has a meaning: `?explain=true` would be answered without attributions, and nobody told. Of Open
    Inference's doors they are passed over, as its protocol says nothing of them."""
    if door in _IN_THE_BODY:
        raise HttpRefused(400, f"The query ?{query[:80].decode('latin-1')}", expected="none", next_step=_IN_THE_BODY[door])


def _size(body: bytes | list[bytes]) -> int:
    return len(body) if isinstance(body, bytes) else sum(map(len, body))


_CURL = "curl: -H 'content-type: application/json', or --json"


def _is_json(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")

"""The heads of requests: how long they may be, how many may wait, what in them is not followed, and what is refused by them. Neither httptools nor uvicorn asks."""

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from flyball.gateway.problems import Response, problem
from flyball.gateway.unread import Unread, written

MAX_HEAD_BYTES = 64 * 1024
"""Four times what common proxies let through. Nobody has shown a token yet: what is held for a stranger must be small."""
MAX_WAITING = 64
"""Requests behind the one that is being answered, of one connection: four times what clients that pipeline send together."""

TOLD_SECONDS = 60.0
"""Between two lines about what is no request."""

log = logging.getLogger("flyball.gateway")

_CLOSING = ((b"connection", b"close"),)
_TOO_LARGE = problem(431, f"The head of a request may have at most {MAX_HEAD_BYTES // 1024} KiB", headers=_CLOSING)
_INVALID = problem(
    400,
    "This is no HTTP/1.1 request: expected a method in capital letters, a path and HTTP/1.1, then headers, then a body as they announce it",
    headers=_CLOSING,
)


class Invalid:
    """What comes to a port and is no request: counted, and told once a minute at most. A stranger without a token sends thousands in a second, and each would
    be a line of a log that nobody cuts."""

    def __init__(self, count: Callable[[], None], elapsed: Callable[[], float] = monotonic) -> None:
        self._count = count
        self._elapsed = elapsed
        self._untold = 0
        self._told_at: float | None = None

    def add(self) -> None:
        self._count()
        self._untold += 1
        now = self._elapsed()
        if self._told_at is None or now - self._told_at >= TOLD_SECONDS:
            log.warning("invalid HTTP requests were received: %d since this was last said", self._untold)
            self._untold, self._told_at = 0, now


class BoundedHeads(HttpToolsProtocol):
    """One connection."""

    invalid = Invalid(lambda: None)
    """Of the process, unless a port counts its own."""

    _head_bytes = 0
    """Received since the last byte of a body, or the end of a request: of a head, of trailers, of what frames the chunks of a body."""

    unread: Unread | None = None
    """Of the port."""
    _refusal: bytes | None = None
    """To the request that is coming in: its body is passed over."""
    refusals = 0
    """Given so."""
    _leaves = False
    """Once that is given."""

    @classmethod
    def counting(cls, invalid: Invalid) -> "type[BoundedHeads]":
        """The same, of a port that counts what is no request."""
        return type(cls.__name__, (cls,), {"invalid": invalid})

    @classmethod
    def refusing(cls, unread: Unread) -> "type[BoundedHeads]":
        """The same, of a port where requests may be refused by their heads."""
        return type(cls.__name__, (cls,), {"unread": unread})

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.pipeline = _Waiting(self.flow)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as wished:
                self._stay(memoryview(data)[wished.args[0] :])
        except httptools.HttpParserError:
            self._end()
            return
        scope: Any = self.scope
        if scope is None or ("method" in scope and not self.cycle.more_body):  # a whole request
            self._head_bytes = 0
        elif self._head_bytes > MAX_HEAD_BYTES:
            self._refuse()

    def on_headers_complete(self) -> None:
        if self.unread is not None and self.url in self.unread.crowded:
            self._refusal = self._refused(self.unread)
            if self._refusal is not None:
                return
        if self.timeout_keep_alive_task is not None:  # of a refusal within the same packet
            self._unset_keepalive_if_required()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refusal is None:
            super().on_message_complete()
            return
        self._head_bytes = 0
        self.refusals += 1
        refusal, self._refusal = self._refusal, None
        leaves = self._leaves or (self.unread is not None and self.unread.ended)
        self.transport.write(refusal.replace(b"\r\n", b"\r\nconnection: close\r\n", 1) if leaves else refusal)
        if leaves:
            self.transport.close()
        self.on_response_complete()

    @property
    def is_quiet(self) -> bool:
        """No request is being answered, and none comes in that is to be refused."""
        return self._refusal is None and (self.cycle is None or self.cycle.response_complete)

    @property
    def is_passed_over(self) -> bool:
        """A request comes in that is to be refused."""
        return self._refusal is not None

    def shutdown(self) -> None:
        if self._refusal is None:
            super().shutdown()
        self._leaves = True

    def _refused(self, unread: Unread) -> bytes | None:
        """What is written once its body has gone by. None: it is to be read, as all that is not as simple as can be: one behind another that is being
        answered, of a client that reads no answers, with wishes of its own."""
        parser = self.parser
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.flow.write_paused or self.expect_100_continue or parser.should_upgrade():
            return None
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        return unread.refusal(self.url, self.headers, self.server_state.default_headers)

    def on_chunk_header(self) -> None:
        self.headers = _NOWHERE

    def _refuse(self) -> None:
        """In words only where they cannot be taken for the answer of a request before this one, or follow its own."""
        scope: Any = self.scope
        if "method" not in scope and (self.cycle is None or self.cycle.response_complete):
            self._say(_TOO_LARGE)
        self.transport.close()

    def _say(self, response: Response) -> None:
        self.transport.write(written(response, self.server_state.default_headers))

    def _end(self) -> None:
        """Nothing that follows can be read: what came before is answered, and the last answer closes the connection."""
        last = self.pipeline[0][0] if self.pipeline else self.cycle
        if last is None or last.response_complete or last.more_body:
            self.invalid.add()
            self._say(_INVALID)
            self.transport.close()
            return
        self.cycle = last
        last.keep_alive = False
        self.parser = _Deaf()

    def _should_upgrade(self) -> bool:
        """Whether a head that was just read waits to be read again (`_stay`): asked only where httptools would go over to another protocol. A
        CONNECT goes its way to a 400."""
        return bool(self.parser.get_method() != b"CONNECT")

    def _stay(self, rest: memoryview) -> None:
        """Read on without the upgrade that a head wishes for: clients offer h2c with their first request (Java's and Spring's do), and who does not
        take it answers as ever (RFC 9110, 7.8). httptools would pass over the body, and take what comes late for a request.

        So the head is read again without that header, by a parser that has not seen the end of a message.
        """
        while True:
            head = self._plain_head()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            try:
                self.parser.feed_data(head)
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as wished:  # of a request behind this one
                rest = rest[wished.args[0] :]

    def _plain_head(self) -> bytes:
        parser = self.parser
        lines = [b"%s %s HTTP/%s" % (parser.get_method(), self.url, parser.get_http_version().encode())]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])


class _Waiting(deque[Any]):
    """Requests of a connection that wait for the one that is being answered, the newest first."""

    def __init__(self, flow: Any) -> None:
        super().__init__()
        self._flow = flow

    def appendleft(self, waiting: Any) -> None:
        if len(self) == MAX_WAITING:
            raise OverflowError  # the parser stops at once, and _end follows
        super().appendleft(waiting)

    def pop(self) -> Any:  # type: ignore[override]
        """uvicorn reads on after each answer: not before the last of these is begun."""
        waiting = super().pop()
        if self:
            self._flow.pause_reading()
        return waiting


class _Deaf:
    """In the place of the parser."""

    def feed_data(self, data: bytes) -> None:
        """What comes now is for nobody."""


class _Nowhere(list[Any]):
    """Where trailers go: no door takes them for headers, and a stranger may send any number."""

    def append(self, _: Any) -> None:
        """Nothing is kept."""


_NOWHERE = _Nowhere()


def body_began(receive: Any) -> bool:
    """Whether a byte of the body of `receive`, or its end, is there already; False: it is not, or nobody can tell."""
    cycle = getattr(receive, "__self__", None)
    return isinstance(cycle, RequestResponseCycle) and cycle.message_event.is_set()

"""The heads of requests: how long they may be, and what in them is not followed. Neither httptools nor uvicorn asks."""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024
"""Four times what common proxies let through. Nobody has shown a token yet: what is held for a stranger must be small."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_INVALID = "Invalid HTTP request received."


class BoundedHeads(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as wished:
                self._stay(memoryview(data)[wished.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning(_INVALID)
            self.send_400_response(_INVALID)
            return
        scope: Any = self.scope
        if scope is None or "method" in scope:  # a whole head, or its body
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

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


def body_began(receive: Any) -> bool:
    """Whether a byte of the body of `receive`, or its end, is there already; False: it is not, or nobody can tell."""
    cycle = getattr(receive, "__self__", None)
    return isinstance(cycle, RequestResponseCycle) and cycle.message_event.is_set()

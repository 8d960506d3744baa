"""Connections to a server of this machine, bounded in number and in silence: whoever opens them needs no token for it."""

import asyncio
from typing import NamedTuple

from uvicorn.protocols.http.h11_impl import H11Protocol


class Patience(NamedTuple):
    """With those who are connected."""

    head_seconds: float = 10.0
    """For the head of a request over the loopback, from the connection's beginning or the answer before. uvicorn times the silence between two requests
    only: who never sends a whole head would stay for ever."""
    stalled_seconds: float = 30.0
    """Without one byte of an answer being taken."""
    most: int = 100
    """A person's pages take six, and systems let a process have 256 files at the least: ticks need the others."""


class BoundedProtocol(H11Protocol):
    """One of so many at most. Where one more comes, the one goes that has sent no whole request, or taken nothing of its answer, for longest: who has
    something to ask says so at once. Where all requests are being worked on, the new one goes."""

    patience = Patience()
    since = 0.0
    """What it waits for is awaited since then, in the loop's seconds."""
    _unread = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.since = self.loop.time()
        if len(self.connections) > self.patience.most:
            waiting = [each for each in self.connections if isinstance(each, BoundedProtocol) and each.waits]
            min(waiting, key=lambda each: each.since).end()

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        super().on_response_complete()

    @property
    def is_silent(self) -> bool:
        """There is nothing to do for it: no request came yet, or the last one's answer is taken."""
        return (self.cycle is None or self.cycle.response_complete) and not self.transport.get_write_buffer_size()

    @property
    def waits(self) -> bool:
        """For its client, whom we need not wait for. A head alone costs nobody a token: bodies that never come would keep everybody else out, and so
        would answers of which nothing was taken since the last look."""
        if unread := self.transport.get_write_buffer_size():
            return unread == self._unread
        return self.is_silent or self.cycle.more_body

    def look(self) -> None:
        """Close it when it has waited for its client for too long."""
        now, unread = self.loop.time(), self.transport.get_write_buffer_size()
        if unread != self._unread:
            self._unread, self.since = unread, now
        awaited = self.patience.stalled_seconds if unread else self.patience.head_seconds
        if (unread or self.is_silent) and now - self.since > awaited:
            self.end()

    def end(self) -> None:
        self.connections.discard(self)  # others that come in this very turn are counted without it
        self.transport.abort()


def bounded(given: Patience) -> type[BoundedProtocol]:
    """The protocol for a server: uvicorn takes a class."""

    class Bounded(BoundedProtocol):
        patience = given

    return Bounded

"""Connections that nobody would miss: half a request for ever, an answer that is never read, silence when we are to end."""

import asyncio
import select
from typing import Any

import uvicorn

HEAD_SECONDS = 75.0
"""For the head of a request, from the connection's beginning or the answer before: as long as a silent connection is kept anyway. uvicorn times
the silence between two requests only: who never sent a whole head stayed for ever."""
STALLED_SECONDS = 30.0
"""Without one byte of an answer being taken: its reader has gone, and the answer would stay in memory."""
LOOK_SECONDS = 0.02
SETTLE_SECONDS = 1.0
"""A client that sends byte after byte is never silent."""


class Connections:
    """Those of one server. Looked at now and then; a request costs nothing."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        self._waiting: dict[Any, tuple[object, float]] = {}
        """Connection → what it waits for, and since when."""

    def look(self, now: float) -> None:
        """Close those that have waited for too long; `now`: seconds of one monotonic clock."""
        waiting: dict[Any, tuple[object, float]] = {}
        for each in self._server.server_state.connections:
            what, seconds = _awaited(each)
            if what is None:
                continue
            before, since = self._waiting.get(each, (None, now))
            if before != what:
                since = now
            if now - since > seconds:
                each.transport.abort()
            else:
                waiting[each] = what, since
        self._waiting = waiting

    async def leave(self, seconds: float) -> None:
        """Take no new connection, wait at most so long for each to come back (its answer tells it to go), then close the silent ones.

        One with bytes in the kernel is not silent: its request was accepted and is answered.
        """
        loop = asyncio.get_running_loop()
        for listener in self._server.servers:
            listener.close()
        until = loop.time() + seconds
        while self._server.server_state.connections and loop.time() < until:
            await asyncio.sleep(LOOK_SECONDS)
        while _close_silent(self._server) and loop.time() < until + SETTLE_SECONDS:
            await asyncio.sleep(0)  # what was readable is read in this turn


def _awaited(connection: Any) -> tuple[object, float]:
    """What of its client a connection waits for (None: nothing), and for how long it may."""
    cycle, transport = connection.cycle, connection.transport
    unread = transport.get_write_buffer_size()
    if unread:
        return (
            "reader",
            unread,
        ), STALLED_SECONDS  # also of an answer that is written, or of a connection that is closed when it is read
    if connection.is_passed_over:
        return ("body", connection.refusals), STALLED_SECONDS
    if not transport.is_closing() and connection.is_quiet and connection.timeout_keep_alive_task is None:
        return (
            "head",
            id(cycle),
        ), HEAD_SECONDS  # between two requests uvicorn's own timer runs, until the first byte of the next one
    return None, 0.0


def _close_silent(server: uvicorn.Server) -> bool:
    """Close who has no request under way and none in the kernel; whether there are some with one in the kernel."""
    connections: list[Any] = [*server.server_state.connections]
    idle = [each for each in connections if each.is_quiet and not each.transport.is_closing()]
    poller, found = select.poll(), {}
    for each in idle:
        descriptor = each.transport.get_extra_info("socket").fileno()
        if descriptor >= 0:
            found[descriptor] = each
            poller.register(descriptor, select.POLLIN)
    readable = {descriptor for descriptor, _ in poller.poll(0)} if found else set()
    for descriptor, each in found.items():
        if descriptor not in readable:
            each.transport.close()
    return bool(readable)

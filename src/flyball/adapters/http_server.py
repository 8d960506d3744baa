"""An ASGI application on a socket of this machine, until it is told to end."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn

from flyball.adapters.http_connections import BoundedProtocol, Patience, bounded

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOK_SECONDS = 0.2
ACCEPTED_AT_ONCE = 16
"""Each is a file of this process before it can be refused."""
WAITING = 1024
"""Connections that the kernel keeps for us, as the supervisor asked it to: where it keeps few, each further one is tried again after a second."""
GRACE_SECONDS = 5
"""For what is being answered when it is told to end: a connection that is never finished must not keep it for ever."""


USUAL = Patience()


def serve(app: "ASGIApp", bound: socket.socket, end: threading.Event, patience: Patience = USUAL) -> None:
    """Returns after SIGTERM, SIGINT or `end`: whoever called has more to end."""
    config = uvicorn.Config(
        app,
        http=bounded(
            patience
        ),  # h11: httptools passes over the body of a request that offers another protocol, and bounds no head
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks who the client says it is
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    asyncio.run(_serve(_Server(config), bound, end))


class _Server(uvicorn.Server):
    """uvicorn, which sends itself the signal once more when it has ended: that would kill this process in the midst of what it still has to end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(WAITING)  # asyncio has one number for both: it asked the kernel to keep no more than are accepted at once

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def _serve(server: uvicorn.Server, bound: socket.socket, end: threading.Event) -> None:
    async def watch() -> None:
        while not end.is_set() and not server.should_exit:
            await asyncio.sleep(LOOK_SECONDS)
            for each in [*server.server_state.connections]:
                if isinstance(each, BoundedProtocol):
                    each.look()
        server.should_exit = True

    watching = asyncio.create_task(watch())
    try:
        await server.serve([bound])
    finally:
        watching.cancel()

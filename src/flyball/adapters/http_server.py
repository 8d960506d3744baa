"""An ASGI application on a socket of this machine, until it is told to end."""

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

LOOK_SECONDS = 0.2


def serve(app: "ASGIApp", bound: socket.socket, end: threading.Event) -> None:
    """Returns after SIGTERM, SIGINT or `end`."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
    asyncio.run(_serve(server, bound, end))


async def _serve(server: "uvicorn.Server", bound: socket.socket, end: threading.Event) -> None:
    async def watch() -> None:
        while not end.is_set() and not server.should_exit:
            await asyncio.sleep(LOOK_SECONDS)
        server.should_exit = True

    watching = asyncio.create_task(watch())
    try:
        await server.serve([bound])
    finally:
        watching.cancel()

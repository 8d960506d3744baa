"""The end of a gRPC server whose clients never pause. grpc's own stop cancels whatever it has not looked at yet, and CANCELLED is nothing that a client
may send again: so at first new calls are refused, and connections on which none is being answered are closed, which clients are told as UNAVAILABLE."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator

DESCRIPTORS = "/dev/fd"
"""grpc has no word for its sockets; the system has."""
LOOK_SECONDS = 0.02


async def leave(port: int, busy: Callable[[], set[int]], seconds: float) -> None:
    """Take no new connection at `port`, and close each as soon as the client's port is not among those that are `busy`; at most so long. Nothing new may
    be begun meanwhile. Where the sockets cannot be seen, nothing is done."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while _close_idle(port, busy()) and loop.time() < until:
        await asyncio.sleep(LOOK_SECONDS)


def _close_idle(port: int, busy: set[int]) -> bool:
    """Whether some are left."""
    left = False
    for each in _sockets():
        with each:
            try:
                if each.type != socket.SOCK_STREAM or each.getsockname()[1] != port:
                    continue
                if not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and each.getpeername()[1] in busy:
                    left = True
                    continue
                each.shutdown(socket.SHUT_RDWR)  # of the connection itself: grpc, whose descriptor it is, sees its end
            except OSError:
                continue  # it is closed already
    return left


def _sockets() -> Iterator[socket.socket]:
    """Those of the Internet that this process has, each as a copy."""
    try:
        numbers = [int(each) for each in os.listdir(DESCRIPTORS)]
    except (OSError, ValueError):
        return
    for number in numbers:
        try:
            copy = os.dup(number)
        except OSError:
            continue
        try:
            found = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
            continue
        if found.family in (socket.AF_INET, socket.AF_INET6):
            yield found
        else:
            found.close()

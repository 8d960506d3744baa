"""Ports of this machine for those who write one down before anybody listens on it."""

import itertools
import os
import socket
from contextlib import suppress
from pathlib import Path

HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")
_drawn = itertools.count()


def free_ports(count: int) -> list[int]:
    """Nobody listens on them now, and whoever binds port 0 meanwhile is given none of them. Another process that draws draws elsewhere."""
    ports, found = _below_those_handed_out(), []
    while len(found) < count:
        port = ports[(os.getpid() * 61 + next(_drawn)) % len(ports)]
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found


def _below_those_handed_out() -> range:
    lowest = int(HANDED_OUT.read_text().split()[0]) if HANDED_OUT.exists() else 49_152
    top = min(lowest, 30_000) if lowest > 12_000 else 30_000
    return range(top - 10_000, top)

"""A worker process from its own side: no descriptor but its pipes, a memory limit, an end with the gateway's end."""

import os
import resource
from collections.abc import Callable
from typing import Any

import msgspec

from flyball.gateway.runtimes import pipe
from flyball.machine.parting import end_with_parent, leave

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class _Limits(msgspec.Struct, frozen=True):
    memory_bytes: int


def run(load: Callable[[bytes], Answer]) -> int:
    """Load what the first message orders, say `ready`, then answer until the gateway closes the pipe. What the code prints cannot reach the
    protocol; what it raises goes to the gateway in words."""
    incoming, outgoing = _own_the_pipes()
    order = pipe.receive(incoming)
    memory_bytes = msgspec.json.decode(order, type=_Limits).memory_bytes
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = load(order)
    except BaseException as failed:  # noqa: BLE001 - foreign code: whatever it raises (SystemExit too) goes to the gateway in words
        pipe.send(outgoing, msgspec.msgpack.encode(_in_words(failed)))
        return 1
    pipe.send(outgoing, msgspec.msgpack.encode({"ready": True}))
    while True:
        try:
            request = pipe.receive(incoming)
        except ConnectionError:
            leave()
        try:
            said = msgspec.msgpack.encode(answer(msgspec.msgpack.decode(request)))
        except Exception as failed:  # noqa: BLE001 - foreign code: the gateway is told and decides
            said = msgspec.msgpack.encode(_in_words(failed))
        pipe.send(outgoing, said)


def _in_words(failed: BaseException) -> dict[str, str]:
    return {"error": f"{type(failed).__name__}: {str(failed)[:300]}"}


def _own_the_pipes() -> tuple[int, int]:
    """Keep the pipes under other numbers: 0 and 1 become the null device, so that print() and input() of the model touch nothing."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return incoming, outgoing

"""What is large and cannot be read in pieces, looked at as a whole: beside the event loop, since to say what is wrong with ten megabytes takes a second."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from flyball.errors import Overloaded

T = TypeVar("T")


class Line(NamedTuple):
    """In which one is looked at after the other: each takes eight times its size, and they share the interpreter with the loop."""

    pool: ThreadPoolExecutor
    words: str
    """What waits, and behind what."""


BODIES = Line(ThreadPoolExecutor(1, "careful"), "This body waited {:g} s behind other large bodies that cannot be read in pieces")
"""Of REST: those that are not as they should be."""
MESSAGES = Line(ThreadPoolExecutor(1, "careful-grpc"), "This message waited {:g} s behind other large messages")
"""Of gRPC: each large one. They are as they should be, and wait for no body that is not."""
WAIT_SECONDS = 5.0
"""For its turn, behind those of any client and model: each of ten megabytes takes a second or two, and many may be sent. How many bytes wait is bounded
where they are read."""


async def carefully(look: Callable[..., T], *arguments: object, line: Line = BODIES) -> T:
    """What `look` says, or raises; Overloaded where its turn does not come in time. Whoever goes while it waits is not looked at."""
    call = line.pool.submit(look, *arguments)
    begun = asyncio.wrap_future(call)
    try:
        await asyncio.wait([begun], timeout=WAIT_SECONDS)
    except asyncio.CancelledError:
        call.cancel()
        raise
    if call.cancel():
        raise Overloaded(503, line.words.format(WAIT_SECONDS))
    return await begun

"""Large bodies that are not as they should be, looked at as a whole: beside the event loop, since to say what is wrong with ten megabytes takes a second."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from flyball.errors import Overloaded

T = TypeVar("T")

_one = ThreadPoolExecutor(1, thread_name_prefix="careful")
"""At a time: each takes eight times its body's size, and they share the interpreter with the loop."""
WAIT_SECONDS = 5.0
"""For its turn, behind those of any client and model: each of ten megabytes takes a second or two, and many may be sent. How many bytes wait is bounded
where they are read."""


async def carefully(look: Callable[..., T], *arguments: object) -> T:
    """What `look` says, or raises; Overloaded where its turn does not come in time. Whoever goes while it waits is not looked at."""
    call = _one.submit(look, *arguments)
    begun = asyncio.wrap_future(call)
    try:
        await asyncio.wait([begun], timeout=WAIT_SECONDS)
    except asyncio.CancelledError:
        call.cancel()
        raise
    if call.cancel():
        raise Overloaded(503, f"This body waited {WAIT_SECONDS:g} s behind other large bodies that cannot be read in pieces")
    return await begun

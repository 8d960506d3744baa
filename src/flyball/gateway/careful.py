"""Large bodies that are not as they should be, looked at as a whole: beside the event loop, since to say what is wrong with ten megabytes takes a second."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_one = ThreadPoolExecutor(1, thread_name_prefix="careful")
"""At a time: each takes eight times its body's size, and they share the interpreter with the loop."""


async def carefully(look: Callable[..., T], *arguments: object) -> T:
    """What `look` says, or raises."""
    return await asyncio.get_running_loop().run_in_executor(_one, look, *arguments)

"""Who asks: how long for, and whether they are still there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from flyball.errors import DeadlinePassed

T = TypeVar("T")


class Caller(NamedTuple):
    """What is known of who asks."""

    until: float | None = None
    """When it gives up, on the loop's clock; None: it did not say."""
    gone: Callable[[], Awaitable[object]] | None = None
    """Ends when it has gone; None: cannot be told."""
    alone: bool = False
    """No other request is being answered: there is nobody to share a call with."""
    pending: Callable[[], int] = lambda: 0
    """How many are being answered, this one included."""


NOBODY = Caller()


class CallerGone(ConnectionError):
    """Nobody is left to answer."""


async def patiently(
    answer: asyncio.Future[T], caller: Caller, what: str = "the model answered", asked: Callable[[], bool] = lambda: True
) -> T:
    """Wait no longer than the caller does; then it is cancelled. `asked`: whether a unit is by now, so that its answer or its failure is captured. Raises
    DeadlinePassed, CallerGone."""
    gone = asyncio.ensure_future(caller.gone()) if caller.gone is not None else None
    seconds = None if caller.until is None else max(caller.until - asyncio.get_running_loop().time(), 0.0)
    waited: list[asyncio.Future[Any]] = [answer] if gone is None else [answer, gone]
    try:
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if gone is not None and gone.done():
            raise CallerGone
        raise DeadlinePassed(f"The request's deadline passed before {what}", asked=asked())
    finally:
        for each in waited:
            each.cancel()


@asynccontextmanager
async def while_there(caller: Caller) -> AsyncIterator[None]:
    """What is awaited inside is cancelled when the caller goes. Raises CallerGone."""
    if caller.gone is None:
        yield
        return
    gone = asyncio.ensure_future(caller.gone())
    try:
        async with asyncio.timeout(None) as limit:

            def end(_: asyncio.Future[object]) -> None:
                with suppress(RuntimeError):  # it went in the moment in which all was done
                    limit.reschedule(0.0)

            gone.add_done_callback(end)
            try:
                yield
            finally:
                gone.remove_done_callback(end)
    except TimeoutError:
        raise CallerGone from None
    finally:
        gone.cancel()

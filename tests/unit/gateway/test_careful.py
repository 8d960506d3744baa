"""Claims about large bodies that are looked at beside the event loop: one at a time, and none waits for ever behind others."""

import asyncio
import threading

import pytest

from flyball.errors import Overloaded
from flyball.gateway import careful
from flyball.gateway.careful import BODIES, MESSAGES, carefully


def test_a_body_whose_turn_does_not_come_in_time_is_refused_and_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(careful, "WAIT_SECONDS", 0.02)
    seen: list[int] = []

    async def played() -> None:
        held = threading.Event()
        first = asyncio.ensure_future(carefully(held.wait, 5.0))
        await asyncio.sleep(0)
        try:
            with pytest.raises(Overloaded, match="other large bodies") as caught:
                await carefully(seen.append, 1)
            assert caught.value.http_status == 503
        finally:
            held.set()
        assert await first, "what was begun in time is not given up"
        await carefully(seen.append, 2)

    asyncio.run(played())
    assert seen == [2]


def test_a_body_whose_caller_has_gone_is_not_looked_at() -> None:
    seen: list[int] = []

    async def played() -> None:
        held = threading.Event()
        first = asyncio.ensure_future(carefully(held.wait, 5.0))
        await asyncio.sleep(0)
        gone = asyncio.ensure_future(carefully(seen.append, 1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        held.set()
        assert await first
        await carefully(seen.append, 2)

    asyncio.run(played())
    assert seen == [2]


def test_messages_wait_for_one_another_and_for_no_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(careful, "WAIT_SECONDS", 1.0)

    async def played() -> None:
        held = threading.Event()
        body = asyncio.ensure_future(carefully(held.wait, 30.0, line=BODIES))
        await asyncio.sleep(0)
        try:
            assert await carefully(str, 1, line=MESSAGES) == "1"
            message = asyncio.ensure_future(carefully(held.wait, 30.0, line=MESSAGES))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match=r"This message waited 1 s behind other large messages\."):
                await carefully(str, 2, line=MESSAGES)
        finally:
            held.set()
        assert await body
        assert await message

    asyncio.run(played())

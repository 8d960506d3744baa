"""Claims about gRPC's messages: few come at a time, large ones that are held are counted and given back, and who is slow gives way where others wait."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
import pytest
from silent_counters import counters

from flyball.errors import Overloaded
from flyball.gateway import receiving

SIZE = 200_000


class Call:
    """What its client sends comes when `sent` is set."""

    def __init__(self, message: object = bytes(SIZE), *, sent: bool = True) -> None:
        self.sent = asyncio.Event()
        self.began = False
        self._message = message
        if sent:
            self.sent.set()

    async def read(self) -> object:
        self.began = True
        await self.sent.wait()
        return self._message


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MAX_HELD_BYTES", 4 * SIZE)
    monkeypatch.setattr(receiving, "MIN_COMING", 2)
    monkeypatch.setattr(receiving, "PATIENCE_SECONDS", 0.02)


def run(claim: Callable[[receiving.Receiving], Awaitable[None]]) -> None:
    async def within() -> None:
        await claim(receiving.Receiving(SIZE, counters()[0]))

    asyncio.run(within())


@pytest.mark.usefixtures("bounded")
def test_large_messages_that_are_held_leave_less_room_and_small_ones_are_not_counted() -> None:
    async def claim(all_of: receiving.Receiving) -> None:
        for _ in range(2):
            assert len(await all_of.message(Call())) == SIZE
        with pytest.raises(Overloaded) as caught:
            await all_of.message(Call())
        assert caught.value.http_status == 429
        assert await all_of.message(Call(b"small")) == b"small"
        assert all_of.held_bytes == 2 * SIZE
        all_of.done(5)
        all_of.done(SIZE)
        await all_of.message(Call())
        all_of.done(SIZE)
        all_of.done(SIZE)
        assert all_of.held_bytes == 0

    run(claim)


@pytest.mark.usefixtures("bounded")
def test_few_messages_come_at_a_time_and_the_slow_give_way() -> None:
    async def claim(all_of: receiving.Receiving) -> None:
        calls = [Call(sent=False) for _ in range(2)]
        slow = [asyncio.create_task(all_of.message(each)) for each in calls]
        await asyncio.sleep(0.04)
        late = Call(b"late")
        waits = asyncio.create_task(all_of.message(late))
        await asyncio.sleep(0)
        assert not late.began
        assert await waits == b"late"
        with pytest.raises(Overloaded):
            await slow[1]  # the last of them
        calls[0].sent.set()
        assert len(await slow[0]) == SIZE
        assert await all_of.message(Call(b"next")) == b"next"

    run(claim)


@pytest.mark.usefixtures("bounded")
def test_a_turn_is_given_back_however_it_ends() -> None:
    async def claim(all_of: receiving.Receiving) -> None:
        for _ in range(3):
            with pytest.raises(asyncio.CancelledError):
                await all_of.message(Call(grpc.aio.EOF))
            gone = asyncio.create_task(all_of.message(Call(sent=False)))
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
        assert all_of.held_bytes == 0
        assert await all_of.message(Call(b"next")) == b"next"

    run(claim)


def test_memory_is_given_back_after_the_last_of_many_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bool] = []
    monkeypatch.setattr(receiving, "GIVE_BACK_BYTES", 3 * SIZE)
    monkeypatch.setattr(receiving, "GIVE_BACK_SECONDS", 0.0)
    monkeypatch.setattr(receiving, "give_back_freed", lambda: given.append(True))

    async def claim(all_of: receiving.Receiving) -> None:
        for _ in range(4):
            await all_of.message(Call())
        for _ in range(3):
            all_of.done(SIZE)
        await asyncio.sleep(0.02)
        assert not given
        all_of.done(SIZE)
        await asyncio.sleep(0.02)
        assert given == [True]

    run(claim)

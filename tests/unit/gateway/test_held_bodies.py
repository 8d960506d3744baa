"""Claims about large bodies: what all of them hold together is bounded, counted exactly, and given back however a request ends."""

import asyncio
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from silent_counters import counters

from flyball.errors import HttpRefused, Overloaded
from flyball.gateway import app
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.callers import CallerGone

PIECE = b" " * 100_000


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> app.Gateway:
    monkeypatch.setattr(app, "MAX_HELD_BYTES", 1_000_000)
    return app.Gateway({}, (Neighbours([]), Tokens(tmp_path, tell_path=False)), counters(), 900_000)


def read(gateway: app.Gateway, pieces: int, *, ends: str = "http.request") -> object:
    messages = [{"type": "http.request", "body": PIECE, "more_body": True}] * (pieces - 1)
    messages.append({"type": ends, "body": PIECE, "more_body": False})
    queue = iter(messages)

    async def receive() -> dict[str, object]:
        return next(queue)

    return asyncio.run(gateway._read_on(bytearray(), receive))


def test_large_bodies_that_are_held_leave_less_room_for_the_next(gateway: app.Gateway) -> None:
    assert len(read(gateway, 6)) == 600_000
    assert gateway._held_bytes == 600_000
    with pytest.raises(Overloaded) as caught:
        read(gateway, 5)
    assert caught.value.http_status == 503
    assert gateway._held_bytes == 600_000
    assert len(read(gateway, 4)) == 400_000


def test_whatever_is_not_kept_is_given_back(gateway: app.Gateway) -> None:
    assert isinstance(read(gateway, 1), bytes)
    with pytest.raises(CallerGone):
        read(gateway, 5, ends="http.disconnect")
    with pytest.raises(HttpRefused):
        read(gateway, 10)
    assert gateway._held_bytes == 0


def inflated(gateway: app.Gateway, body: bytes) -> object:
    return asyncio.run(gateway._inflated(body, b"gzip"))


def test_what_is_inflated_counts_while_it_grows_and_in_place_of_what_came(gateway: app.Gateway) -> None:
    drawn = np.random.default_rng(0).bytes(300_000)
    assert inflated(gateway, gzip.compress(drawn)) == drawn
    assert gateway._held_bytes == 300_000
    gateway._held_bytes = 0
    assert isinstance(inflated(gateway, gzip.compress(drawn[:1000])), bytes)
    with pytest.raises(HttpRefused) as caught:
        inflated(gateway, gzip.compress(b" " * 50_000_000))
    assert caught.value.http_status == 413
    gateway._held_bytes = 900_000
    with pytest.raises(Overloaded):
        inflated(gateway, gzip.compress(drawn))
    assert gateway._held_bytes == 900_000


def test_others_have_a_turn_while_a_body_is_inflated(gateway: app.Gateway) -> None:
    """Also of one that is nearly all empty blocks, and comes to nothing."""
    empty = zlib.compressobj(wbits=31)
    nothing = b"".join(empty.compress(b"") + empty.flush(zlib.Z_FULL_FLUSH) for _ in range(100_000)) + empty.flush()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both(body: bytes) -> int:
        nonlocal turns
        turns, beside = 0, asyncio.create_task(other())
        assert await gateway._inflated(body, b"gzip") == gzip.decompress(body)
        beside.cancel()
        return turns

    assert asyncio.run(both(gzip.compress(b" " * 800_000))) >= 6
    assert asyncio.run(both(nothing)) >= len(nothing) // 20_000

"""Claims about large bodies: what all of them hold together is bounded, counted exactly, and given back however a request ends."""

import asyncio
from pathlib import Path

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

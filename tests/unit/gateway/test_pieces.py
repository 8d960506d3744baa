"""Claims about large answers: cut into pieces they are the same bytes, and between two of them everybody else has a turn."""

import asyncio
from pathlib import Path

import pytest
from silent_counters import counters

from flyball.gateway import app
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.pieces import PIECE_BYTES, Pieces
from flyball.gateway.problems import Response

PARTS = [b"%d" % number * (number % 50) for number in range(20_000)]


@pytest.mark.parametrize("between", [b"", b","])
@pytest.mark.parametrize("n", [0, 1, 2, 20_000])
def test_pieces_are_what_was_added_in_writes_of_some_size(between: bytes, n: int) -> None:
    pieces = Pieces(between)
    for part in PARTS[:n]:
        pieces.add(part)
    taken = pieces.taken()
    assert b"".join(taken) == between.join(PARTS[:n])
    assert all(len(piece) >= PIECE_BYTES for piece in taken[:-1])
    assert b"" not in taken


def test_nothing_stands_before_the_first_part_and_an_empty_one_counts() -> None:
    pieces = Pieces(b",")
    for part in (b"", b"a", b""):
        pieces.add(part)
    assert b"".join(pieces.taken()) == b",a,"


def test_others_have_a_turn_between_the_pieces_of_a_large_answer(tmp_path: Path) -> None:
    gateway = app.Gateway({}, (Neighbours([]), Tokens(tmp_path, tell_path=False)), counters(), 1)
    told: list[bytes | str] = []

    async def send(message: app.Mapping[str, object]) -> None:
        if message["type"] == "http.response.body":
            told.append(message["body"])  # type: ignore[arg-type]

    async def other() -> None:
        while True:
            told.append("a turn")
            await asyncio.sleep(0)

    async def both() -> None:
        turns = asyncio.create_task(other())
        await gateway._send(send, Response(200, [b"a", b"b", b"c"]))
        turns.cancel()

    asyncio.run(both())
    assert told == [b"a", "a turn", b"b", "a turn", b"c", "a turn", b""]

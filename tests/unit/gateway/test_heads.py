"""A connection that does not come to its request is closed; one that is answered stays open."""

import asyncio

import pytest
import uvicorn

from flyball.gateway import heads

ASKED = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def application(_scope, _receive, send):
    await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answered(first: bytes, second: bytes) -> bytes:
    """What came until the connection ended, or until one answer was there."""
    config = uvicorn.Config(application, port=0, http=heads.BoundedHeads, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])
    writer.write(first)
    await asyncio.sleep(0.05)
    writer.write(second)
    try:
        return await asyncio.wait_for(reader.readuntil(b"ok"), 10)
    except asyncio.IncompleteReadError as ended:
        return ended.partial
    finally:
        writer.close()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nhost: loc", b"G"])
def test_a_head_that_does_not_end_in_time_ends_the_connection(monkeypatch, first):
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.2)
    assert asyncio.run(answered(first, b"")) == b""


@pytest.mark.parametrize("at", [0, 1, 20])
def test_a_head_in_pieces_is_answered_however_long_the_answer_takes(monkeypatch, at):
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.2)
    assert asyncio.run(answered(ASKED[:at], ASKED[at:])).endswith(b"ok")

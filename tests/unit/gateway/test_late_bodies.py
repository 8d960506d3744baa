"""Claims about bodies that come late, or never, at a real server: only the time that they have is shorter."""

import asyncio
import socket
from pathlib import Path

import pytest
import uvicorn
from silent_counters import counters

from flyball.gateway import app
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.heads import BoundedHeads
from flyball.gateway.problems import Response

TOKEN = "token-of-the-test"
HEAD = f"POST /labels HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 4\r\n\r\n".encode()
SECONDS = 0.3


async def echo(request):
    return Response(200, bytes(request.body))


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> app.Gateway:
    monkeypatch.setattr(app, "BODY_SECONDS", SECONDS)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o600)
    return app.Gateway({"labels": echo}, (Neighbours([]), Tokens(tmp_path, tell_path=False)), counters(), 900_000)


def served(gateway, story):
    """`story(port)` beside a running server."""

    async def run():
        listening = socket.create_server(("127.0.0.1", 0))
        application = gateway.port(admin=False)
        server = uvicorn.Server(uvicorn.Config(application, http=BoundedHeads, lifespan="off", log_config=None))
        serving = asyncio.create_task(server._serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout(60):
                await story(listening.getsockname()[1])
        finally:
            server.should_exit = server.force_exit = True
            await serving
            listening.close()

    asyncio.run(run())


async def pending(gateway, number):
    while gateway.pending() != number:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("begun", [b"", b"ab"])
def test_a_body_that_does_not_come_is_given_up_and_its_connection_closed(gateway, begun):
    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        await pending(gateway, 1)
        writer.write(begun)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer
        assert b"did not arrive within" in answer
        assert gateway.pending() == 0
        writer.close()

    served(gateway, story)


@pytest.mark.parametrize("packets", [(HEAD + b"abcd",), (HEAD, b"abcd"), (HEAD + b"ab", b"cd"), (HEAD, b"ab", b"cd")])
def test_a_body_that_comes_in_time_is_read_whole_however_it_is_cut(gateway, packets, monkeypatch):
    monkeypatch.setattr(app, "BODY_SECONDS", 100 * SECONDS)

    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            for packet in packets:
                writer.write(packet)
                await asyncio.sleep(SECONDS / 6)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(4) == b"abcd"
        writer.close()

    served(gateway, story)


def test_who_waits_for_leave_to_send_is_given_it_and_no_more_time(gateway):
    async def story(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()

    served(gateway, story)


def test_who_goes_before_the_body_is_not_waited_for(gateway, monkeypatch):
    monkeypatch.setattr(app, "BODY_SECONDS", 1000 * SECONDS)

    async def story(port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        await pending(gateway, 1)
        writer.close()
        await pending(gateway, 0)

    served(gateway, story)

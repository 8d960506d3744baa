"""Half-open connections and silent ends, at a real server: only the clock is an argument."""

import asyncio
import contextlib
import json
import socket

import pytest
import uvicorn

from flyball.gateway.connections import HEAD_SECONDS, STALLED_SECONDS, Connections
from flyball.gateway.heads import BoundedHeads, Invalid

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def application(scope, receive, send):
    size = 20_000_000 if scope["path"] == "/large" else 2
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(size).encode())]})
    await send({"type": "http.response.body", "body": b"x" * size})


def served(story, heads=BoundedHeads):
    """`story(port, connections)` beside a running server."""

    async def run():
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, http=heads, lifespan="off", log_config=None))
        serving = asyncio.create_task(server._serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            await story(listening.getsockname()[1], Connections(server), server)
        finally:
            server.should_exit = server.force_exit = True
            await serving
            listening.close()

    asyncio.run(run())


async def settled():
    await asyncio.sleep(0.1)


def test_who_never_sends_a_whole_head_is_closed_in_the_end_and_nobody_else():
    async def story(port, connections, server):
        silent = await asyncio.open_connection("127.0.0.1", port)
        half = await asyncio.open_connection("127.0.0.1", port)
        half[1].write(REQUEST[:20])
        kept = await asyncio.open_connection("127.0.0.1", port)
        kept[1].write(REQUEST)
        await kept[0].readuntil(b"\r\n\r\n")
        await settled()
        connections.look(1000.0)
        connections.look(1000.0 + HEAD_SECONDS)
        await settled()
        assert len(server.server_state.connections) == 3
        half[1].write(REQUEST[20:25])  # a byte now and then buys no time
        await settled()
        connections.look(1001.0 + HEAD_SECONDS)
        await settled()
        assert len(server.server_state.connections) == 1
        for reader, writer in (silent, half):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
        kept[1].write(REQUEST)
        assert (await kept[0].readuntil(b"\r\n\r\n")).startswith(b"xxHTTP/1.1 200")
        kept[1].close()

    served(story)


def test_what_is_no_request_is_counted_each_time_and_told_once_a_minute(caplog):
    counted, times = [], iter([100.0] * 200 + [159.9, 160.0])
    heads = BoundedHeads.counting(Invalid(lambda: counted.append(1), lambda: next(times)))

    async def sent(port, count):
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x16\x03\x01 tls\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
            writer.close()

    async def story(port, connections, server):
        await sent(port, 202)

    served(story, heads)
    assert len(counted) == 202
    said = [record.getMessage() for record in caplog.records if "invalid" in record.getMessage().lower()]
    assert said == [f"invalid HTTP requests were received: {n} since this was last said" for n in (1, 201)]


@pytest.mark.parametrize(("sent", "status"), [(REQUEST.replace(b"GET", b"post"), 400), (b"GET /" + b"a" * 70_000, 431)])
def test_what_cannot_be_read_is_refused_in_json(sent, status):
    async def story(port, connections, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        said = await reader.read()
        writer.close()
        head, _, body = said.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0].startswith(b"HTTP/1.1 %d " % status)
        assert {b"content-type: application/problem+json", b"connection: close", b"content-length: %d" % len(body)} <= set(lines)
        assert json.loads(body)["status"] == status

    served(story)


def test_the_time_of_a_head_begins_anew_with_each_request():
    async def story(port, connections, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(3):
            writer.write(REQUEST[:20])
            await settled()
            connections.look(number * HEAD_SECONDS)
            writer.write(REQUEST[20:])
            await reader.readuntil(b"\r\n\r\nxx")
        assert len(server.server_state.connections) == 1
        writer.close()

    served(story)


def test_an_answer_that_nobody_reads_does_not_stay():
    async def story(port, connections, server):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(REQUEST.replace(b"/ ", b"/large "))
        await settled()
        connections.look(0.0)
        connections.look(STALLED_SECONDS)
        await settled()
        assert len(server.server_state.connections) == 1
        connections.look(STALLED_SECONDS + 1)
        await settled()
        assert len(server.server_state.connections) == 0
        client.close()

    served(story)


def test_at_the_end_a_request_in_the_kernel_is_answered_and_the_silent_are_closed():
    async def story(port, connections, server):
        silent = await asyncio.open_connection("127.0.0.1", port)
        asking = socket.create_connection(("127.0.0.1", port))
        asking.setblocking(False)
        await settled()
        asking.send(REQUEST)  # into the kernel, and the server's loop has had no turn since
        await connections.leave(0.0)
        assert (await asyncio.get_running_loop().sock_recv(asking, 1000)).startswith(b"HTTP/1.1 200")
        assert await silent[0].read() == b""
        silent[1].close()
        asking.close()

    served(story)

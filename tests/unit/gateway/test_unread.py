"""Claims about requests that are refused by their heads, at a real server: only the model is a switch."""

import asyncio
import json
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from silent_counters import Kept

from flyball.errors import NotFound
from flyball.gateway import app, unread
from flyball.gateway.access import Neighbours, Tokens
from flyball.gateway.connections import STALLED_SECONDS, Connections
from flyball.gateway.heads import BoundedHeads
from flyball.gateway.metrics import Metrics
from flyball.gateway.problems import Response
from flyball.gateway.queueing import Queue
from flyball.gateway.refusals import Refusals
from flyball.gateway.unread import Unread
from flyball.records.captured import Refused

BODY = b'{"rows": []}'
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token-of-the-test\r\nContent-Length: %d\r\n\r\n"
PATH = b"/models/m/predict"


def request(path: bytes = PATH, more: bytes = b"", body: bytes = BODY) -> bytes:
    return (HEAD % (path, len(body))).replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n" if more else b"\r\n\r\n") + body


class World:
    """A model whose queue is full or is not, and the gateway before it."""

    def __init__(self, directory: Path) -> None:
        (directory / "token").write_text("token-of-the-test")
        (directory / "token").chmod(0o600)
        self.room, self.there, self.read, self.spent, self.waits = 0, True, 0, 0, 0.0
        access, self.kept = (Neighbours([]), Tokens(directory, tell_path=False)), Kept()
        table = SimpleNamespace(routes={}, absent={"m"}, revision=1)
        self.metrics, self.refusals = counted = Metrics(self.kept), Refusals(self.kept, lambda: table, lambda: 7)  # type: ignore[arg-type, return-value]
        handlers = {"predict": self._predict, "infer": self._predict, "labels": self._label}
        self.gateway = app.Gateway(handlers, access, counted, 900_000)
        self.unread = self.gateway.unread = Unread(access, counted, self, 900_000)

    def full(self, model: str, coming: int = 0) -> tuple[Queue, float] | None:
        if not self.there:
            raise NotFound("there is no such model")
        return None if self.room > coming else (Queue(model), 3.0)

    def refused(self, model: str, seconds: float) -> None:
        assert (model[0], 0 < seconds < 1) == ("m", True)
        self.spent += 1

    async def _predict(self, asked: app.Request) -> Response:
        self.read += 1
        full = self.full(asked.model)
        if full is not None:
            raise full[0].refusal(full[1])
        await asyncio.sleep(self.waits)
        return Response(200, bytes(asked.body))

    async def _label(self, asked: app.Request) -> Response:
        return Response(200, bytes(asked.body))

    def lives(self, story, heads=None) -> None:
        async def run():
            listening = socket.create_server(("127.0.0.1", 0))
            http = heads or BoundedHeads.refusing(self.unread)
            server = uvicorn.Server(uvicorn.Config(self.gateway.port(admin=False), http=http, lifespan="off", log_config=None))
            self.server = server
            serving = asyncio.create_task(server._serve([listening]))
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                async with asyncio.timeout(10):
                    reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
                    await story(reader, writer)
                    writer.close()
            finally:
                server.should_exit = server.force_exit = True
                await serving
                listening.close()

        asyncio.run(run())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
    headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, await reader.readexactly(int(headers.get(b"content-length", b"0")))


async def crowded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A request that is refused: the first one is read for it, and from then on the gateway knows."""
    writer.write(request())
    assert (await answer(reader))[0] == 429


def without_time(told: tuple[int, dict[bytes, bytes], bytes]) -> tuple[int, dict[bytes, bytes], bytes]:
    return told[0], {name: value for name, value in told[1].items() if name != b"date"}, told[2]


@pytest.mark.parametrize("path", [PATH, b"/v2/models/m/infer"])
def test_the_second_refusal_is_the_same_and_nobody_has_read_the_request(world: World, path: bytes) -> None:
    async def story(reader, writer):
        told = []
        for _ in range(3):
            writer.write(request(path))
            told.append(without_time(await answer(reader)))
        assert told[0] == told[1] == told[2]
        assert (told[0][0], told[0][1][b"retry-after"]) == (429, b"3")
        assert json.loads(told[0][2])["detail"].startswith("0 rows wait for m")
        assert (world.read, world.spent) == (1, 2)

    world.lives(story)
    assert b'status="429"} 3.0' in world.metrics.exposition()
    world.refusals.hand_over()
    assert [(each.at_us, each.model, each.refused) for each in world.kept.taken] == [(7, "m", [Refused("Overloaded", 429, 3, 3)])]


def test_once_there_is_room_requests_are_read_again_on_the_same_connection(world: World) -> None:
    async def story(reader, writer):
        for _ in range(2):
            await crowded(reader, writer)
        world.room = 1
        for _ in range(2):
            writer.write(request())
            assert (await answer(reader))[::2] == (200, BODY)
        assert world.read == 3

    world.lives(story)


def test_a_path_is_forgotten_once_nobody_was_refused_there_for_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        world.room = 1
        for calm, known in ((60.0, [PATH]), (0.0, [])):
            monkeypatch.setattr(unread, "CALM_SECONDS", calm)
            writer.write(request())
            await answer(reader)
            assert list(world.unread.crowded) == known

    world.lives(story)


def test_of_many_that_come_at_once_no_more_are_let_in_than_there_is_room_for(world: World) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        world.room, world.read = 3, 0
        port = writer.get_extra_info("peername")[1]
        more = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, each in more:
            each.write(request())
        time.sleep(0.05)  # all have come before the server looks
        statuses = [(await answer(each))[0] for each, _ in more[3:]]
        assert (statuses.count(429), world.read) == (17, 3)
        for _, each in more:
            each.close()

    world.lives(story)


@pytest.mark.parametrize(
    "packets",
    [
        (request()[:40], request()[40:]),
        (request()[:-4], request()[-4:]),
        (request(body=b"x" * 300_000),),
    ],
    ids=["head", "body", "long"],
)
def test_a_body_is_passed_over_however_it_comes_and_what_follows_is_a_request_of_its_own(world: World, packets) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        for _ in range(2):
            for packet in packets:
                writer.write(packet)
                await asyncio.sleep(0.05)
            assert (await answer(reader))[0] == 429
        world.room = 1
        writer.write(request())
        assert (await answer(reader))[::2] == (200, BODY)
        assert world.read == 2

    world.lives(story)


def test_several_at_once_are_answered_in_their_order(world: World) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        writer.write(request() * 3 + request(b"/models/m/labels"))
        assert [(await answer(reader))[0] for _ in range(4)] == [429, 429, 429, 200]
        world.room, world.waits = 1, 0.1
        writer.write(request())
        await asyncio.sleep(0.05)
        world.room = 0
        world.unread.crowded[PATH] = next(iter(app.routes.DOORS.values())), "m"
        writer.write(request())  # behind one that is being answered
        assert [(await answer(reader))[0] for _ in range(2)] == [200, 429]

    world.lives(story)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (request().replace(b"Bearer token", b"Bearer x"), 401),
        (request().replace(b"localhost", b"elsewhere"), 421),
        (request(more=b"Origin: http://elsewhere\r\n"), 403),
        (request().replace(b"POST", b"GET"), 405),
        (request(more=b"Content-Type: text/csv\r\n"), 415),
        (request(more=b"Content-Encoding: br\r\n"), 415),
        (request().replace(b"Content-Length: 12", b"Content-Length: 50000000000"), 413),
    ],
    ids=["token", "host", "origin", "method", "type", "encoding", "length"],
)
def test_who_may_not_ask_so_is_told_that_and_not_how_the_model_is(world: World, given: bytes, status: int) -> None:
    async def story(reader, writer):
        for _ in range(2):
            await crowded(reader, writer)
        writer.write(given)
        told = await answer(reader)
        assert (told[0], b"wait for" in told[2]) == (status, False)

    world.lives(story)


@pytest.mark.parametrize(
    "given",
    [
        request(more=b"Connection: close\r\n"),
        request().replace(b"HTTP/1.1", b"HTTP/1.0"),
        request().replace(b"Content-Length: 12", b"Transfer-Encoding: chunked").replace(BODY, b"3\r\nabc\r\n0\r\n\r\n"),
        request(b"/v2/models/m/versions/3/infer"),
    ],
    ids=["close", "1.0", "chunked", "version"],
)
def test_who_has_wishes_of_their_own_is_read_and_refused_as_ever(world: World, given: bytes) -> None:
    async def story(reader, writer):
        for _ in range(2):
            await crowded(reader, writer)
        writer.write(given)
        assert (await answer(reader))[0] == 429
        assert world.read == 2

    world.lives(story)


def test_who_wishes_for_http_2_is_refused_and_keeps_its_connection(world: World) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        writer.write(request(more=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"))
        writer.write(request())
        assert [(await answer(reader))[0] for _ in range(2)] == [429, 429]
        assert world.read == 1

    world.lives(story)


def test_who_waits_for_leave_to_send_is_not_left_waiting(world: World) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        writer.write(request(more=b"Expect: 100-continue\r\n")[: -len(BODY)])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(BODY)
        assert (await answer(reader))[0] == 429

    world.lives(story)


def test_a_client_that_reads_no_answers_is_not_answered_for_ever(world: World) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        world.read = 0
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(writer.get_extra_info("peername"))
        _, much = await asyncio.open_connection(sock=deaf)
        much.transport.pause_reading()
        while not world.read:
            much.write(request() * 100)
            await asyncio.sleep(0)
        much.transport.abort()

    world.lives(story)


def test_a_model_that_is_no_more_and_a_port_that_ends_are_told_by_who_reads(world: World) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        world.there = False
        writer.write(request())
        assert (await answer(reader))[0] == 404
        world.there = True
        writer.write(request())
        await answer(reader)
        world.unread.end()
        read = world.read
        for _ in range(2):
            await crowded(reader, writer)
        assert world.read == read + 2

    world.lives(story)


@pytest.mark.parametrize("ends", ["port", "server"])
def test_what_comes_in_when_a_port_ends_is_refused_to_its_end(world: World, ends: str) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        writer.write(request()[:-4])
        await asyncio.sleep(0.05)
        if ends == "port":
            world.unread.end()
            await Connections(world.server).leave(0.0)
        else:
            for each in list(world.server.server_state.connections):
                each.shutdown()
        writer.write(request()[-4:])
        status, headers, _ = await answer(reader)
        assert (status, headers[b"connection"]) == (429, b"close")
        assert await reader.read() == b""

    world.lives(story)


def test_a_body_that_stalls_ends_its_connection_and_one_refused_after_another_does_not(world: World) -> None:
    async def story(reader, writer):
        await crowded(reader, writer)
        looks = Connections(world.server)
        for at in range(0, 200, 10):
            writer.write(request()[:-4])
            await asyncio.sleep(0.01)
            looks.look(float(at))
            writer.write(request()[-4:])
            assert (await answer(reader))[0] == 429
        writer.write(request()[:-4])
        await asyncio.sleep(0.05)
        looks.look(1000.0)
        looks.look(1000.0 + STALLED_SECONDS + 1)
        assert await reader.read() == b""

    world.lives(story)


def test_paths_that_a_client_makes_up_are_not_remembered_without_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "MAX_CROWDED", 8)

    async def story(reader, writer):
        for number in range(12):
            dropped = b"/models/m%d/predict" % (number - 8)
            assert number < 8 or dropped in world.unread.crowded
            writer.write(request(b"/models/m%d/predict" % number))
            assert (await answer(reader))[0] == 429
        assert len(world.unread.crowded) == 8

    world.lives(story)

"""A closed-loop client that costs little: bytes prepared once, sent again as soon as an answer is whole, on connections that stay open."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import uvloop


class Load(NamedTuple):
    """What came of it."""

    seconds: tuple[float, ...]
    """How long each answer took, sorted."""
    elapsed_seconds: float
    failed: int
    """Connections that ended before their answer, and answers that are not 200."""
    first_failure: str

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.elapsed_seconds

    def quantile_ms(self, q: float) -> float:
        """Nearest rank; 0 when nothing was answered."""
        return self.seconds[min(int(q * len(self.seconds)), len(self.seconds) - 1)] * 1e3 if self.seconds else 0.0


class _Tally:
    def __init__(self, requests: Sequence[bytes], until: float) -> None:
        self.requests: Iterator[bytes] = itertools.cycle(requests)
        self.until = until
        self.seconds: list[float] = []
        self.failed = 0
        self.first_failure = ""

    def fail(self, words: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or words


class _Connection(asyncio.Protocol):
    """Asks until it is time to stop, or until the server closes the connection."""

    def __init__(self, tally: _Tally, ended: "asyncio.Future[None]") -> None:
        self._tally = tally
        self._ended = ended
        self._buffer = b""
        self._sent_at = 0.0
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        low = head.lower()
        if len(body) < int(low.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]):
            return
        now = time.perf_counter()
        if head.startswith(b"HTTP/1.1 200"):
            self._tally.seconds.append(now - self._sent_at)
        else:
            self._tally.fail(f"{head.split(bytes([13]))[0].decode()}: {body[:300].decode(errors='replace')}")
        self._buffer, self._waits = b"", False
        if now >= self._tally.until or b"connection: close" in low:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waits:
            self._tally.fail(f"the connection ended before the answer: {exc or 'closed by the server'}")
        if not self._ended.done():
            self._ended.set_result(None)

    def _send(self) -> None:
        self._waits, self._sent_at = True, time.perf_counter()
        self._transport.write(next(self._tally.requests))


def request_bytes(port: int, path: str, body: bytes, token: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Ask for `seconds` over `connections`; one that the server closes is opened anew."""
    done: Load = uvloop.run(_load(port, requests, connections, seconds))
    return done


async def _load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    begun = time.perf_counter()
    tally = _Tally(requests, begun + seconds)
    await asyncio.gather(*(_keep_asking(port, tally) for _ in range(connections)))
    return Load(tuple(sorted(tally.seconds)), time.perf_counter() - begun, tally.failed, tally.first_failure)


async def _keep_asking(port: int, tally: _Tally) -> None:
    loop = asyncio.get_running_loop()
    while time.perf_counter() < tally.until:
        ended = loop.create_future()
        try:
            await loop.create_connection(lambda ended=ended: _Connection(tally, ended), "127.0.0.1", port)  # type: ignore[misc]
        except OSError as error:
            tally.fail(f"no connection: {error}")
            await asyncio.sleep(0.01)
            continue
        await ended

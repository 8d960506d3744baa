"""A client that costs little: bytes prepared once, sent again as soon as an answer is whole, on connections that stay open."""

import asyncio
import time

import uvloop


class Caller(asyncio.Protocol):
    """One connection. Counts answers; anything but 200 ends the measurement."""

    def __init__(self, request: bytes, until: float, ended: "asyncio.Future[None]") -> None:
        self._request = request
        self._until = until
        self.ended = ended
        self._buffer = b""
        self._sent_at = 0.0
        self.seconds: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._end(RuntimeError(f"{head.decode()}\n{body.decode()}"))
            return
        now = time.perf_counter()
        self.seconds.append(now - self._sent_at)
        self._buffer = b""
        if now >= self._until:
            self._end(None)
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]

    def _end(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error) if error else self.ended.set_result(None)
        self._transport.close()


def request_bytes(port: int, path: str, body: bytes, token: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def call(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    """How long each answer took; together they were asked for during `seconds`."""

    async def run() -> list[float]:
        loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
        callers = [Caller(request, until, loop.create_future()) for _ in range(connections)]
        for caller in callers:
            await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
        await asyncio.gather(*(caller.ended for caller in callers))
        return [each for caller in callers for each in caller.seconds]

    return uvloop.run(run())

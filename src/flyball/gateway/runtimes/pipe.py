"""Length-prefixed messages over a pair of pipes: how the gateway and a code worker talk.

Raises ConnectionError when the other side is gone or speaks nonsense, TimeoutError when it did not answer in time.
"""

import os
import select
import struct
from time import monotonic

_LENGTH = struct.Struct("<I")
HEAD_BYTES = _LENGTH.size

_FIRST_BYTES = 65_536
"""As much as a pipe holds: most messages come whole."""
MAX_MESSAGE_BYTES = 512 * 1024 * 1024
"""A model that answers with more is broken; the gateway must not allocate what a worker asks for."""


def send(descriptor: int, payload: bytes, until: float | None = None) -> None:
    """Write one message; `until` is in monotonic seconds, None waits for ever. The descriptor is non-blocking if `until` is given."""
    view = memoryview(_LENGTH.pack(len(payload)) + payload)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            _wait(descriptor, until, write=True)
        except BrokenPipeError as gone:
            raise ConnectionError(f"the worker does not read: {gone.strerror}") from gone


class Message:
    """One that comes in pieces, behind which nothing may follow: each side writes when it was asked."""

    def __init__(self, limit: int = MAX_MESSAGE_BYTES) -> None:
        """`limit`: bytes of it, at most."""
        self._limit = limit
        self._parts = bytearray()
        self.wanted = _FIRST_BYTES
        """Bytes to read next. Each system call gives the interpreter away: most messages come whole with the first."""

    def add(self, part: bytes) -> bytes | None:
        """The message, if this was its end."""
        self._parts += part
        if len(self._parts) < HEAD_BYTES:
            return None
        (length,) = _LENGTH.unpack_from(self._parts)
        if length > self._limit:
            raise ConnectionError(f"a message of {length} bytes, more than the {self._limit} allowed")
        missing = HEAD_BYTES + length - len(self._parts)
        if missing < 0:
            raise ConnectionError(f"{-missing} bytes behind a message of {length}")
        self.wanted = min(missing, 1 << 20)
        return None if missing else bytes(memoryview(self._parts)[HEAD_BYTES:])


def receive(descriptor: int, until: float | None = None, limit: int = MAX_MESSAGE_BYTES) -> bytes:
    """Read one message of at most `limit` bytes."""
    message = Message(limit)
    while (whole := message.add(_some(descriptor, message.wanted, until))) is None:
        pass
    return whole


def _some(descriptor: int, size: int, until: float | None) -> bytes:
    """What is there to read, at least one byte."""
    while True:
        _wait(descriptor, until, write=False)
        try:
            part = os.read(descriptor, size)
        except BlockingIOError:
            continue
        if not part:
            raise ConnectionError("the other side closed the pipe")
        return part


def _wait(descriptor: int, until: float | None, *, write: bool) -> None:
    if until is None:
        return
    left = until - monotonic()
    poller = select.poll()  # not select.select: it cannot watch descriptors above 1,023
    poller.register(descriptor, select.POLLOUT if write else select.POLLIN)
    if left <= 0 or not poller.poll(left * 1000):
        raise TimeoutError("no answer within the deadline")

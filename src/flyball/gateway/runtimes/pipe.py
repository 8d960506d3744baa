"""Length-prefixed messages over a pair of pipes: how the gateway and a code worker talk.

Raises ConnectionError when the other side is gone or speaks nonsense, TimeoutError when it did not answer in time.
"""

import os
import select
import struct
from time import monotonic

_LENGTH = struct.Struct("<I")

MAX_MESSAGE_BYTES = 512 * 1024 * 1024
"""A model that answers with more is broken; the gateway must not allocate what a worker asks for."""


def send(descriptor: int, payload: bytes, until: float | None = None) -> None:
    """Write one message; `until` is in monotonic seconds, None waits for ever. The descriptor is non-blocking if `until` is given."""
    view = memoryview(_LENGTH.pack(len(payload)) + payload)
    while view:
        _wait(descriptor, until, write=True)
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            continue
        except BrokenPipeError as gone:
            raise ConnectionError(f"the worker does not read: {gone.strerror}") from gone


def receive(descriptor: int, until: float | None = None, limit: int = MAX_MESSAGE_BYTES) -> bytes:
    """Read one message of at most `limit` bytes."""
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size, until))
    if length > limit:
        raise ConnectionError(f"a message of {length} bytes, more than the {limit} allowed")
    return _exactly(descriptor, length, until)


def _exactly(descriptor: int, size: int, until: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        _wait(descriptor, until, write=False)
        try:
            part = os.read(descriptor, min(size - len(parts), 1 << 20))
        except BlockingIOError:
            continue
        if not part:
            raise ConnectionError("the other side closed the pipe")
        parts += part
    return bytes(parts)


def _wait(descriptor: int, until: float | None, *, write: bool) -> None:
    if until is None:
        return
    left = until - monotonic()
    poller = select.poll()  # not select.select: it cannot watch descriptors above 1,023
    poller.register(descriptor, select.POLLOUT if write else select.POLLIN)
    if left <= 0 or not poller.poll(left * 1000):
        raise TimeoutError("no answer within the deadline")

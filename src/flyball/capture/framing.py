"""How captured records lie in a segment, so that a reader can tell a complete record from what a killed writer left.

    segment = MAGIC frame*
    frame   = length (u32, little-endian) · CRC-32 of the payload (u32, little-endian) · payload

Bare lines would not do: `os.write` may write less than asked without an exception, and half a line can be a valid record.
"""

import struct
import zlib
from typing import NamedTuple

MAGIC = b"\x89FLYCAP1"
"""First bytes of a segment. Read as a length it is beyond MAX_PAYLOAD_BYTES, so it is never taken for a frame."""

MAX_PAYLOAD_BYTES = 256 * 1024 * 1024
"""A longer length is damage: the largest request body is far smaller, and a reader must not wait for 4 GB that never come."""

_HEADER = struct.Struct("<II")
HEADER_BYTES = _HEADER.size


class Unframed(NamedTuple):
    """What was found in a piece of a segment."""

    payloads: list[bytes]
    """Of the complete frames, in order."""
    consumed: int
    """Bytes up to the end of the last complete frame (the magic counts): where the next reading begins."""
    torn: int
    """Bytes after `consumed`: a frame that is still being written, or that never will be."""
    damaged: bool
    """True: what follows `consumed` can never become a frame (wrong checksum or impossible length), whatever is appended."""


def frame_bytes(header: bytes) -> int:
    """Of a frame that begins so, as its header says; 0: it is none."""
    if len(header) < HEADER_BYTES:
        return 0
    length, _ = _HEADER.unpack(header)
    return HEADER_BYTES + length if 0 < length <= MAX_PAYLOAD_BYTES else 0


def frame(payload: bytes) -> bytes:
    """The bytes to append to a segment. Raises ValueError for an empty or too long payload."""
    if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"a frame holds 1 to {MAX_PAYLOAD_BYTES} bytes, found {len(payload)}")
    return _HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def unframe(buffer: bytes) -> Unframed:
    """The complete frames at the beginning of `buffer`, which starts at a segment's beginning or where an earlier reading ended."""
    payloads: list[bytes] = []
    at = len(MAGIC) if buffer.startswith(MAGIC) else 0
    size = len(buffer)
    if at == 0 and MAGIC.startswith(buffer[: len(MAGIC)]):
        return Unframed([], 0, size, damaged=False)  # the magic itself is torn: nothing can be complete yet
    while size - at >= HEADER_BYTES:
        length, checksum = _HEADER.unpack_from(buffer, at)
        if not 0 < length <= MAX_PAYLOAD_BYTES:
            return Unframed(payloads, at, size - at, damaged=True)
        end = at + HEADER_BYTES + length
        if end > size:
            break
        payload = buffer[at + HEADER_BYTES : end]
        if zlib.crc32(payload) != checksum:
            return Unframed(payloads, at, size - at, damaged=True)
        payloads.append(payload)
        at = end
    return Unframed(payloads, at, size - at, damaged=False)

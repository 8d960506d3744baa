"""Bodies that come compressed, inflated piece by piece: a kilobyte may hold a megabyte, and the event loop has others to serve."""

import zlib
from collections.abc import Iterator

from flyball.errors import HttpRefused
from flyball.gateway.validation import Body

INFLATED = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
"""Content-Encoding → zlib's `wbits`. What HTTP calls deflate is zlib's own format (RFC 9110, 8.4.1)."""
PIECE_BYTES = 128 * 1024
"""Inflated in less than half a millisecond."""
_FED_BYTES = 16 * 1024
"""zlib copies what it has not got to yet, once for each piece."""


def coding(value: bytes) -> bytes | None:
    """The key of `INFLATED` that a Content-Encoding names; None: nothing is to be inflated. Raises HttpRefused 415."""
    found = value.strip().lower()
    if found == b"identity":
        return None
    if found not in INFLATED:
        raise HttpRefused(
            415,
            f"Content-Encoding {value[:80].decode('latin-1')!r}",
            expected="gzip, deflate or none",
            headers=[("accept-encoding", "gzip, deflate")],
        )
    return found


def inflated(body: Body, coding: bytes) -> Iterator[bytes]:
    """Pieces of `PIECE_BYTES` at most, some of them empty: bytes that say nothing take time, too. Whoever takes them stops when there are too many. Raises
    HttpRefused 400."""
    rest, stream, fed = memoryview(body), zlib.decompressobj(INFLATED[coding]), b""
    try:
        while fed or rest:
            if not fed:
                fed, rest = bytes(rest[:_FED_BYTES]), rest[_FED_BYTES:]
            yield stream.decompress(fed, PIECE_BYTES)
            fed = stream.unconsumed_tail or stream.unused_data
            if stream.eof and (fed or rest):
                raise zlib.error("bytes behind its end")
        while not stream.eof:  # what was taken in and did not fit into the last piece
            piece = stream.decompress(b"", PIECE_BYTES)
            if not piece:
                raise zlib.error("its end is missing")
            yield piece
    except zlib.error as broken:
        raise HttpRefused(400, f"A body that is no {coding.decode()}: {broken}", expected="as Content-Encoding says") from None

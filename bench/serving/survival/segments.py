"""An independent reader of captured segments: struct, zlib and msgpack over the raw bytes, none of Flyball's own code."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

MAGIC = b"\x89FLYCAP1"


class Captured(NamedTuple):
    records: list[dict[str, Any]]
    torn: int
    """Segments whose last frame is incomplete: what a killed writer may leave."""
    damaged: int
    """Frames whose checksum is wrong: never."""

    def predictions(self, *roles: str) -> Iterator[dict[str, Any]]:
        return (each for each in self.records if each["k"] == "p" and (not roles or each["role"] in roles))


def read(directory: Path) -> Captured:
    records: list[dict[str, Any]] = []
    torn = damaged = 0
    for path in sorted(directory.rglob("*.seg")):
        data = path.read_bytes()
        at = len(MAGIC)
        if not data.startswith(MAGIC):
            torn += len(data) < at
            damaged += len(data) >= at
            continue
        while at < len(data):
            if at + 8 > len(data):
                torn += 1
                break
            length, checksum = struct.unpack_from("<II", data, at)
            payload = data[at + 8 : at + 8 + length]
            if len(payload) < length:
                torn += 1
                break
            if zlib.crc32(payload) != checksum:
                damaged += 1
                break
            records.append(msgspec.msgpack.decode(payload))
            at += 8 + length
    return Captured(records, torn, damaged)

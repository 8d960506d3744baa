"""Tensors as bytes: little-endian, row after row, no padding; each string behind its length in four bytes."""

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from flyball.errors import Fault
from flyball.gateway.tensors.datatypes import BYTES, LAYOUT

Array = np.ndarray[Any, Any]

_LENGTH = struct.Struct("<I")


def decoded(datatype: str, raw: memoryview, n: int, path: str) -> Array | list[bytes] | Fault:
    """`n` values. Numbers are a view of `raw` (FP16 and BF16 as float32), strings are still bytes."""
    if datatype == BYTES:
        return _strings(bytes(raw), n, path)
    layout = LAYOUT[datatype]
    if len(raw) != n * layout.itemsize:
        return Fault(path, f"{len(raw)} bytes", f"{n * layout.itemsize}: {n} of {datatype}")
    values = np.frombuffer(raw, dtype=layout)
    if datatype == "BF16":
        return (values.astype("<u4") << 16).view("<f4")
    return values.astype("<f4") if datatype == "FP16" else values


def of_strings(texts: Iterable[bytes]) -> bytes:
    """Each behind its length."""
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def _strings(raw: bytes, n: int, path: str) -> list[bytes] | Fault:
    if len(raw) < n * _LENGTH.size:
        return Fault(
            path, f"{len(raw)} bytes", f"at least {n * _LENGTH.size}: {n} of BYTES, each behind its length in four bytes"
        )
    found: list[bytes] = []
    end, size_at = 0, _LENGTH.unpack_from
    try:
        for _ in range(n):
            begin = end + 4
            end = begin + size_at(raw, end)[0]
            found.append(raw[begin:end])
    except struct.error:
        end = len(raw) + 1  # a length reached beyond the end, and so no other one follows
    if end > len(raw):
        return Fault(path, f"{len(found)} lengths that reach beyond the {len(raw)} bytes", f"{n} of BYTES that fill them")
    if end < len(raw):
        return Fault(path, f"{len(raw) - end} bytes behind the last string", "none")
    return found

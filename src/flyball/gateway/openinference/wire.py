"""How many parts a message of gRPC has, told from its bytes: to make a million of them takes more than a second, in which nobody else has a turn."""

from collections.abc import Mapping
from typing import NamedTuple

from flyball.errors import Fault, RequestError
from flyball.gateway.openinference.asking import MAX_INPUTS, MAX_OUTPUTS

MAX_PARAMETERS = 100
MAX_DIMENSIONS = 8
MAX_TEXTS = 100_000
"""Of one tensor: as many as rows in a request."""
_MAX_LOOSE = 1_000_000
"""Numbers that come one by one, and not packed as they do from nearly everybody."""
_MAX_OTHER = 100
"""A field that comes once comes again where messages were joined, and what is not known is passed over."""
_DIMENSION_BYTES = 10

_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4, 3: 0, 4: 0}
"""Bytes by wire type. A group's fields count as if they stood outside of it: the protocol has none."""


class _Level(NamedTuple):
    """Fields by their number: what they are called, how many there may be, and what is within."""

    names: Mapping[int, str]
    most: Mapping[int, int]
    within: Mapping[int, "_Level"]


_CONTENTS = _Level({8: "bytes_contents"}, dict.fromkeys(range(1, 8), _MAX_LOOSE) | {8: MAX_TEXTS}, {})
_INPUT = _Level({3: "shape", 4: "parameters", 5: "contents"}, {3: MAX_DIMENSIONS, 4: MAX_PARAMETERS}, {5: _CONTENTS})
_OUTPUT = _Level({2: "parameters"}, {2: MAX_PARAMETERS}, {})
_REQUEST = _Level(
    {4: "parameters", 5: "inputs", 6: "outputs", 7: "raw_input_contents"},
    {4: MAX_PARAMETERS, 5: MAX_INPUTS, 6: MAX_OUTPUTS, 7: MAX_INPUTS},
    {5: _INPUT, 6: _OUTPUT},
)


def refuse_countless(body: bytes) -> None:
    """Raises RequestError for a request to infer that has more of something than any has. What cannot be read is left to whoever reads it all."""
    try:
        _walk(body, 0, len(body), _REQUEST, "")
    except IndexError:
        return


def _walk(body: bytes, at: int, end: int, level: _Level, path: str) -> None:
    counts: dict[int, int] = {}
    while at < end:
        tag, at = _varint(body, at)
        number, kind = tag >> 3, tag & 7
        count = counts[number] = counts.get(number, 0) + 1
        name = path + level.names.get(number, f"field {number}")
        if count > level.most.get(number, _MAX_OTHER):
            raise RequestError([Fault(name, f"more than {count - 1}", f"at most {count - 1}")])
        if kind == _LENGTH_DELIMITED:
            size, at = _varint(body, at)
            if number in level.within:
                _walk(body, at, min(at + size, end), level.within[number], f"{name}[{count - 1}].")
            elif level is _INPUT and number == 3 and size > MAX_DIMENSIONS * _DIMENSION_BYTES:
                raise RequestError([Fault(name, f"{size} bytes of it", f"at most {MAX_DIMENSIONS} dimensions")])
            at += size
        elif kind == 0:
            at = _varint(body, at)[1]
        else:
            at += _FIXED.get(kind, 0)


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends)"""
    byte = body[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while byte >= 0x80 and shift < 70:
        at += 1
        byte = body[at]
        value |= (byte & 0x7F) << shift
        shift += 7
    return value, at + 1

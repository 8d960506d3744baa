"""The protocol's datatypes: how they lie in memory and which columns take them."""

import math
from collections.abc import Callable

import numpy as np

from flyball.records.signature import ColumnType

BYTES = "BYTES"

LAYOUT: dict[str, np.dtype[np.generic]] = {
    name: np.dtype(code)
    for name, code in {
        "BOOL": "u1",  # as it comes: a byte that is neither 0 nor 1 must be seen, and numpy's bool would hide it
        "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
        "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
        "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
        "BF16": "<u2",  # numpy has none: the upper half of a float32
    }.items()
}  # fmt: skip
"""Little-endian, without padding. BYTES has no fixed size."""

FLOATING = frozenset({"FP16", "BF16", "FP32", "FP64"})
NUMERIC = frozenset(LAYOUT) - {"BOOL"}

WHOLE = {f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)} | {
    f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)
}
"""What each whole type can hold. Of bytes it says itself; of JSON's numbers it has to be asked."""

ACCEPTED = {
    ColumnType.NUMBER: NUMERIC,
    ColumnType.INTEGER: NUMERIC,
    ColumnType.BOOLEAN: FLOATING | {"BOOL"},
    ColumnType.CATEGORY: frozenset({BYTES}),
}
"""A boolean as a floating type is 0, 1 or NaN: binary BOOL cannot say that a value is missing."""

DECLARED = {ColumnType.NUMBER: "FP32", ColumnType.INTEGER: "INT64", ColumnType.BOOLEAN: "BOOL", ColumnType.CATEGORY: BYTES}
"""What the metadata call a column."""


def _in_fp16(least: float, most: float) -> tuple[float, float]:
    """To the nearest, as everybody rounds."""
    with np.errstate(over="ignore"):
        return _if_finite(float(np.float16(least)), least), _if_finite(float(np.float16(most)), most)


def _in_bf16(least: float, most: float) -> tuple[float, float]:
    """To both sides: some senders round a float32 to the nearest, others cut it (tritonclient)."""
    return _if_finite(_bf16(least, up=False), least), _if_finite(_bf16(most, up=True), most)


def _bf16(value: float, *, up: bool) -> float:
    with np.errstate(over="ignore"):
        bits = int(np.float32(value).view(np.uint32))
    cut = bits & 0xFFFF0000
    if cut != bits and (value > 0) == up:  # away from zero
        cut += 0x10000
    return float(np.uint32(cut).view(np.float32))


def _if_finite(limit: float, else_: float) -> float:
    """A limit beyond the type stays what it is: the type's infinity must not be within it."""
    return limit if math.isfinite(limit) else else_


NARROW: dict[str, Callable[[float, float], tuple[float, float]]] = {"FP16": _in_fp16, "BF16": _in_bf16}
"""Types that numpy compares as float32 → what the least and the most that a column takes are called in them."""

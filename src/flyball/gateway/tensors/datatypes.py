"""The protocol's datatypes: how they lie in memory and which columns take them."""

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

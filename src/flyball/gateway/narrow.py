"""Limits as types have them that are narrower than the model's float32."""

import math
from collections.abc import Callable

import numpy as np


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

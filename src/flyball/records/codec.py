"""One canonical form for everything that is stored, hashed or replayed: JSON, keys sorted, UTC times, no NaN."""

import hashlib
import math
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: Any) -> bytes:
    """The canonical bytes of `value`. Raises ValueError on NaN or infinity: JSON would silently write null, and a replay would differ."""
    plain = msgspec.to_builtins(value)
    _refuse_non_finite(plain)
    return _encoder.encode(plain)


def decode(data: bytes, kind: type[T]) -> T:
    """The record that `data` holds. Raises msgspec.ValidationError naming the path of what does not fit."""
    return msgspec.json.decode(data, type=kind)


def plain(value: Any) -> Any:
    """`value` as dicts, lists, strings and numbers, ready to be a payload."""
    return msgspec.to_builtins(value)


def revive(value: Any, kind: type[T]) -> T:
    """The record that a payload holds."""
    return msgspec.convert(value, type=kind)


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, as lower-case hex (64 characters)."""
    return hashlib.sha256(encode(value)).hexdigest()


def _refuse_non_finite(value: Any) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a stored number must be finite, found {value}")
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_non_finite(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_non_finite(item)

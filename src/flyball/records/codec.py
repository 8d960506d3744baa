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
    """The record that `data` holds. Raises msgspec.ValidationError naming the path of what does not fit, DecodeError for what is no JSON, or nested deeper
    than Python goes."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"it cannot be read as JSON: {error}") from error


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
    """Without recursion, by exact type: `value` is plain, and every write, digest and look at the gateways comes through here."""
    left = [value]
    while left:
        one = left.pop()
        kind = type(one)
        if kind is float:
            if not math.isfinite(one):
                raise ValueError(f"a stored number must be finite, found {one}")
        elif kind is dict:
            left.extend(one.values())
        elif kind is list or kind is tuple:
            left.extend(one)

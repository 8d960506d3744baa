"""The bodies of orders, checked before anything acts on them."""

from typing import Any, TypeVar

import msgspec

from flyball.errors import Fault, HttpRefused, RequestError

T = TypeVar("T")


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str = ""


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str = ""
    as_normal: bool = False


class Drill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing is chosen: it is the rollback that would happen."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    answer: str
    """`approve` or `refuse`."""
    reason: str = ""
    digest: str | None = None
    """Of the action that the person has seen, or its beginning; None: the one that waits."""


def read(body: bytes, kind: type[T]) -> T:
    """Raises HttpRefused 400 for what is no JSON, or nothing where a reason could stand; RequestError 422 for what does not fit."""
    if not body and kind.__annotations__:  # a body that was lost on its way must not become an order without its reason
        raise HttpRefused(400, "the body is empty", expected="a JSON object, {} for an order without a reason")
    try:
        value: Any = msgspec.json.decode(body or b"{}")
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at ")
        raise RequestError(
            [Fault(place.strip("`$.") or "body", words, f"an object with {', '.join(kind.__annotations__)}")]
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # UTF-8 is another error than JSON
        raise HttpRefused(400, f"the body is not JSON ({str(error)[:80]})", expected="a JSON object") from None

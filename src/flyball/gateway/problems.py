"""What the gateway says when it does not give what was asked: problem documents (RFC 9457)."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from flyball.errors import Fault, FlyballError, HttpRefused, ModelFailed, Overloaded, RequestError
from flyball.records.words import NO_TABLE

Headers = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"
PROBLEM = b"application/problem+json"

_ROW = re.compile(r"(?:rows|labels)\[(\d+)\](?:\.(.*))?", re.DOTALL)

_PLACE = re.compile(
    r"(?<=['\"])/(?:[^'\"\n/]+/+)+(?=[^'\"\n/]*['\"])|(?:(?<![\w./~'\"])|(?<=file://))/(?!/)(?:[^\s/'\":,;()]+/+)+(?=[^\s/'\":,;()])"
)
"""Of an absolute path all but its name, in quotes or without; what lies below the root itself (`/x`, `</b>`) names no directory, and behind `https://` stands a host."""

_encode = msgspec.json.Encoder().encode


class Response(NamedTuple):
    status: int
    body: bytes | list[bytes]
    """In one piece, or in the pieces that a large answer was made of."""
    content_type: bytes = JSON
    headers: Headers = ()


def as_v2_reads(response: Response) -> Response:
    """Official clients of the Open Inference Protocol read `error` only of what calls itself JSON."""
    return response._replace(content_type=JSON) if response.content_type is PROBLEM else response


def headers_of(response: Response, size: int) -> list[tuple[bytes, bytes]]:
    """All that are written; `size`: bytes of the body."""
    kind, length = (b"content-type", response.content_type), (b"content-length", b"%d" % size)
    return [kind, length, (b"x-content-type-options", b"nosniff"), *response.headers]


def json_response(value: Any, status: int = 200, headers: Headers = ()) -> Response:
    return Response(status, _encode(value), JSON, headers)


def problem(status: int, detail: str, *, headers: Headers = (), **more: Any) -> Response:
    """A problem document; `more` are its further members. `error` is where the Open Inference Protocol's clients look for the sentence."""
    head = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, "error": detail}
    return Response(status, _encode({**head, **more}), PROBLEM, headers)


def without_places(words: str) -> str:
    """Without the directories of this machine, which are nobody's business beyond it: a model that lacks a file says where it looked."""
    return _PLACE.sub("", words)


def no_table(why: str) -> HttpRefused:
    """Of a gateway that serves nothing. `why` as its tables have it; empty: one is being loaded."""
    words = f"This gateway has {NO_TABLE}"
    if why and not why.startswith(NO_TABLE):
        words = f"This gateway could not take its routing table: {without_places(why)}"
    return HttpRefused(503, words.rstrip("."), headers=[("retry-after", "1")])


def problem_of(error: FlyballError) -> Response:
    """The document that an error of the tree becomes."""
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, RequestError):
        count = len(error.faults)
        detail = (
            f"The request has {count} fault" + ("s" if count != 1 else "") + f"; the first: {error.faults[0]}"
            if count
            else "Refused."
        )
        return problem(error.http_status, detail, faults=[_fault(fault) for fault in error.faults])
    if isinstance(error, ModelFailed | Overloaded) and error.retry_after:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if isinstance(error, HttpRefused):
        headers += [(name.encode(), value.encode()) for name, value in error.headers]
    words = without_places(error.message) if isinstance(error, ModelFailed) else error.message
    return problem(error.http_status, words, headers=headers)


def _fault(fault: Fault) -> dict[str, Any]:
    at = _ROW.fullmatch(fault.path)
    return {
        "path": fault.path,
        "row": int(at[1]) if at else None,
        "field": (at[2] if at else fault.path) or None,
        "found": fault.found,
        "expected": fault.expected,
        **({"hint": fault.hint} if fault.hint else {}),
    }

"""What is wrong in a JSON text that a decoder passes over or cannot place: names that come twice, NaN and numbers beyond all bounds.

Slow (Python's own parser with hooks): only for requests that are refused or look odd.
"""

import codecs
import json
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from flyball.errors import Fault, RequestError
from flyball.gateway.fields import NoNumber

_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")

Text = bytes | bytearray

ONCE = "each name once"
"""What is expected of an object in which a name comes twice."""


class _Twice(dict[str, Any]):
    """An object with a name that came twice."""

    name = ""


def no_name_twice(body: Text, names: int, texts: Iterable[str | None]) -> bool:
    """Whether it is sure that no object has a name twice; False: look (`refuse_repeats`). `names` are those that were decoded, `texts` all
    strings beside them. JSON has one colon a name, others stand in texts only: counting them is enough, nearly always, and takes a hundredth of
    the time that looking takes."""
    written = count_colons(body)
    if written == names:
        return True
    return not _has_escaped_colon(body) and written == names + sum(text.count(":") for text in texts if text)


def _has_escaped_colon(body: Text) -> bool:
    # The single character is found thirty times faster than the longer text, and is rare.
    return b"\\" in body and b"\\u003" in body


def count_colons(body: Text) -> int:
    if len(body) < 2048:  # below this numpy's own start costs more
        return body.count(b":")
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == ord(":")))


def refuse_repeats(body: Text, place: str = "") -> None:
    """Raises RequestError for valid JSON in which an object has a name twice: decoders take the last, and the sender never learns it. `place`: of
    the object that `body` is."""
    found = False

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        made = dict(given)
        if len(made) == len(given):
            return made
        found = True
        twice = _Twice(made)
        twice.name = _first_repeated(name for name, _ in given)
        return twice

    try:
        form = json.loads(str(body, "utf-8"), object_pairs_hook=pairs, parse_int=_unread, parse_float=_unread)
    except RecursionError:
        raise RequestError([Fault("body", "JSON nested too deeply", "plain objects and lists")]) from None
    except ValueError as wrong:  # the standard library is stricter in some corner: its word counts
        raise RequestError([Fault("body", f"no valid JSON: {wrong}"[:300], "strict JSON in UTF-8")]) from None
    if found:
        raise RequestError([_fault(form, place)])


def may_have_half_characters(body: Text) -> bool:
    r"""Whether \uD800 to \uDFFF is escaped alone somewhere: in pairs they are one character, alone none."""
    return _HALF.search(_PAIR.sub(b"", body)) is not None


def unreadable(body: Text | memoryview, wrong: Exception) -> Fault:
    """What is told of a text that a decoder does not take. Its own words of some are a riddle: "truncated", "malformed (byte 0)"."""
    text, strict = bytes(body), "strict JSON in UTF-8 with finite numbers"
    if not text or text.isspace():
        return Fault("body", "an empty body", strict, "With curl: --json '{…}', or --json @FILE")
    if text.startswith(codecs.BOM_UTF8):
        return Fault(
            "body",
            "a byte order mark before the JSON",
            strict,
            "Leave out its three bytes: encode as utf-8, and not as utf-8-sig",
        )
    hint = r"Is a \uD800 to \uDFFF without its other half?" if may_have_half_characters(text) else ""
    return Fault("body", f"no valid JSON: {wrong}"[:300], strict, hint)


def with_no_numbers(body: Text) -> Any:
    """What a text says that is JSON but for its numbers, each of which stands as a NoNumber; None: something else is wrong with it."""
    if may_have_half_characters(body):
        return None  # nothing that holds them can be told in an answer
    try:
        # From bytes it would take other encodings, and halves of characters in this one.
        return json.loads(str(body, "utf-8"), parse_constant=NoNumber, parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError):
        return None


def _float(text: str) -> Any:
    value = float(text)
    return value if math.isfinite(value) else NoNumber(text)


def _int(text: str) -> Any:
    return int(text) if len(text) < 400 else NoNumber(text)


def _fault(form: Any, place: str) -> Fault:
    if isinstance(form, _Twice):
        return Fault(f"{place}.{form.name[:100]}".removeprefix("."), "the name twice", ONCE)
    for name, listed in form.items() if isinstance(form, dict) else ():
        for at, row in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(row, _Twice):
                return Fault(f"{name[:100]}[{at}].{row.name[:100]}", "the name twice", ONCE)
    return Fault(place or "body", "a name twice in an object inside it", ONCE)


def _first_repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _unread(_: str) -> int:
    """Numbers do not matter here, and Python refuses to read integers of 4,301 digits."""
    return 0

"""Bad input of every kind that was seen to hurt a server, and what an honest one may say to each."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bench.serving import gateway
from bench.serving.pipeline import Row

ANSWER, REFUSE, EITHER = "answer", "refuse", "either"
MB = 1_000_000


class Case(NamedTuple):
    name: str
    body: bytes
    may: str
    """What is right: to answer, to refuse (4xx), or either."""
    meant: Sequence[Row] = ()
    """The rows whose numbers are right if it is answered."""
    named: str = ""
    """The path that a refusal has to name."""
    content_type: str | None = "application/json"
    path: str | None = None
    """None: where the server takes rows."""


def cases(rows: Sequence[Row], at: int, *, tensors: bool) -> Iterator[Case]:
    """The row at `at` is damaged, or the body as a whole; `tensors`: also in Open Inference's form."""
    yield from _fields(rows, at)
    yield from _bodies(rows)
    if tensors:
        yield from _tensors(rows, at)


def _fields(rows: Sequence[Row], at: int) -> Iterator[Case]:
    def damaged(name: str, column: str, value: Any, may: str = REFUSE) -> Case:
        given = _with(rows, at, {**rows[at], column: value})
        return Case(name, _body(given), may, given if may != REFUSE else (), "" if may != REFUSE else f"rows[{at}].{column}")

    def absent(column: str) -> Case:
        row = {name: value for name, value in rows[at].items() if name != column}
        return Case(f"column {column} missing", _body(_with(rows, at, row)), REFUSE, (), f"rows[{at}].{column}")

    def literal(name: str, text: bytes) -> Case:
        return Case(name, _body(_with(rows, at, {**rows[at], "n0": _MARK})).replace(_MARKED, text), REFUSE)

    turned = dict(reversed(rows[at].items()))
    yield Case("columns in another order", _body(_with(rows, at, turned)), ANSWER, rows)
    yield absent("n3")
    yield absent("c0")
    yield damaged("a column too many", "colour", 1.0)
    yield damaged("text in a number", "n0", "abc")
    yield damaged("a number as text", "n0", "1.5")
    yield damaged("no number", "n0", None)
    yield damaged("no category", "c0", None)
    yield damaged("true as a number", "n0", value=True)
    yield damaged("a list as a number", "n0", [1.5])
    yield damaged("beyond float32", "n0", 1e39)
    yield damaged("a fraction in a count", "c2", 2.7)
    yield damaged("a count beyond 64 bits", "c2", 2**200)
    yield damaged("a number in a category", "c0", 5)
    yield damaged("an object in a category", "c0", {"red": 1})
    yield damaged("NUL in a category", "c0", "red\0")
    yield damaged("a category never seen", "c0", "purple", EITHER)
    yield damaged("10 MB in a category", "c0", "x" * 10 * MB, EITHER)
    yield literal("NaN", b"NaN")
    yield literal("Infinity", b"Infinity")
    yield literal("1e400", b"1e400")


def _bodies(rows: Sequence[Row]) -> Iterator[Case]:
    good = _body(rows)
    many = [rows[number % len(rows)] for number in range(10 * MB // (len(good) // len(rows)))]
    yield Case("10 MB of good rows", _body(many), ANSWER, many)
    yield Case("no rows", _body([]), REFUSE, (), "rows")
    yield Case("an empty body", b"", REFUSE)
    yield Case("an empty object", b"{}", REFUSE, (), "rows")
    yield Case("null", b"null", REFUSE)
    yield Case("cut off", good[:-3], REFUSE)
    yield Case("not UTF-8", good.replace(b'"c0":"', b'"c0":"\xff\xfe', 1), REFUSE)
    yield Case("100,000 lists in one another", b"[" * 100_000 + b"]" * 100_000, REFUSE)
    yield Case("as text/plain", good, REFUSE, (), "", "text/plain")
    yield Case("without a content type", good, EITHER, rows, "", None)


def _tensors(rows: Sequence[Row], at: int) -> Iterator[Case]:
    """The same in Open Inference's form, and what can only go wrong there."""
    n = len(rows)

    def changed(name: str, /, **first: Any) -> Case:
        form = gateway.tensors(rows)
        form["inputs"][0] |= first
        return Case(name, _json(form), REFUSE, path=f"/v2/models/{gateway.MODEL}/infer")

    values = [row["n0"] for row in rows]
    yield changed("tensor: shape of three times the data", shape=[3 * n])
    yield changed("tensor: negative shape", shape=[-1])
    yield changed("tensor: unknown datatype", datatype="FP99")
    yield changed("tensor: one value too many", shape=[n + 1], data=[*values, 1.0])
    yield changed("tensor: text in a number", data=[*values[:at], "abc", *values[at + 1 :]])
    yield changed("tensor: a column missing", name="colour")


_MARK = "-put the literal here-"
_MARKED = json.dumps(_MARK).encode()


def _with(rows: Sequence[Row], at: int, row: Row) -> list[Row]:
    return [*rows[:at], row, *rows[at + 1 :]]


def _body(rows: Sequence[Row]) -> bytes:
    return _json({"rows": list(rows)})


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

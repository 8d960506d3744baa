"""A large body is found piece by piece: whatever stands in it, the rows are those that the whole of it has, and so is every refusal."""

import asyncio
import json
import sys
import threading

import pytest

from flyball.errors import RequestError
from flyball.gateway import large
from flyball.gateway.json_faults import refuse_repeats
from flyball.gateway.large import PlainBody
from flyball.gateway.validation import RowReader
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(
    task="binary",
    columns=(Column(name="a", type=ColumnType.NUMBER), Column(name="t", type=ColumnType.CATEGORY, categories=())),
    classes=("0", "1"),
)
READER = RowReader(SIGNATURE, 100_000)
N = 3000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(large, "PIECE_BYTES", 500)


def read(body, kind=bytearray, n=N):
    """Everything that it gives, or every fault."""
    given = kind(body)
    try:
        source = asyncio.run(PlainBody.opened(given, READER, n))
        rows = source.rows(0, source.n)
    except RequestError as refused:
        return [(fault.path, fault.found) for fault in refused.faults]
    assert given == body, "the body is as it came"
    return rows.n, rows.ids, rows.keys, rows.tuples


def rows(text="plain", n=N):
    return [{"a": number / 2, "t": f"{text}{number}"} for number in range(n)]


BODIES = {
    "compact": json.dumps({"rows": rows()}, separators=(",", ":")),
    "spaced": json.dumps({"rows": rows()}),
    "indented": json.dumps({"rows": rows()}, indent=2),
    "with ids and keys": json.dumps({"rows": rows(), "ids": [f"i{n}" for n in range(N)], "keys": ["k"] * N}),
    "ids first": json.dumps({"ids": [f"i{n}" for n in range(N)], "rows": rows()}),
    "texts that look like the end of a row": json.dumps({"rows": rows('x},{"a":1,"t":"')}, separators=(",", ":")),
    "ids that look like the end of a row": json.dumps({"rows": rows(), "ids": ["},{" + str(n) for n in range(N)]}),
    "escapes": json.dumps({"rows": rows('\\"}\\\\,{é')}, separators=(",", ":")),
    "a NUL in one text": json.dumps({"rows": [*rows(n=N - 1), {"a": 1.0, "t": "x\0y"}]}),
    "a wrong row": json.dumps({"rows": [*rows(n=N - 1), {"a": "old", "t": "x"}]}),
    "a nested row": json.dumps({"rows": [*rows(n=N - 1), {"a": [{"a": 1}, {"a": 2}], "t": "x"}]}),
    "no objects": json.dumps({"rows": [*rows(n=N - 1), 7]}),
    "rows twice": json.dumps({"rows": rows()})[:-1] + ',"rows":[{"a":1,"t":"x"}]}',
    "the same rows twice": json.dumps({"rows": rows()})[:-1] + "," + json.dumps({"rows": rows()})[1:],
    "rows twice, the first by another spelling": json.dumps({"rows": rows()})[:-1].replace("rows", "r\\u006fws")
    + ',"rows":[{"a":1,"t":"x"}]}',
    "ids twice": json.dumps({"rows": rows(), "ids": [f"i{n}" for n in range(N)]})[:-1]
    + f',"ids":{json.dumps([f"j{n}" for n in range(N)])}}}',
    "keys twice before": '{"keys":null,"keys":null,' + json.dumps({"rows": rows()})[1:],
    "ids of colons": json.dumps({"rows": rows(":"), "ids": [f"a:{n}\\u003a" for n in range(N)]}),
    "an unknown field": json.dumps({"rows": rows(), "row": []}),
    "cut off": json.dumps({"rows": rows()})[:-2000],
    "followed by more": json.dumps({"rows": rows()}) + "{}",
    "a comma too many": json.dumps({"rows": rows()})[:-2] + ",]}",
    "NaN": json.dumps({"rows": [*rows(n=N - 1), {"a": float("nan"), "t": "x"}]}),
    "asked for an explanation": json.dumps({"rows": rows(), "explain": True}),
    "too many": json.dumps({"rows": rows(n=N + 1)}),
}


@pytest.mark.parametrize("name", BODIES)
def test_pieces_say_what_the_whole_says(name):
    body = BODIES[name].encode()
    whole = read(body, bytes)
    assert read(body) == whole
    refused = isinstance(whole, list)
    assert refused == (name in REFUSED), whole


REFUSED = {
    "a wrong row", "a nested row", "no objects", "an unknown field", "cut off", "followed by more", "a comma too many", "NaN", "too many",
    "a NUL in one text", "asked for an explanation", "rows twice", "the same rows twice", "rows twice, the first by another spelling", "ids twice",
    "keys twice before",
}  # fmt: skip


def test_an_ordinary_body_is_not_looked_at_as_a_whole(monkeypatch):
    monkeypatch.setattr(large, "_skeleton", None)
    for name in ("compact", "spaced", "indented", "with ids and keys"):
        assert read(BODIES[name].encode())[0] == N


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("more", ["", ',"keys":null'])
def test_ids_that_look_like_rows_are_no_rows(kind, more):
    """Rows without a value are as short as a part of an id."""
    reader = RowReader(Signature(task="binary", columns=(), classes=("0", "1")), 100_000)
    body = json.dumps({"keys": None, "rows": [{}] * N, "ids": [f"{{}}{n}" for n in range(N)]})
    opened = PlainBody.opened(kind(f"{body[:-1]}{more}}}".encode()), reader, N)
    if more:
        with pytest.raises(RequestError, match="keys"):
            asyncio.run(opened)
    else:
        assert asyncio.run(opened).n == N


class Watched(RowReader):
    """Knows in which threads it was asked to look at the whole of a body."""

    def __init__(self):
        super().__init__(SIGNATURE, 100_000)
        self.threads = set()

    def parsed(self, body):
        self.threads.add(threading.current_thread())
        return super().parsed(body)


@pytest.mark.parametrize("name", ["cut off", "followed by more", "a comma too many", "NaN"])
def test_what_is_wrong_with_a_large_body_is_looked_for_beside_the_loop(name):
    """Of ten megabytes it takes a second, in which nobody else would be answered."""
    reader = Watched()
    with pytest.raises(RequestError):
        asyncio.run(PlainBody.opened(bytearray(BODIES[name].encode()), reader, N)).rows(0, N)
    assert threading.current_thread() not in reader.threads
    assert reader.threads or name == "NaN", "rows are looked at with their slice"


def test_an_unknown_field_is_told_without_a_look_at_the_rows():
    reader = Watched()
    with pytest.raises(RequestError, match="an unknown field"):
        asyncio.run(PlainBody.opened(bytearray(BODIES["an unknown field"].encode()), reader, N))
    assert not reader.threads


@pytest.mark.parametrize("name", ["rows twice", "ids twice", "keys twice before"])
def test_names_that_come_twice_are_looked_for_beside_the_loop(name, monkeypatch):
    threads = []

    def looked(body, place=""):
        threads.append(threading.current_thread())
        refuse_repeats(body, place)

    monkeypatch.setattr(large, "refuse_repeats", looked)
    with pytest.raises(RequestError, match="twice"):
        asyncio.run(PlainBody.opened(bytearray(BODIES[name].encode()), READER, N))
    assert threads
    assert threading.current_thread() not in threads


def test_bytes_that_are_no_text_are_refused_either_way():
    body = BODIES["compact"].encode().replace(b"plain7", b"pla\xff7")
    assert read(body) == read(body, bytes)
    assert isinstance(read(body), list)


def test_rows_twice_of_which_some_are_as_deep_as_python_goes_are_refused():
    """The whole is read beside the loop, on another stack: what goes there may be too deep here."""
    for depth in range(sys.getrecursionlimit() - 100, sys.getrecursionlimit()):
        body = f'{{"rows":[{{"a":{"[" * depth}{"]" * depth}}}],"rows":[{{"a":1,"t":"x"}}]}}'
        with pytest.raises(RequestError):
            asyncio.run(PlainBody.opened(bytearray(body.encode()), READER, N))

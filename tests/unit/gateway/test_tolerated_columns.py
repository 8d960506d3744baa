"""Columns that may come and that nobody takes: counted by whoever reads them, seen by nobody else, and of no cost where they do not come."""

import asyncio
import json

import pytest

from flyball.errors import RequestError
from flyball.gateway.large import ArrayRows, PlainBody
from flyball.gateway.readers import Readers
from flyball.gateway.tensors.reader import Identity, Tensor
from flyball.gateway.validation import RowReader
from flyball.records.routing import Route, ServedUnit
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format, Unit

OURS = Signature(task="regression", columns=(Column(name="a", type=ColumnType.NUMBER),))
IDLE = (Column(name="n:o", type=ColumnType.NUMBER, missing=True), Column(name="t", type=ColumnType.CATEGORY, missing=True))
CHAMPION = ServedUnit(
    unit=Unit(id="u", model="m", version=1, manifest_digest="", threshold=None, policy_digest=""),
    package="/nowhere", format=Format.ONNX, signature=OURS,
)  # fmt: skip
READERS = Readers(Route(model="m", champion=CHAMPION, tolerated=IDLE), CHAMPION, 100)
ROWS = [{"a": 1, "n:o": 2.5, "t": "x"}, {"a": 2, "t": ""}, {"a": 3, "n:o": None, "t": ""}]


def body(*rows, **more):
    return json.dumps({"rows": rows, **more}).encode()


@pytest.mark.parametrize("written", [body(*ROWS), body(*ROWS, keys=None), body(*ROWS).replace(b'"x"', b'"\\u0078\\\\u0000"')])
def test_they_are_counted_and_stand_in_no_row(written):
    """Read the quick way, and the careful one."""
    rows = READERS.rows.read(written)
    assert (rows.n, rows.tuples, rows.brought) == (3, [(1.0,), (2.0,), (3.0,)], {"n:o": 1, "t": 1})
    assert list(READERS.builder.of_rows(rows).columns) == ["a"]


def test_a_request_without_them_is_read_as_if_there_were_none():
    alone, plain = RowReader(OURS, 100), body({"a": 1}, {"a": 2}, ids=["x", "y"], explain=True)
    assert READERS.rows.read(plain) == alone.read(plain)
    assert READERS.rows.read(plain).brought is None
    assert READERS.rows.read(body({"a": 1, "t": None})).brought is None
    for wrong in ({"a": "x"}, {"a": 1, "b": 1}, {"t": "x"}, {"a": 1, "t": 7}):
        with pytest.raises(RequestError):
            READERS.rows.read(body(wrong))
    with pytest.raises(RequestError, match="twice"):
        READERS.rows.read(b'{"rows":[{"a":1,"n:o":1,"n:o":2}]}')


def test_rows_of_a_large_request_are_counted_once():
    source = asyncio.run(PlainBody.opened(bytearray(body(*ROWS, ids=["x", "y", "z"])), READERS.rows, 100))
    assert [source.rows(at, at + 1).brought for at in range(3)] == [{"n:o": 1, "t": 1}, None, None]
    assert source.rows(0, 3).ids == ["x", "y", "z"]
    whole = ArrayRows(READERS.rows.read(body(*ROWS)))
    assert [whole.rows(at, at + 1).brought for at in range(3)] == [{"n:o": 1, "t": 1}, None, None]


def test_of_tensors_too():
    a, t = Tensor("a", "FP64", [2], [1, 2]), Tensor("t", "BYTES", [2], ["x", None])
    rows = READERS.tensors.rows([a, t], Identity())
    assert (list(rows.columns), rows.brought) == (["a"], {"t": 1})
    assert READERS.tensors.rows([a], Identity()).brought is None

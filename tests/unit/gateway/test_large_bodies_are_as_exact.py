"""Slices of a large request are held against the same rules, with the row's number in the whole request."""

import asyncio
import json

import pytest

from flyball.errors import RequestError
from flyball.gateway.large import PlainBody, slices
from flyball.gateway.validation import RowReader
from flyball.records.signature import Column, ColumnType, Signature

COLUMNS = (Column(name="age", type=ColumnType.NUMBER), Column(name="town", type=ColumnType.CATEGORY, missing=True))
READER = RowReader(Signature(task="regression", columns=COLUMNS), 10_000)
GOOD = [{"age": 1.5, "town": "a:b"}, {"age": 2}, {"age": 3, "town": None}] * 100


def read(rows, at=None, text=None):
    texts = [json.dumps(row) for row in rows]
    if at is not None:
        texts[at] = text
    body = asyncio.run(PlainBody.opened(bytearray(f'{{"rows": [{",".join(texts)}]}}'.encode()), READER, 10_000))
    return [values for span in slices(body.n, 64) for values in body.rows(*span).tuples]


def test_good_rows_are_read_slice_by_slice():
    values = read(GOOD)
    assert (len(values), values[0], values[299]) == (300, (1.5, "a:b"), (3, None))


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ('{"age": 1, "age": 2}', "rows[150].age", "the name twice"),
        ('{"age": 1, "town": "x", "\\u0061ge": 2}', "rows[150].age", "the name twice"),
        ('{"age": 1e400}', "rows[150].age", "1e400"),
        ('{"age": NaN}', "rows[150].age", "NaN"),
        ('{"age": true}', "rows[150].age", "true"),
        ('{"town": "x"}', "rows[150].age", "nothing"),
        ('{"age": 1, "more": 2}', "rows[150].more", "an unknown field"),
        ("7", "rows[150]", "7"),
    ],
)
def test_a_fault_has_its_place_in_the_whole_request(text, path, found):
    with pytest.raises(RequestError) as caught:
        read(GOOD, 150, text)
    assert (caught.value.faults[0].path, caught.value.faults[0].found) == (path, found)

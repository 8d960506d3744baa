"""A limit is told in full: rounded to six digits it is another number, which may refuse what the sentence allows."""

import json

import pytest

from flyball.errors import RequestError
from flyball.gateway.fields import ValueCheck
from flyball.gateway.validation import RowReader
from flyball.records.signature import Column, ColumnType, Signature, limit_words


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (0, "0"),
        (-0.0, "0"),
        (150.0, "150"),
        (-2.5, "-2.5"),
        (0.1, "0.1"),
        (99_999.95, "99999.95"),
        (1_000_000.0, "1000000"),
        (1_234_567.0, "1234567"),
        (20_240_131.0, "20240131"),
        (1_767_225_600_123.0, "1767225600123"),
        (-9_007_199_254_740_993, "-9007199254740992"),
        (1e16, "1e+16"),
        (1e-7, "1e-07"),
        (3.4028234663852886e38, "3.4028234663852886e+38"),
        (float("inf"), "inf"),
    ],
)
def test_in_words_it_is_the_same_number(limit: float, words: str) -> None:
    assert limit_words(limit) == words
    assert float(words) == float(limit)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.0, 99_999.95, "a number from 0 to 99999.95"),
        (20_240_101.0, None, "a number of at least 20240101"),
        (None, 1_234_567.0, "a number of at most 1234567"),
    ],
)
def test_what_is_expected_of_a_column_tells_it(low: float | None, high: float | None, words: str) -> None:
    column = Column(name="x", type=ColumnType.NUMBER, minimum=low, maximum=high)
    assert ValueCheck(column).expected == words
    beyond = 99_999.97 if high == 99_999.95 else 1_234_567.5 if low is None else 20_240_100.5
    with pytest.raises(RequestError) as refused:
        RowReader(Signature(task="regression", columns=(column,)), 1).read(json.dumps({"rows": [{"x": beyond}]}).encode())
    assert (refused.value.faults[0].found, refused.value.faults[0].expected) == (str(beyond), words)

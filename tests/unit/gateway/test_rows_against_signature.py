"""Claims about validation: the quick way and the careful way are one truth, and every fault has its place."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.errors import RequestError
from flyball.gateway.columns import ColumnBuilder
from flyball.gateway.validation import RowReader
from flyball.records.signature import Column, ColumnType, Signature

SIGNATURE = Signature(
    task="binary",
    columns=(
        Column(name="age", type=ColumnType.NUMBER, minimum=0, maximum=150),
        Column(name="in come", type=ColumnType.NUMBER, missing=True),
        Column(name="visits", type=ColumnType.INTEGER),
        Column(name="member", type=ColumnType.BOOLEAN, missing=True),
        Column(name="town", type=ColumnType.CATEGORY, missing=True),
    ),
    classes=("no", "yes"),
)
ROW = {"age": 41.5, "in come": 10, "visits": 3, "member": True, "town": "Oslo"}
READER = RowReader(SIGNATURE, 1000)
BUILDER = ColumnBuilder(SIGNATURE)


def read(body: bytes):
    return BUILDER.of_rows(READER.read(body)).columns


def fault(body: bytes):
    with pytest.raises(RequestError) as caught:
        READER.read(body)
    return caught.value.faults[0]


def test_a_good_row_becomes_the_models_input():
    columns = read(json.dumps({"rows": [{**ROW, "in come": None}]}).encode())
    assert {name: values.shape for name, values in columns.items()} == dict.fromkeys(ROW, (1, 1))
    assert columns["age"].dtype == np.float32
    assert math.isnan(columns["in come"][0, 0])
    assert columns["member"][0, 0] == 1.0
    assert columns["town"][0, 0] == "Oslo"


def test_what_may_be_missing_may_be_absent_too():
    columns = read(b'{"rows": [{"visits": 1, "age": 3}]}')
    assert columns["town"][0, 0] == ""
    assert math.isnan(columns["member"][0, 0])


def test_a_whole_number_may_be_written_with_a_point():
    assert read(b'{"rows": [{"visits": 2.0, "age": 3}]}')["visits"][0, 0] == 2.0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("age", "7"), ("age", True), ("age", None), ("age", -0.5), ("age", 151), ("age", [1]), ("age", {}),
        ("in come", 1e39), ("in come", -1e300), ("in come", 10**39), ("in come", "x"),
        ("visits", 1.5), ("visits", "3"), ("visits", False), ("visits", None), ("visits", 10**39),
        ("member", 1), ("member", "true"), ("town", 5), ("town", True), ("town", ["Oslo"]), ("town", "a\0b"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_row_and_field(column, value):
    wrong = fault(json.dumps({"rows": [ROW, {**ROW, column: value}]}).encode())
    assert wrong.path == f"rows[1].{column}"
    assert wrong.found
    assert wrong.expected


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"7", b"{}", b'{"rows": []}', b'{"rows": {}}', b'{"rows": [7]}', b'{"rows": [[]]}', b'{"rows": null}',
        b'{"rows": [{}], "extra": 1}', b'{"rows": [{"age": NaN}]}', b'{"rows": [{"age": Infinity}]}', b'{"rows": [{"age": 1e400}]}',
        b'{"rows": [{"age": ' + b"1" * 4301 + b"}]}", b'{"rows": [{"town": "\\ud800"}]}', b'{"rows": [{"town": "\xff"}]}',
        b"\xef\xbb\xbf{}", '{"rows": []}'.encode("utf-16"), b"[" * 100_000, b'{"rows": ' + b'{"a":' * 50_000,
        b'{"rows": [{"age": 1, "visits": 1}], "ids": ["a", "b"]}', b'{"rows": [{"age": 1, "visits": 1}], "ids": "a"}',
        b'{"rows": [{"age": 1, "visits": 1}], "ids": [7]}', b'{"rows": [{"age": 1, "visits": 1}], "ids": [""]}',
        b'{"rows": [{"age": 1, "visits": 1}], "ids": ["a\\nb"]}', b'{"rows": [{"age": 1, "visits": 1}], "keys": [null]}',
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_never_crashes(body):
    assert fault(body).expected


def test_an_unknown_column_is_refused_with_its_name_and_the_missing_one_with_a_guess():
    with pytest.raises(RequestError) as caught:
        READER.read(b'{"rows": [{"agee": 3, "visits": 1}]}')
    by_path = {each.path: each for each in caught.value.faults}
    assert set(by_path) == {"rows[0].age", "rows[0].agee"}
    assert by_path["rows[0].age"].hint == "did you mean 'agee'?"


def test_a_signature_that_ignores_extra_fields_ignores_them_both_ways():
    reader = RowReader(Signature(task="regression", columns=SIGNATURE.columns[:1], extra="ignore"), 10)
    assert reader.read(b'{"rows": [{"age": 1, "other": [1, {}]}]}').n == 1
    assert reader.read(b'{"rows": [{"age": 1, "other": "\\u0000"}]}').n == 1


def test_at_most_twenty_faults_are_told():
    with pytest.raises(RequestError) as caught:
        READER.read(json.dumps({"rows": [{**ROW, "age": "x"}] * 500}).encode())
    assert len(caught.value.faults) == 20


def test_a_prediction_id_that_comes_twice_is_refused():
    body = json.dumps({"rows": [ROW, ROW, ROW], "ids": ["a", "b", "a"]}).encode()
    assert fault(body).path == "ids"


def test_more_rows_than_the_limit_are_refused_with_the_limit():
    assert "1000" in fault(json.dumps({"rows": [ROW] * 1001}).encode()).expected


number = st.floats(min_value=0, max_value=150, width=32) | st.integers(min_value=0, max_value=150)
whole = st.integers(min_value=-(2**53), max_value=2**53)
any_value = st.none() | st.booleans() | whole | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})
good_row = st.fixed_dictionaries(
    {"age": number, "visits": whole},
    optional={"in come": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False), "member": st.none() | st.booleans(),
              "town": st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))},
)  # fmt: skip


def columns_of(rows):
    return {name: values.tolist() for name, values in BUILDER.of_rows(rows).columns.items()}


@given(st.lists(good_row, min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_good_rows_are_taken_alike_by_both_ways(rows):
    quick = READER.read(json.dumps({"rows": rows}).encode())
    careful = READER.read_carefully({"rows": rows})
    np.testing.assert_equal(columns_of(quick), columns_of(careful))


@given(st.dictionaries(st.sampled_from([*ROW, "agee", ""]), any_value), st.sampled_from([*ROW]))
@settings(max_examples=500, deadline=None)
def test_any_row_at_all_is_taken_alike_or_refused_by_both_ways(changes, removed):
    row = {name: value for name, value in {**ROW, **changes}.items() if name != removed}
    body = json.dumps({"rows": [row]}).encode()
    try:
        quick = columns_of(READER.read(body))
    except RequestError:
        quick = None
    try:
        careful = columns_of(READER.read_carefully(json.loads(body)))
    except RequestError:
        careful = None
    np.testing.assert_equal(quick, careful)

"""Claims about validation: the quick way and the careful way are one truth, and every fault has its place."""

import difflib
import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.errors import RequestError
from flyball.gateway.columns import ColumnBuilder
from flyball.gateway.plain import label_form
from flyball.gateway.tensors.columns import ColumnCheck
from flyball.gateway.validation import RowReader, Rows
from flyball.records.signature import Column, ColumnType, Signature, Unknown

SIGNATURE = Signature(
    task="binary",
    columns=(
        Column(name="age", type=ColumnType.NUMBER, minimum=0, maximum=150),
        Column(name="in come", type=ColumnType.NUMBER, missing=True),
        Column(name="visits", type=ColumnType.INTEGER),
        Column(name="member", type=ColumnType.BOOLEAN, missing=True),
        Column(name="town", type=ColumnType.CATEGORY, missing=True),
        Column(name="grade", type=ColumnType.CATEGORY, missing=True, categories=("a", "b:2", "ç"), unknown=Unknown.REFUSE),
    ),
    classes=("no", "yes"),
)
ROW = {"age": 41.5, "in come": 10, "visits": 3, "member": True, "town": "Oslo", "grade": "a"}
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
        ("grade", "c"), ("grade", ""), ("grade", 1), ("grade", "A"), ("town", "x" * 65_537),
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
any_value = (
    st.sampled_from(["a", "b:2"])
    | st.none()
    | st.booleans()
    | whole
    | st.floats()
    | st.text(max_size=5)
    | st.just([])
    | st.just({})
)
good_row = st.fixed_dictionaries(
    {"age": number, "visits": whole},
    optional={"in come": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False), "member": st.none() | st.booleans(),
              "grade": st.none() | st.sampled_from(["a", "b:2", "ç"]),
              "town": st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))},
)  # fmt: skip


def columns_of(rows):
    return {name: values.tolist() for name, values in BUILDER.of_rows(rows).columns.items()}


@given(st.lists(good_row, min_size=1, max_size=5), st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_good_rows_are_taken_alike_by_both_ways(rows, explain, escaped):
    form = {"rows": rows, "explain": explain, "ids": [f"a:{at}" for at in range(len(rows))]}
    body = json.dumps(form, ensure_ascii=escaped).encode()
    quick, careful = READER.read(body), READER.read_carefully(form)
    np.testing.assert_equal(columns_of(quick), columns_of(careful))
    assert (quick.ids, quick.keys, quick.explain) == (careful.ids, careful.keys, careful.explain) == (form["ids"], None, explain)


@given(st.lists(good_row, min_size=1, max_size=3), st.data())
@settings(max_examples=300, deadline=None)
def test_a_name_that_comes_twice_is_refused_wherever_and_however_it_is_written(rows, data):
    at = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(sorted(rows[at])))
    written = data.draw(st.sampled_from([json.dumps(name), json.dumps(name).replace("a", "\\u0061"), json.dumps(name) + " \n\t"]))
    again = f"{written}:{data.draw(st.sampled_from(['', ' ']))}{json.dumps(rows[at][name])}"
    texts = [json.dumps(row) for row in rows]
    texts[at] = "{" + again + "," + texts[at][1:] if data.draw(st.booleans()) else texts[at][:-1] + "," + again + "}"
    wrong = fault(b'{"rows": [' + ",".join(texts).encode() + b"]}")
    assert (wrong.path, wrong.found) == (f"rows[{at}].{name}", "the name twice")


def test_a_colon_in_a_text_or_a_name_is_no_second_name():
    assert READER.read(b'{"rows": [{"age": 1, "visits": 1, "town": "a:b\\u003a:", "grade": "b:2"}], "keys": ["::"]}').keys == [
        "::"
    ]
    reader = RowReader(Signature(task="regression", columns=(Column(name="a:b", type=ColumnType.NUMBER),)), 10)
    assert reader.read(b'{"rows": [{"a:b": 1}]}').tuples == [(1,)]
    with pytest.raises(RequestError):
        reader.read(b'{"rows": [{"a:b": 1, "a:b": 2}]}')


@pytest.mark.parametrize(
    ("body", "found", "hint"),
    [
        (b"", "an empty body", "--json"),
        (b" \r\n", "an empty body", "--json"),
        (b'\xef\xbb\xbf{"rows": []}', "a byte order mark before the JSON", "utf-8-sig"),
        (b"\xef\xbb\xbf", "a byte order mark before the JSON", "utf-8-sig"),
    ],
)
def test_what_a_decoder_has_no_words_for_is_told_in_words(body, found, hint):
    wrong = fault(body)
    assert (wrong.path, wrong.found) == ("body", found)
    assert hint in wrong.hint
    with pytest.raises(RequestError) as labels:
        label_form(body, 10)
    assert list(labels.value.faults) == [wrong]


def test_a_form_that_names_something_twice_is_refused():
    assert fault(b'{"rows": [], "rows": [{"age": 1, "visits": 1}]}').path == "rows"
    assert fault(b'{"rows": [{"age": 1, "visits": 1, "town": {"x": 1, "x": 2}}]}').path == "body"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999", "1" * 4301])
def test_what_is_no_json_number_is_named_with_its_place(text):
    wrong = fault(f'{{"rows": [{json.dumps(ROW)}, {{"age": {text}, "visits": 1}}]}}'.encode())
    assert (wrong.path, wrong.found[:80], wrong.expected) == ("rows[1].age", text[:80], "a number from 0 to 150")


FLAGGING = Signature(
    task="regression",
    columns=(
        Column(name="town", type=ColumnType.CATEGORY, categories=("Oslo", "Rome"), unknown=Unknown.FLAG, missing=True),
        Column(name="grade", type=ColumnType.CATEGORY, categories=("a",), unknown=Unknown.FLAG),
        Column(name="free", type=ColumnType.CATEGORY, categories=("x",)),
    ),
)


def test_unknown_categories_are_told_row_by_row_where_the_signature_asks_for_it():
    reader = RowReader(FLAGGING, 10)
    rows = [("Oslo", "a", "y"), ("Lima", "b", "y"), (None, "", "x"), ("oslo", "a", "x")]
    body = json.dumps({"rows": [dict(zip(("town", "grade", "free"), row, strict=True)) for row in rows]}).encode()
    assert reader.flags(reader.read(body)) == {
        1: [
            {"field": "town", "found": '"Lima"', "flag": "unknown category"},
            {"field": "grade", "found": '"b"', "flag": "unknown category"},
        ],
        2: [{"field": "grade", "found": '""', "flag": "unknown category"}],
        3: [{"field": "town", "found": '"oslo"', "flag": "unknown category"}],
    }


def test_numbers_outside_what_training_saw_are_told_row_by_row_of_tuples_and_of_arrays():
    seen = Signature(
        task="regression",
        columns=(
            Column(name="age", type=ColumnType.NUMBER, missing=True, seen=(0.1, 70.3)),
            Column(name="free", type=ColumnType.NUMBER),
        ),
    )
    reader = RowReader(seen, 10)
    assert reader.flagging
    body = json.dumps({"rows": [{"age": age, "free": 1e9} for age in (0.1, 0.0999, None, 70.3, 71)]}).encode()
    plain = reader.flags(reader.read(body))
    flag = {"field": "age", "flag": "outside what training saw"}
    assert plain == {1: [{**flag, "found": "0.0999"}], 4: [{**flag, "found": "71.0"}]}
    ages = np.array([0.1, 0.0999, np.nan, 70.3, 71], dtype=np.float32).reshape(5, 1)
    arrays = Rows(5, {"age": ages, "free": ages * 1e9}, None, None)
    assert list(reader.flags(arrays)) == [1, 4]  # float32 has no 0.1, and cannot tell it from the end of the range
    halves = ages.astype(np.float16).astype(np.float32)
    assert list(reader.flags(arrays._replace(columns={"age": halves, "free": ages}, rounded={"age": "FP16"}))) == [1, 4]
    assert not RowReader(msgspec.structs.replace(seen, columns=seen.columns[1:]), 10).flagging


def test_a_refused_category_is_told_with_what_is_known_and_what_was_perhaps_meant():
    many = tuple(f"town {at}" for at in range(30))
    column = Column(name="town", type=ColumnType.CATEGORY, categories=many, unknown=Unknown.REFUSE)
    with pytest.raises(RequestError) as caught:
        RowReader(Signature(task="regression", columns=(column,)), 10).read(b'{"rows": [{"town": "town 07"}]}')
    (wrong,) = caught.value.faults
    assert wrong.expected.startswith('one of "town 0", "town 1", ')
    assert wrong.expected.endswith(' "town 19" or 10 more')
    assert wrong.hint.startswith("did you mean 'town ")


@pytest.fixture
def compared(monkeypatch):
    """Lengths of what was compared, a pair each."""
    pairs = []
    look = difflib.get_close_matches

    def looked(word, known, n):
        pairs.extend((len(word), len(each)) for each in known)
        return look(word, known, n)

    monkeypatch.setattr(difflib, "get_close_matches", looked)
    return pairs


CATEGORIES = tuple(f"category_{at}" for at in range(1000))
MISSPELT = {
    "names": (
        tuple(Column(name=f"feature_{at}", type=ColumnType.NUMBER) for at in range(200)),
        [{f"feature-{at}": 1.0 for at in range(200)}] * 20,
    ),
    "categories": (
        (Column(name="c", type=ColumnType.CATEGORY, categories=CATEGORIES, unknown=Unknown.REFUSE),),
        [{"c": f"catgory_{at}"} for at in range(20)],
    ),
    "long names": (
        tuple(Column(name=f"{'x' * 60}{at}", type=ColumnType.NUMBER) for at in range(20)),
        [{f"{'x' * 5000}{at}": 1.0 for at in range(20)}],
    ),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_whatever_is_misspelt_little_is_compared_to_tell_what_was_meant(name, compared):
    columns, rows = MISSPELT[name]
    reader = RowReader(Signature(task="regression", columns=columns), 100)
    with pytest.raises(RequestError) as caught:
        reader.read(json.dumps({"rows": rows}).encode())
    assert len(caught.value.faults) == 20
    assert len(compared) <= 48
    assert max(map(max, compared), default=0) <= 50


@pytest.mark.parametrize("pieces", [False, True])
def test_little_is_compared_for_tensors_too(pieces, compared):
    column = MISSPELT["categories"][0][0]
    faults = []
    if pieces:
        ColumnCheck(column).listed([f"catgory_{at}" for at in range(900)], "BYTES", faults)
    else:
        ColumnCheck(column).texts([f"catgory_{at}".encode() for at in range(900)], faults)
    assert len(faults) == 20
    assert faults[0].hint == "did you mean 'category_0'?"
    assert 0 < len(compared) <= 48


def test_a_column_that_came_is_not_taken_for_a_misspelt_one():
    columns = tuple(Column(name=name, type=ColumnType.NUMBER) for name in ("age_1", "age_2"))
    with pytest.raises(RequestError) as caught:
        RowReader(Signature(task="regression", columns=columns), 10).read(b'{"rows": [{"age_1": 1}, {"age_1": 1, "AGE_2": 1}]}')
    assert [(fault.path, fault.hint) for fault in caught.value.faults][:2] == [
        ("rows[0].age_2", ""),
        ("rows[1].age_2", "did you mean 'AGE_2'?"),
    ]


def test_a_policy_without_a_list_to_hold_it_by_is_no_signature():
    with pytest.raises(ValueError, match="town: unknown: refuse needs the list"):
        Column(name="town", type=ColumnType.CATEGORY, unknown=Unknown.REFUSE)


@given(st.dictionaries(st.sampled_from([*ROW, "agee", ""]), any_value), st.sampled_from([*ROW]))
@settings(max_examples=2000, deadline=None)
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


@pytest.mark.parametrize("name", ['height "in"', "back\\slash", "tab\there", "two\nlines"])
def test_a_column_of_any_name_is_read(name):
    """msgspec cannot express these names; a table with one of them ended the worker."""
    reader = RowReader(Signature(task="regression", columns=(Column(name=name, type=ColumnType.NUMBER, maximum=9),)), 10)
    assert reader.read(json.dumps({"rows": [{name: 1.5}]}).encode()).tuples == [(1.5,)]
    with pytest.raises(RequestError) as caught:
        reader.read(json.dumps({"rows": [{name: 10}]}).encode())
    assert caught.value.faults[0].path == f"rows[0].{name}"


def test_a_limit_that_no_machine_integer_reaches_is_held_to():
    reader = RowReader(Signature(task="regression", columns=(Column(name="n", type=ColumnType.INTEGER, minimum=1e30),)), 10)
    assert reader.read(json.dumps({"rows": [{"n": 10**31}]}).encode()).n == 1
    with pytest.raises(RequestError):
        reader.read(b'{"rows": [{"n": 5}]}')

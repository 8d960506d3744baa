"""Ten thousand requests that break the signature, one way or several: each is a 422 that names every row and field, and the next good request is untouched."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.errors import FlyballError
from flyball.gateway.problems import problem_of
from flyball.gateway.validation import MAX_FAULTS, RowReader
from flyball.records.signature import Column, ColumnType, Signature, Unknown

COLUMNS = (
    Column(name="age", type=ColumnType.NUMBER, minimum=0, maximum=150),
    Column(name="income", type=ColumnType.NUMBER, missing=True),
    Column(name="visits", type=ColumnType.INTEGER, minimum=0),
    Column(name="member", type=ColumnType.BOOLEAN),
    Column(name="town", type=ColumnType.CATEGORY, categories=("Oslo", "Rome", "São Paulo"), unknown=Unknown.REFUSE),
    Column(name="note", type=ColumnType.CATEGORY, missing=True),
)
READER = RowReader(Signature(task="binary", columns=COLUMNS, classes=("no", "yes")), 1000)
ROW = {"age": 41.5, "income": 1000.0, "visits": 3, "member": True, "town": "Oslo", "note": "a:b"}
GOOD = json.dumps({"rows": [ROW, {**ROW, "income": None, "town": "São Paulo"}]}).encode()
ALLOWED_MISSING = {column.name for column in COLUMNS if column.missing}

texts = st.text(max_size=8)
containers = (
    st.just([]) | st.just({}) | st.lists(st.integers(), max_size=2) | st.dictionaries(st.just("age"), st.floats(allow_nan=False))
)
no_numbers = texts | st.booleans() | containers
beyond = (
    st.floats(min_value=3.5e38, allow_infinity=False)
    | st.floats(max_value=-3.5e38, allow_infinity=False)
    | st.integers(min_value=10**39, max_value=10**60)
)
not_finite = st.sampled_from([float("nan"), float("inf"), float("-inf")])
fractions = st.floats(min_value=0.001, max_value=0.999).flatmap(lambda part: st.integers(0, 1000).map(lambda whole: whole + part))
WRONG = {
    "age": no_numbers | beyond | not_finite | st.floats(min_value=150.001, max_value=1e30) | st.floats(max_value=-1e-6, min_value=-1e30),
    "income": no_numbers | beyond | not_finite,
    "visits": no_numbers | beyond | not_finite | fractions | st.integers(max_value=-1, min_value=-(10**20)),
    "member": texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | containers,
    "town": st.integers() | st.booleans() | containers | texts.filter(lambda text: text not in COLUMNS[4].categories),
    "note": st.integers() | st.booleans() | containers | texts.map(lambda text: text + "\0"),
}  # fmt: skip


@st.composite
def violation(draw, name):
    """(what is taken out of the row, what is put in, which fields are to be named)"""
    kinds = ["wrong", "renamed", "nested"] + ([] if name in ALLOWED_MISSING else ["null", "absent"])
    kind = draw(st.sampled_from(kinds))
    if kind == "wrong":
        return None, {name: draw(WRONG[name])}, {name}
    if kind == "nested":
        return None, {name: {name: ROW[name]}}, {name}
    if kind == "null":
        return None, {name: None}, {name}
    if kind == "absent":
        return name, {}, {name}
    other = draw(st.sampled_from([name.upper(), name + " ", "_" + name]))
    return name, {other: ROW[name]}, {other} if name in ALLOWED_MISSING else {name, other}


@st.composite
def broken_requests(draw):
    """(body, the paths of all that is wrong)"""
    rows = [dict(ROW) for _ in range(draw(st.integers(1, 4)))]
    paths = set()
    for at, name in draw(st.sets(st.tuples(st.integers(0, len(rows) - 1), st.sampled_from(sorted(ROW))), min_size=1, max_size=4)):
        gone, changes, named = draw(violation(name))
        rows[at].pop(gone, None)
        rows[at] |= changes
        paths |= {f"rows[{at}].{field}" for field in named}
    if draw(st.integers(0, 9)) == 0:
        rows[0]["more"] = draw(no_numbers)
        paths.add("rows[0].more")
    return rows, paths


def refused(body):
    """As the gateway answers: any other exception than its own would be a 500."""
    try:
        READER.read(body)
    except FlyballError as error:
        return problem_of(error)
    return None


def check(request):
    rows, paths = request
    answer = refused(json.dumps({"rows": rows}).encode())
    assert answer is not None
    assert answer.status == 422
    faults = json.loads(answer.body)["faults"]
    assert len(paths) < MAX_FAULTS
    assert {fault["path"] for fault in faults} == paths
    assert {f"rows[{fault['row']}].{fault['field']}" for fault in faults} == paths
    assert all(fault["found"] and fault["expected"] for fault in faults)
    assert READER.read(GOOD).tuples == [(41.5, 1000.0, 3, True, "Oslo", "a:b"), (41.5, None, 3, True, "São Paulo", "a:b")]


@given(broken_requests())
@settings(max_examples=500, derandomize=True, database=None, deadline=None)
def test_every_violation_is_a_422_that_names_row_and_field_and_leaves_the_next_request_alone(request):
    check(request)


@pytest.mark.slow
@given(broken_requests())
@settings(max_examples=10_000, derandomize=True, database=None, deadline=None)
def test_ten_thousand_violations_are_each_named(request):
    check(request)

"""Ten thousand requests that break the signature, one way or several: each is a 422 that names every row and field, and the next good request is untouched."""

import json
from random import Random

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


def text_of(draw):
    return "".join(draw.choice(["a", "Ω", "é", "7", " ", "\0", "\u2028", "😀", '"', "\\"]) for _ in range(draw.randrange(9)))


def number_beyond(draw):
    return draw.choice([3.5e38, -3.5e38, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 10 ** draw.randint(39, 60)])


def container(draw):
    return draw.choice([[], {}, [draw.randrange(9)], [1, 2], {"age": draw.random()}])


def no_number(draw):
    return draw.choice([text_of, lambda _: draw.random() < 0.5, container])(draw)


QUICKLY_WRONG = {
    "age": [no_number, number_beyond, lambda draw: draw.uniform(150.001, 1e30), lambda draw: -draw.uniform(1e-6, 1e30)],
    "income": [no_number, number_beyond],
    "visits": [no_number, number_beyond, lambda draw: draw.randrange(1000) + draw.uniform(0.001, 0.999), lambda draw: -draw.randint(1, 10**20)],
    "member": [text_of, lambda draw: draw.randint(-9, 9), lambda draw: draw.uniform(-9, 9), container],
    "town": [lambda draw: draw.randint(-9, 9), lambda draw: draw.random() < 0.5, container, text_of],
    "note": [lambda draw: draw.randint(-9, 9), lambda draw: draw.random() < 0.5, container, lambda draw: text_of(draw) + "\0"],
}  # fmt: skip


def quickly_broken(draw):
    """As `broken_requests`, in a sixtieth of the time: what fails here is not made smaller."""
    rows, paths = [dict(ROW) for _ in range(draw.randint(1, 4))], set()
    for at, name in {(draw.randrange(len(rows)), draw.choice(sorted(ROW))) for _ in range(draw.randint(1, 4))}:
        named, value = {name}, rows[at].pop(name)
        kind = draw.choice(["wrong", "wrong", "renamed", "nested", *([] if name in ALLOWED_MISSING else ["null", "absent"])])
        if kind == "renamed":
            other = draw.choice([name.upper(), name + " ", "_" + name])
            rows[at][other] = value
            named = {other} if name in ALLOWED_MISSING else {name, other}
        elif kind != "absent":
            rows[at][name] = {"nested": {name: value}, "null": None, "wrong": draw.choice(QUICKLY_WRONG[name])(draw)}[kind]
        paths |= {f"rows[{at}].{field}" for field in named}
    if draw.randrange(10) == 0:
        rows[0]["more"] = no_number(draw)
        paths.add("rows[0].more")
    return rows, paths


@pytest.mark.slow
def test_ten_thousand_violations_are_each_named():
    draw = Random(20261128)
    for _ in range(10_000):
        check(quickly_broken(draw))

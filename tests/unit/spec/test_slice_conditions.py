import pytest

from flyball.errors import SpecError
from flyball.spec.load import parse_project
from flyball.spec.slice_conditions import compile_slice

TYPES = {
    "origin": "category",
    "minute_of_day": "integer",
    "price": "number",
    "express": "boolean",
    "lead time": "number",
    "any": None,
}


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("origin == 'JFK' && minute_of_day > 1080", ("minute_of_day", "origin")),
        ("minute_of_day % 60 == 0", ("minute_of_day",)),
        ("express", ("express",)),
        ("!express && price > 3", ("express", "price")),
        ("price == null", ("price",)),
        ("origin.startsWith('J') || origin in ['LGA', 'EWR']", ("origin",)),
        ("features['lead time'] > 30", ("lead time",)),
        ("any > 3", ("any",)),
        ("any == 'x'", ("any",)),
        ("any", ("any",)),
        ("any % 2 == 0", ("any",)),
        ("'express' == origin", ("origin",)),
        ("int(origin) > 3", ("origin",)),
    ],
)
def test_a_good_condition_names_its_features(text, features):
    assert compile_slice(text, TYPES).features == features


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("orign == 'JFK'", "did you mean origin"),
        ("features['lead tim'] > 3", "did you mean features\\['lead time'\\]"),
        ("lead > 3", "did you mean features\\['lead time'\\]"),
        ("nothing_like > 3", "'nothing_like'"),
        ("origin ==", "CEL"),
        ("true", "over features"),
        ("price + 1.0", "true or false"),
        ("price % 2 == 0", "can be evaluated"),
        ("origin > 3", "can be evaluated"),
        ("drift.alarm", "names of features"),
    ],
)
def test_a_bad_condition_is_answered_with_what_was_found_and_meant(text, said):
    with pytest.raises(ValueError, match=said):
        compile_slice(text, TYPES)


@pytest.mark.parametrize(
    ("text", "row", "inside"),
    [
        ("origin == 'JFK' && minute_of_day > 1080", {"origin": "JFK", "minute_of_day": 1081}, True),
        ("origin == 'JFK' && minute_of_day > 1080", {"origin": "LGA", "minute_of_day": 1081}, False),
        ("minute_of_day > 1080", {"minute_of_day": None}, False),
        ("!(minute_of_day > 1080)", {"minute_of_day": None}, False),
        ("minute_of_day == null || minute_of_day > 1080", {"minute_of_day": None}, True),
        ("price > 3", {"price": 3.5}, True),
        ("features['lead time'] > 30", {"lead time": 31.0}, True),
    ],
)
def test_a_row_with_a_missing_value_is_in_the_slice_only_where_the_condition_says_so(text, row, inside):
    assert compile_slice(text, TYPES).holds(row) is inside


SPEC = """
project: shop
model: returns
task: binary
data:
  source: {files: "data/*.csv"}
  time: at
  key: id
  label: returned
  features: {origin: category, minute_of_day: integer, email: category}
train: {entrypoint: "pipeline:train"}
capture: {fields: {email: hash}}
monitor:
  slices:
    - {name: evenings, where: "orign == 'JFK'"}
    - {name: evenings, where: "minute_of_day > 1080"}
    - {name: mine, where: "email == 'me@example.org'"}
    - {name: Bad Name, were: "minute_of_day > 1080"}
"""


def test_every_fault_of_declared_slices_is_told_at_once_with_its_place():
    with pytest.raises(SpecError) as told:
        parse_project(SPEC)
    faults = {fault.path: f"{fault.found} | {fault.expected} | {fault.hint}" for fault in told.value.faults}
    assert "did you mean origin" in faults["monitor.slices[0].where"]
    assert "(line 15)" in faults["monitor.slices[0].where"]
    assert "monitor.slices[0]" in faults["monitor.slices[1].name"]
    assert "email" in faults["monitor.slices[2].where"]
    assert "did you mean where" in faults["monitor.slices[3].were"]
    assert "monitor.slices[3].name" in faults


def test_a_row_on_which_arithmetic_has_no_answer_is_not_in_the_slice():
    condition = compile_slice("100 / minute_of_day > 10", TYPES)
    assert [condition.holds({"minute_of_day": value}) for value in (5, 0, 50)] == [True, False, False]

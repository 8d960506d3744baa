import re
from itertools import product
from time import process_time

import pytest

from flyball.records.signals import SIGNALS
from flyball.spec import conditions
from flyball.spec.conditions import check_condition, nested


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("performance.alarm && champion.age_days > 7", ("champion.age_days", "performance.alarm")),
        ("drift.features >= 3 || !drift.predictions", ("drift.features", "drift.predictions")),
        ("performance.loss_increase > 0.02 ? serving.alarm : false", ("performance.loss_increase", "serving.alarm")),
        ("champion.age_days + 1.0 > 1e3", ("champion.age_days",)),
        ("'drift.nonsense' == 'x' || drift.alarm", ("drift.alarm",)),
        ("has(drift.alarm)", ("drift.alarm",)),
        ("window.labels in [1, 2]", ("window.labels",)),
        ("true", ()),
    ],
)
def test_a_good_condition_names_its_signals(text, names):
    assert check_condition(text) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("performanc.alarm", "did you mean performance.alarm"),
        ("drift.featurs > 2", "did you mean drift.features"),
        ("drift", "did you mean drift.alarm"),
        ("nonsense.of_mine && drift.alarm", "'nonsense.of_mine'"),
        ("champion['age_days'] > 1.0", "did you mean champion.age_days"),
        ("drift.alarm &&", "Syntax error"),
        ("", "CEL"),
        ("champion.age_days", "true or false"),
        ("champion.age_days + 1 > 3", "float \\+ int"),
        ("drift.alarm > 1", "can be evaluated"),
        ("drift.alarm ? champion.age_days + 1 > 3 : false", "float \\+ int"),
        ("size(drift.features) > 1", "can be evaluated"),
        ("1 / drift.features > 0", "division by zero"),
        ("drift.features * 9223372036854775807 > 0", "overflow"),
        ("[1, 2][drift.features + 5] == 1", "index out of bounds"),
        ("{'a': 1}['b'] == drift.features", "can be evaluated"),
    ],
)
def test_a_bad_condition_is_answered_with_what_was_found_and_meant(text, said):
    with pytest.raises(ValueError, match=said):
        check_condition(text)


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_can_be_used(name):
    assert check_condition(name if SIGNALS[name].type is bool else f"{name} > 1") == (name,)


FLAGS = [name for name in SIGNALS if SIGNALS[name].type is bool]


def test_many_flags_are_checked_by_few_of_their_combinations():
    assert len(FLAGS) > 12
    began = process_time()
    assert check_condition(" || ".join(FLAGS)) == tuple(sorted(FLAGS))
    assert process_time() - began < 1.0  # every combination took half a minute for 18


@pytest.mark.parametrize(
    "guard",
    [" && ".join(FLAGS), " && ".join(FLAGS[:-1]) + f" && !{FLAGS[-1]}", f"!({' || '.join(FLAGS)})", f"{FLAGS[0]} && {FLAGS[5]} && !({' || '.join(FLAGS[6:])})"],
)  # fmt: skip
def test_what_does_not_fit_is_found_behind_all_flags_one_of_them_two_or_none(guard):
    with pytest.raises(ValueError, match="float \\+ int"):
        check_condition(f"({guard}) ? champion.age_days + 1 > 3 : false")


def test_values_are_nested_and_given_the_type_that_the_table_says():
    assert nested({"champion.age_days": 3, "drift.features": 2, "unknown": 1}) == {
        "champion": {"age_days": 3.0},
        "drift": {"features": 2},
    }


WHOLE, BROKEN = (next(name for name in SIGNALS if SIGNALS[name].type is wanted) for wanted in (int, float))
LITERALS = ("0", "7", "-7", "007", "0.05", "-1.5", "9" * 15, f"{'9' * 15}.{'9' * 15}", f"-{'9' * 15}")
TERMS = [
    *(f"{name}{space}{sign}{space}{literal}" for name in (WHOLE, BROKEN) for sign in ("<", "<=", ">", ">=", "==", "!=")
      for literal in LITERALS for space in ("", " ")),
    *(f"{no}{name}" for no in ("", "!") for name in FLAGS),
]  # fmt: skip
PLAIN = [
    *TERMS,
    *(f"{one}{join}{other}" for one, other in zip(TERMS, TERMS[::-1], strict=True) for join in ("&&", " || ", "\n&&\t")),
    *(" ".join((one, *(f"{join} {one}" for join in joins))) for one in (TERMS[0], TERMS[-1]) for joins in product(("&&", "||"), repeat=7)),
    f"\r\n {FLAGS[0]}\t",
]  # fmt: skip


def test_what_needs_no_compiler_is_what_the_compiler_takes(monkeypatch):
    """Each is known to be sound without CEL, and found to be the same by it."""
    monkeypatch.setattr(conditions, "compiled", lambda _text: pytest.fail("compiled"))
    unasked = {text: check_condition.__wrapped__(text) for text in PLAIN}
    monkeypatch.undo()
    monkeypatch.setattr(conditions, "_PLAIN", re.compile("$never"))
    assert {text: check_condition.__wrapped__(text) for text in PLAIN} == unasked


@pytest.mark.parametrize(
    "text",
    ["drift.alarm2", "drift.alarm &&", "&& drift.alarm", "!!drift.alarm", "drift.alarm > 1", "!drift.features > 1", "drift.features > 1 > 0",
     "drift.features", "drift.features > 9223372036854775808", "drift.features > 5.", "drift.features > .5", "drift.features > ٣",
     "drift.alarm drift.alarm", "drift.alarm\v", "(drift.alarm)", "drift . alarm", "drift.alarm & drift.alarm", " && ".join(["drift.alarm"] * 9), ""],
)  # fmt: skip
def test_the_compiler_is_asked_about_everything_else(text):
    assert conditions._PLAIN.fullmatch(text) is None

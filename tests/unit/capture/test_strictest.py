"""Rules of several packages and of a routing file, as one."""

import pytest

from flyball.capture.strictest import loosened, replaced, strictest
from flyball.records.keeping import Keeping


def test_the_strictest_rule_of_each_column_wins_whatever_their_order() -> None:
    one = Keeping(drop=("a",), hash=("b", "d"), sample={"c": 0.1, "e": 0.5}, keys="hash")
    other = Keeping(drop=("d",), hash=("a", "c"), sample={"b": 0.1, "e": 0.2}, keys="keep")
    both = Keeping(drop=("a", "d"), hash=("b", "c"), sample={"e": 0.2}, keys="hash")
    assert strictest([one, other]) == strictest([other, one]) == both


def test_what_says_nothing_loosens_nothing() -> None:
    rules = Keeping(drop=("a",), hash=("b",), sample={"c": 0.5}, keys="drop")
    assert strictest([rules, Keeping()]) == strictest([rules]) == rules
    assert replaced(rules, {}, None) == rules
    assert strictest([]) == Keeping()


def test_a_rule_is_replaced_for_each_column_that_is_named_and_for_no_other() -> None:
    before = Keeping(drop=("a", "b"), hash=("c", "d"), sample={"e": 0.5, "f": 0.5}, keys="hash")
    after = replaced(before, {"a": "hash", "c": "keep", "e": "drop", "f": 0.1, "g": 0.25, "h": 1.0}, "drop")
    assert after == Keeping(drop=("b", "e"), hash=("a", "d"), sample={"f": 0.1, "g": 0.25}, keys="drop")


@pytest.mark.parametrize(
    ("rules", "keys", "told"),
    [
        ({}, None, ()),
        ({"dropped": "hash"}, None, ("dropped",)),
        ({"hashed": 0.5, "sampled": 0.1}, None, ("hashed",)),
        ({"sampled": 0.6}, "keep", ("sampled", "the requests' keys")),
        ({"hashed": "drop", "sampled": "hash", "other": "keep"}, "drop", ()),
    ],
)
def test_what_is_kept_more_of_is_known(rules: dict, keys: str | None, told: tuple[str, ...]) -> None:
    before = Keeping(drop=("dropped",), hash=("hashed",), sample={"sampled": 0.5}, keys="hash")
    assert loosened(before, replaced(before, rules, keys)) == told

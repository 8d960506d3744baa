"""From flyball.yaml to what gateways keep: no rule is lost on the way."""

from typing import Any

from flyball.control.keeping import keeping_of
from flyball.records.keeping import Keeping
from flyball.spec import ProjectSpec


def spec(features: list[str], **capture: Any) -> ProjectSpec:
    return ProjectSpec.model_validate({
        "project": "shop", "model": "shop", "task": "binary", "train": {"entrypoint": "pipeline:train"}, "capture": capture,
        "data": {"source": {"files": "*.csv"}, "features": features, "time": "at", "key": "id", "label": "y"},
    })  # fmt: skip


FEATURES = ["email", "customer", "note", "price"]


def test_without_a_rule_there_is_none() -> None:
    assert keeping_of(spec(FEATURES), None) is None
    assert keeping_of(spec(FEATURES, fields={"price": "keep", "note": {"sample": 1.0}}), None) is None


def test_every_rule_is_in_the_record_whatever_its_order() -> None:
    rules = {"note": {"sample": "10%"}, "email": "drop", "customer": "hash", "price": "keep"}
    wanted = Keeping(drop=("email",), hash=("customer",), sample={"note": 0.1}, keys="hash")
    for order in (rules, dict(reversed(rules.items()))):
        assert keeping_of(spec(FEATURES, fields=order, keys="hash"), None) == wanted


def test_a_column_that_is_no_feature_any_more_keeps_its_rule_and_one_that_is_follows_the_file() -> None:
    standing = Keeping(drop=("email",), hash=("customer",), sample={"note": 0.1}, keys="drop")
    assert keeping_of(spec(["price"]), standing) == Keeping(drop=("email",), hash=("customer",), sample={"note": 0.1})
    assert keeping_of(spec(FEATURES), standing) is None


def test_a_rule_that_left_before_anything_was_served_comes_with_the_package_that_takes_its_column() -> None:
    first, second = Keeping(hash=("email",), sample={"note": 0.5}, keys="hash"), Keeping(drop=("email",), sample={"note": 0.1})
    assert keeping_of(spec(["price"]), None, [first]) == Keeping(hash=("email",), sample={"note": 0.5})
    assert keeping_of(spec(["price"]), first, [second]) == Keeping(drop=("email",), sample={"note": 0.1})
    assert keeping_of(spec(FEATURES), None, [first, second]) is None

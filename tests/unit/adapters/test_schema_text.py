"""Features are added to schema.yaml, and every line that stands there stays."""

import pytest
import yaml

from flyball.adapters.schema_text import begun, content_of, with_features

ADDED = {"humidity": {"type": "number", "missing": True}, "sky": {"type": "category", "categories": ["clear", "no", "01"]}}

BLOCK = """\
# Ours.
unknown: as_trained
features:  # all of them
  # by the clock
  hour: {type: integer}

  carrier:
    type: category
    categories: [AA, B6]  # the large ones
  # wind: {type: number}

# What requests may bring.
extra: refuse
"""


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        BLOCK.replace("\n", "\r\n"),
        "features:\n    hour:\n        type: integer",
        "\ufefffeatures:\n hour: {type: integer}\n",
        "features: {}\nextra: ignore\n",
        "features: {hour: {type: integer}} # short\n",
        "features: {\n  hour: {type: integer}, # by the clock\n}\n",
        "---\nfeatures:\n  hour: &whole {type: integer}\n  day: *whole\n...\n",
        "features: &base\n  hour: {type: integer}\nextra: ignore\n",
        begun({"unknown": "as_trained", "features": {"hour": {"type": "integer"}}}),
    ],
)
def test_features_are_added_and_the_rest_stays(text: str) -> None:
    longer = with_features(text, ADDED)
    assert longer is not None
    before, after = content_of(text), content_of(longer)
    assert after == {**before, "features": {**before["features"], **ADDED}}
    rest = iter(longer)
    assert all(character in rest for character in text)  # in order, with the new in between
    assert ("\r\n" in longer) == ("\r\n" in text)
    assert longer.count("\n") == longer.count("\r\n") or "\r\n" not in text
    assert with_features(longer, {"more": {"type": "boolean"}}) is not None


def test_what_stands_below_the_features_belongs_to_what_follows() -> None:
    longer = with_features(BLOCK, {"humidity": {"type": "number"}})
    assert longer == BLOCK.replace("large ones\n", "large ones\n  humidity: {type: number}\n")


@pytest.mark.parametrize(
    "text", ["features: &f {hour: {type: integer}}\nmore: *f\n", "more: &f {a: 1}\nfeatures: *f\n", "- 1", "a: 1"]
)
def test_where_there_is_no_place_for_them_none_is_made_up(text: str) -> None:
    assert with_features(text, ADDED) is None


def test_a_key_that_stands_there_twice_is_told_with_both_lines() -> None:
    with pytest.raises(ValueError, match=r"features\.price stands there twice \(lines 2 and 4\)"):
        content_of("features:\n  price: {type: number, minimum: 0}\n  hour: {type: integer}\n  price: {type: number}\n")
    assert content_of("") is None
    with pytest.raises(yaml.YAMLError):
        content_of("features: [")

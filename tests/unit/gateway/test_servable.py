from typing import Any

import msgspec
import pytest

from flyball.errors import ArtifactDamaged
from flyball.gateway.servable import accepted
from flyball.records import codec
from flyball.records.routing import Route, ServedUnit
from flyball.records.signature import Column, ColumnType, Signature, Unknown, narrower
from flyball.records.unit import Format, Unit

HOUR = Column(name="hour", type=ColumnType.NUMBER)
CARRIER = Column(name="carrier", type=ColumnType.CATEGORY)
OURS = Signature(task="multiclass", columns=(HOUR,), classes=("a", "b", "c"))


def beside(*others: Signature) -> Route:
    """A champion of `OURS`, and whoever stands beside it."""
    units = [
        ServedUnit(
            unit=Unit(id=f"u{at}", model="m", version=at, manifest_digest=str(at), threshold=None, policy_digest=""),
            package="/nowhere", format=Format.ONNX, signature=signature,
        )
        for at, signature in enumerate((OURS, *others))
    ]  # fmt: skip
    return Route(model="m", champion=units[0], shadows=tuple(units[1:]))


def test_a_request_may_bring_what_only_a_challenger_knows() -> None:
    more = msgspec.structs.replace(OURS, columns=(CARRIER, HOUR))
    assert accepted(beside(more)).columns == (HOUR, msgspec.structs.replace(CARRIER, missing=True))


def test_what_the_fallback_does_without_may_be_absent() -> None:
    """Else nobody would ask it, and its release would never hear of those requests."""
    strict = msgspec.structs.replace(OURS, columns=(HOUR, CARRIER))
    loose = msgspec.structs.replace(OURS, columns=(msgspec.structs.replace(HOUR, missing=True),))
    new, old, older = beside(strict, OURS, loose).units[1:]
    optional = [msgspec.structs.replace(each, missing=True) for each in (HOUR, CARRIER)]
    assert accepted(Route(model="m", champion=new, fallback=old)).columns == (HOUR, optional[1])
    assert accepted(Route(model="m", champion=new, fallback=older)).columns == (*optional,)
    assert accepted(Route(model="m", champion=new, shadows=(old,))).columns == (HOUR, CARRIER)


@pytest.mark.parametrize(
    ("new", "old", "taken"),
    [
        ({"minimum": 10, "maximum": 20}, {"minimum": 0, "maximum": 24}, {"minimum": 0, "maximum": 24}),
        ({"minimum": 10, "maximum": 20}, {}, {}),
        ({"minimum": 0}, {"minimum": 10, "maximum": 20}, {"minimum": 0}),
    ],
)
def test_limits_are_the_wider_ones_of_those_who_are_asked(
    new: dict[str, Any], old: dict[str, Any], taken: dict[str, Any]
) -> None:
    hours = [msgspec.structs.replace(HOUR, **each) for each in (new, old, taken)]
    after, before = beside(*(msgspec.structs.replace(OURS, columns=(each,)) for each in hours[:2])).units[1:]
    assert accepted(Route(model="m", champion=after, fallback=before)).columns == (hours[2],)
    assert accepted(Route(model="m", champion=after, shadows=(before,))).columns == (hours[0],)
    assert accepted(Route(model="m", champion=after, fallback=before), after).columns == (hours[0],)


@pytest.mark.parametrize(
    ("new", "old", "taken"),
    [
        ((("AA", "DL"), "refuse"), (("DL", "UA"), "refuse"), (("AA", "DL", "UA"), "refuse")),
        ((("AA", "DL"), "refuse"), (("DL", "UA"), "flag"), (("AA", "DL", "UA"), "flag")),
        ((("AA", "DL"), "refuse"), (None, "as_trained"), (("AA", "DL"), "as_trained")),
        ((("AA", "DL"), "flag"), (("DL", "UA"), "refuse"), (("AA", "DL"), "flag")),
        ((None, "as_trained"), (("DL", "UA"), "flag"), (None, "as_trained")),
    ],
)
def test_categories_are_those_of_all_who_are_asked(new: Any, old: Any, taken: Any) -> None:
    carriers = [
        msgspec.structs.replace(CARRIER, categories=categories, unknown=Unknown(word)) for categories, word in (new, old, taken)
    ]
    after, before = beside(*(msgspec.structs.replace(OURS, columns=(each,)) for each in carriers[:2])).units[1:]
    assert accepted(Route(model="m", champion=after, fallback=before)).columns == (carriers[2],)


def test_of_a_column_that_the_last_one_does_not_take_the_type_is_held_against_it_alone() -> None:
    full = msgspec.structs.replace(HOUR, minimum=0, maximum=24)
    listed = Column(name="carrier", type=ColumnType.CATEGORY, categories=("AA",), unknown=Unknown.REFUSE)
    new, old = beside(msgspec.structs.replace(OURS, columns=(HOUR, listed)), OURS).units[1:]
    free = msgspec.structs.replace(listed, missing=True, unknown=Unknown.AS_TRAINED)
    for route in (Route(model="m", champion=new, fallback=old), Route(model="m", champion=old, canary=new)):
        assert accepted(route).columns == (HOUR, free)
    limited, bare = beside(*(msgspec.structs.replace(OURS, columns=(each,)) for each in (full, CARRIER))).units[1:]
    taken = accepted(Route(model="m", champion=bare, shadows=(limited,))).columns
    assert taken == (CARRIER, msgspec.structs.replace(HOUR, missing=True))


def test_what_only_units_of_an_earlier_route_took_may_come_unless_anything_may() -> None:
    old = msgspec.structs.replace(CARRIER, missing=True)
    assert accepted(msgspec.structs.replace(beside(), tolerated=(old,))).columns == (HOUR, old)
    anything = msgspec.structs.replace(beside().champion, signature=msgspec.structs.replace(OURS, extra="ignore"))
    assert accepted(Route(model="m", champion=anything, tolerated=(old,))).columns == (HOUR,)


def test_a_table_that_was_written_before_columns_were_tolerated_is_read() -> None:
    written = msgspec.json.decode(codec.encode(beside()))
    del written["tolerated"]
    assert codec.decode(codec.encode(written), Route) == beside()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            msgspec.structs.replace(OURS, classes=("a", "b", "c", "d")),
            "u1: it answers multiclass \\(a, b, c, d\\); new: d. Expected: multiclass \\(a, b, c\\), as its champion. Next: .*flyball init NAME",
        ),
        (Signature(task="regression", columns=(HOUR,)), "it answers regression; gone: a, b, c. Expected: multiclass"),
        (
            msgspec.structs.replace(OURS, classes=tuple(map(str, range(60)))),
            "it answers multiclass \\(60 classes\\); new: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 50 more; gone: a, b, c",
        ),
        (
            msgspec.structs.replace(OURS, columns=(Column(name="hour", type=ColumnType.INTEGER),)),
            "it takes 'hour' as integer. Expected: number, as its champion. Next: give the feature",
        ),
    ],
)
def test_units_that_cannot_be_asked_the_same_are_refused_in_words(other: Signature, words: str) -> None:
    with pytest.raises(ArtifactDamaged, match=words):
        accepted(beside(other))


LISTED = msgspec.structs.replace(CARRIER, categories=("AA", "DL"))


def refusing(*categories: str) -> Column:
    return msgspec.structs.replace(CARRIER, categories=categories, unknown=Unknown.REFUSE)


@pytest.mark.parametrize(
    ("known", "other", "words"),
    [
        (HOUR, msgspec.structs.replace(HOUR, minimum=0, maximum=24), ["'hour' below 0", "'hour' above 24"]),
        (msgspec.structs.replace(HOUR, minimum=0, maximum=24), HOUR, []),
        (msgspec.structs.replace(HOUR, minimum=0), msgspec.structs.replace(HOUR, minimum=0), []),
        (LISTED, refusing("AA", "DL"), ["categories of 'carrier' that are not in its list"]),
        (refusing("AA", "DL", "UA"), refusing("DL", "ZZ"), ["'carrier' of AA, UA"]),
        (refusing("DL"), refusing("DL", "ZZ"), []),
        (refusing("DL"), LISTED, []),
        (msgspec.structs.replace(HOUR, missing=True), HOUR, []),
        (CARRIER, msgspec.structs.replace(HOUR, maximum=24), []),
    ],
)
def test_what_a_unit_refuses_and_the_one_before_takes_is_told_in_words(known: Column, other: Column, words: list[str]) -> None:
    ours, theirs = (msgspec.structs.replace(OURS, columns=(column,)) for column in (known, other))
    assert [*narrower(ours, theirs)] == words

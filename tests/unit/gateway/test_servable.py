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
    ours = msgspec.structs.replace(ours, extra="ignore")
    assert [*narrower(ours, theirs)] == [*words, "fields that are no columns"]

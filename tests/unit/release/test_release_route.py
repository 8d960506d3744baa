import msgspec
import pytest
from release_cases import HOUR, POLICY, state

from flyball.errors import Conflict
from flyball.records.routing import Route, ServedUnit
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Format, Unit
from flyball.release.policy import BanditRule
from flyball.release.route import MAX_TOLERATED, divided, route, tolerant


def served(unit):
    return ServedUnit(
        unit=Unit(id=unit, model="shop", version=1, manifest_digest="0" * 64, threshold=0.5, policy_digest="0" * 64),
        package=f"/packages/{unit}", format=Format.ONNX, signature=Signature(task="binary", columns=(), classes=("0", "1")),
    )  # fmt: skip


OLD, NEW = served("u1"), served("u2")
ALONE = Route(model="shop", champion=OLD)
BOTH = Route(model="shop", champion=NEW, shadows=(OLD,), fallback=OLD, salt="r-0001")


@pytest.mark.parametrize(
    ("phase", "step", "expected"),
    [
        ("proposed", 0, ALONE),
        ("held", 0, ALONE),
        ("shadow", 0, Route(model="shop", champion=OLD, shadows=(NEW,), salt="r-0001")),
        ("canary", 0, Route(model="shop", champion=OLD, canary=NEW, canary_weight=0.1, shadows=(OLD, NEW), salt="r-0001")),
        ("canary", 1, Route(model="shop", champion=OLD, canary=NEW, canary_weight=0.5, shadows=(OLD, NEW), salt="r-0001")),
        ("canary", 7, Route(model="shop", champion=OLD, canary=NEW, canary_weight=0.0, shadows=(OLD, NEW), salt="r-0001")),
        ("full", 0, BOTH),
        ("watching", 0, BOTH),
        ("settled", 0, Route(model="shop", champion=NEW)),
        ("rolling_back", 0, ALONE),
        ("rolled_back", 0, ALONE),
    ],
)
def test_each_phase_says_who_answers(phase, step, expected):
    release = state(phase, step=step)
    assert route("shop", release, OLD, NEW, None, POLICY) == expected
    # and whether or not the ledger calls the challenger champion already
    assert route("shop", release, NEW, NEW, OLD, POLICY) == expected


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("proposed", None),
        ("held", None),
        ("full", Route(model="shop", champion=NEW, salt="r-0001")),
        ("watching", Route(model="shop", champion=NEW, salt="r-0001")),
        ("settled", Route(model="shop", champion=NEW)),
        ("rolling_back", None),
        ("rolled_back", None),
    ],
)
def test_a_first_release_has_nobody_beside_it(phase, expected):
    assert route("shop", state(phase, champion=None), None, NEW, None, POLICY) == expected


def test_without_a_release_the_champion_answers_alone():
    assert route("shop", None, OLD, None, None, POLICY) == ALONE
    assert route("shop", None, None, None, None, POLICY) is None


def test_a_unit_that_is_not_there_is_named():
    with pytest.raises(Conflict, match="needs the unit u2, found u1"):
        route("shop", state("canary"), OLD, None, None, POLICY)
    with pytest.raises(Conflict, match="no champion to stand beside"):
        route("shop", state("shadow", champion=None), None, NEW, None, POLICY)


@pytest.mark.parametrize("phase", ["full", "watching", "settled"])
def test_who_has_all_traffic_needs_no_unit_before_it(phase):
    salt = "" if phase == "settled" else "r-0001"
    assert route("shop", state(phase), NEW, NEW, None, POLICY) == Route(model="shop", champion=NEW, salt=salt)


def taking(unit, *names, **limits):
    columns = tuple(Column(name=name, type=ColumnType.NUMBER, **limits) for name in names)
    return msgspec.structs.replace(unit, signature=msgspec.structs.replace(unit.signature, columns=columns))


def test_columns_of_a_route_before_are_tolerated_until_a_unit_takes_them_again():
    first = Route(
        model="shop",
        champion=taking(OLD, "a", "b", minimum=0),
        tolerated=(Column(name="z", type=ColumnType.CATEGORY, missing=True),),
    )
    later = tolerant(Route(model="shop", champion=taking(NEW, "a")), first)
    assert later.tolerated == (Column(name="b", type=ColumnType.NUMBER, missing=True), *first.tolerated)
    assert tolerant(msgspec.structs.replace(later, tolerated=()), later) == later
    assert [column.name for column in tolerant(first, later).tolerated] == ["z"]


def test_of_columns_that_are_tolerated_the_newest_are_kept():
    standing = Route(model="shop", champion=OLD)
    for at in range(0, MAX_TOLERATED + 20, 10):
        standing = tolerant(Route(model="shop", champion=taking(OLD, *(f"c{at + more}" for more in range(10)))), standing)
    last = tolerant(ALONE, standing).tolerated
    assert len(last) == MAX_TOLERATED
    names = {column.name for column in last}
    assert f"c{MAX_TOLERATED + 19}" in names
    assert "c0" not in names


def test_a_share_that_a_bandit_moved_stands_as_long_as_there_is_one():
    release = msgspec.structs.replace(state("canary", step=1), weight=0.95)
    standing = route("shop", release, OLD, NEW, None, POLICY)
    bandit = msgspec.structs.replace(POLICY, bandit=BanditRule(least=0.05, most=0.95, every=HOUR))
    assert divided(standing, release, bandit) == standing
    assert divided(standing, release, POLICY) == route("shop", state("canary", step=1), OLD, NEW, None, POLICY)

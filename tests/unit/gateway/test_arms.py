"""Which keys the arms of an experiment answer, and which of them move when a weight does."""

from collections import Counter
from itertools import permutations

import pytest

from flyball.gateway.arms import ArmKeys
from flyball.records.routing import Places, share

KEYS = [f"c{number}" for number in range(4000)]


def owners(*weights, salt="x"):
    """Of each key; the champion's number is the first behind the arms'."""
    found = ArmKeys(weights, salt).divided(KEYS, range(len(KEYS)))
    assert sorted(at for rows in found for at in rows) == list(range(len(KEYS)))
    assert all(rows == sorted(rows) for rows in found)
    of = {at: owner for owner, rows in enumerate(found) for at in rows}
    return [of[at] for at in range(len(KEYS))]


@pytest.mark.parametrize(
    "weights",
    [
        (0.1,),
        (0.1, 0.1),
        (0.7, 0.3),
        (0.25, 0.25, 0.25),
        (1 / 3,) * 3,
        (0.4, 0.4, 0.05),
        (0.1,) * 10,
        (0.8, 0.1, 0.05, 0.0),
        (1.0,),
    ],
)
def test_each_arm_has_its_share_and_the_champion_the_rest(weights):
    for order in set(permutations(weights)) if len(weights) < 5 else [weights]:
        found = Counter(owners(*order))
        for arm, weight in enumerate([*order, max(1 - sum(order), 0.0)]):
            assert abs(found[arm] / len(KEYS) - weight) < 5 * (weight * (1 - weight) / len(KEYS)) ** 0.5 + 1e-9


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.5, 0.999, 1.0])
def test_one_arm_has_the_keys_that_it_always_had(weight):
    places = Places("x")
    assert owners(weight) == [int(places.of(key) >= share(weight)) for key in KEYS]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((0.1, 0.1), (0.2, 0.1)),
        ((0.1, 0.1), (0.9, 0.1)),
        ((0.7, 0.1), (0.7, 0.3)),
        ((0.1, 0.6), (0.3, 0.6)),
        ((0.0, 0.5), (0.5, 0.5)),
        ((0.1, 0.2, 0.3), (0.3, 0.2, 0.3)),
        ((0.1, 0.1, 0.1), (0.1, 0.6, 0.1)),
        ((0.1, 0.1, 0.1, 0.1), (0.1, 0.1, 0.0, 0.1)),
    ],
)
def test_a_change_of_one_weight_moves_keys_between_that_arm_and_the_champion_only(before, after):
    (changed,) = (arm for arm, weights in enumerate(zip(before, after, strict=True)) if weights[0] != weights[1])
    champion = len(before)
    grows = after[changed] > before[changed]
    moved = {each for each in zip(owners(*before), owners(*after), strict=True) if each[0] != each[1]}
    assert moved == {(champion, changed) if grows else (changed, champion)}


def test_of_arms_beyond_their_slots_no_more_moves_than_twice_what_must():
    before, after = owners(0.4, 0.4, 0.05), owners(0.45, 0.4, 0.05)
    assert 0.04 < sum(was != now for was, now in zip(before, after, strict=True)) / len(KEYS) < 0.12

"""What fails is tried ever more seldom, told at every look, and keeps nothing in memory that was gathered for it."""

from datetime import UTC, datetime, timedelta

import pytest
from ledger_world import world_at

from flyball.adapters.clock import SimulatedClock
from flyball.control.retrying import Retries
from flyball.control.world import World
from flyball.errors import Fenced

AT, SECOND = datetime(2026, 6, 1, tzinfo=UTC), timedelta(seconds=1)


class Act:
    """Fails until it is mended."""

    def __init__(self) -> None:
        self.error: Exception | None = KeyError("x")
        self.tries = 0

    def __call__(self) -> None:
        gathered = [self] * 3
        self.tries += 1
        if self.error is not None and gathered:
            raise self.error


@pytest.fixture
def world() -> World:
    return world_at(AT)


def looks(world: World, retries: Retries[str], act: Act, seconds: int) -> list[Exception]:
    assert isinstance(world.ports.clock, SimulatedClock)
    trouble: list[Exception] = []
    for _ in range(seconds):
        retries.tried("u", act, trouble)
        world.ports.clock.sleep(SECOND)
    return trouble


def test_what_fails_is_tried_ever_more_seldom_and_told_at_every_look_until_it_is_done(world: World) -> None:
    retries, act = Retries[str](world), Act()
    assert looks(world, retries, act, 3600) == [act.error] * 3600
    assert act.tries == 15  # eleven within 1,023 seconds, then one every ten minutes
    assert retries.for_long("u", 3600 * SECOND)
    act.error = None
    told = looks(world, retries, act, 601)
    assert len(told) < 600, "it was due within ten minutes, and nothing is told since"
    assert not retries.for_long("u", 0 * SECOND)


def test_an_error_that_is_told_again_and_again_grows_nowhere_and_holds_no_data(world: World) -> None:
    def depth(error: Exception) -> int:
        place, found = error.__traceback__, 0
        while place is not None:
            assert "gathered" not in place.tb_frame.f_locals
            place, found = place.tb_next, found + 1
        return found

    retries, act = Retries[str](world), Act()
    depths = []
    looks(world, retries, act, 7)
    for _ in range(5):
        world.ports.clock.sleep(SECOND)
        trouble: list[Exception] = []
        retries.tried("u", act, trouble)
        with pytest.raises(KeyError) as raised:
            raise trouble[0]
        depths.append(depth(raised.value))
    assert (act.tries, set(depths)) == (4, {depths[0]})


def test_what_a_newer_controller_refuses_is_not_tried_again(world: World) -> None:
    retries, act = Retries[str](world), Act()
    act.error = Fenced("newer")
    with pytest.raises(Fenced):
        looks(world, retries, act, 1)
    assert not retries.for_long("u", 0 * SECOND)


def test_another_thing_under_the_same_key_is_tried_at_once_and_a_clock_that_is_set_back_keeps_nothing_waiting(
    world: World,
) -> None:
    retries, act = Retries[str](world), Act()
    looks(world, retries, act, 100)
    tries = act.tries
    retries.try_at_once("u")
    looks(world, retries, act, 1)
    assert act.tries == tries + 1
    looks(world, retries, act, 100)
    tries = act.tries
    world.ports = world.ports._replace(clock=SimulatedClock(AT - timedelta(days=1)))
    looks(world, retries, act, 1)
    assert act.tries == tries + 1
    retries.keep(())
    assert not retries.for_long("u", 0 * SECOND)


def test_trouble_that_began_before_a_thing_came_about_is_none_of_its_own(world: World) -> None:
    retries, act = Retries[str](world), Act()
    looks(world, retries, act, 100)
    for at, long in ((AT, True), (AT + SECOND, False)):
        retries.begin_anew("u", at)
        assert retries.for_long("u", 100 * SECOND) is long
    looks(world, retries, act, 100)
    assert retries.for_long("u", 100 * SECOND)

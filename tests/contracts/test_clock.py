"""What the Clock port promises, held against both clocks."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flyball.adapters.clock import SimulatedClock, SystemClock

START = datetime(2013, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("clock", [SystemClock(), SimulatedClock(START)], ids=["system", "simulated"])
def test_time_is_utc_never_goes_back_and_sleeping_moves_it_on(clock: SystemClock | SimulatedClock) -> None:
    seen = [clock.now() for _ in range(100)]
    assert all(at.utcoffset() == timedelta(0) for at in seen)
    assert seen == sorted(seen)
    clock.sleep(timedelta(milliseconds=5))
    assert clock.now() >= seen[-1] + timedelta(milliseconds=5)
    clock.sleep(timedelta(seconds=-1))
    assert clock.now() >= seen[-1] + timedelta(milliseconds=5)


def test_simulated_time_moves_only_when_told_and_costs_nothing() -> None:
    clock = SimulatedClock(START)
    assert clock.now() == clock.now() == START
    clock.sleep(timedelta(days=300))
    clock.advance_to(START)
    assert clock.now() == START + timedelta(days=300)
    clock.advance_to(datetime(2014, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == datetime(2014, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="zone"):
        SimulatedClock(datetime(2013, 1, 1))  # noqa: DTZ001


class Machine:
    """A wall clock that somebody sets, and seconds that pass whatever it says."""

    def __init__(self) -> None:
        self.seconds, self.wrong = 0.0, timedelta(0)
        self.clock = SystemClock(lambda: START + timedelta(seconds=self.seconds) + self.wrong, lambda: self.seconds)

    def wait(self, hours: float) -> timedelta:
        """How much later it is on the process's clock."""
        before = self.clock.now()
        self.seconds += hours * 3600
        return self.clock.now() - before


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=3653), timedelta(days=-3653)], ids=str)
def test_a_machine_clock_that_is_set_moves_a_running_process_by_no_more_than_a_twentieth(jump: timedelta) -> None:
    machine = Machine()
    assert machine.wait(6) == timedelta(hours=6)
    machine.wrong = jump
    assert machine.wait(0) == timedelta(0)
    assert machine.wait(6) == timedelta(hours=6.3 if jump > timedelta(0) else 5.7)
    machine.wait(24)
    assert (machine.clock.now() - START - timedelta(hours=36) == jump) is (abs(jump) < timedelta(days=1))
    machine.wrong = timedelta(0)
    machine.wait(24 * 20)
    if abs(jump) < timedelta(days=1):
        assert machine.clock.now() == START + timedelta(hours=36 + 24 * 20)


def test_a_machine_clock_that_stands_still_does_not_hold_a_process_up() -> None:
    machine = Machine()
    machine.clock = SystemClock(lambda: START, lambda: machine.seconds)
    assert machine.wait(10) == timedelta(hours=9.5)


@pytest.mark.parametrize("jump", [timedelta(minutes=5), timedelta(hours=2), timedelta(days=3), timedelta(hours=-2)], ids=str)
def test_a_clock_that_is_far_behind_catches_up_where_it_may_and_never_goes_back(jump: timedelta) -> None:
    machine = Machine()
    machine.wait(1)
    machine.wrong = jump
    far = jump >= timedelta(minutes=10)
    before = machine.clock.now()
    assert machine.clock.catch_up() == (jump if far else timedelta(0))
    assert machine.clock.now() == before + (jump if far else timedelta(0))
    assert machine.clock.catch_up() == timedelta(0)
    assert machine.wait(1) == timedelta(hours=1 if far else 1.05 if jump > timedelta(0) else 0.95)


def test_simulated_time_has_nothing_to_catch_up_with() -> None:
    assert SimulatedClock(START).catch_up() == timedelta(0)

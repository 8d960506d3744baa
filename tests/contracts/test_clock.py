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


def test_a_machine_clock_that_jumps_back_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.now()

    class Back(datetime):
        @classmethod
        def now(cls, _tz: object = None) -> datetime:  # type: ignore[override]
            return before - timedelta(hours=1)

    monkeypatch.setattr("flyball.adapters.clock.datetime", Back)
    assert clock.now() == before

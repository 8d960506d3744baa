"""Gateways stamp by their controller's clock, so that a clock that is set blinds no release."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation.clocks import Machine, ProcessClock

from flyball.adapters.heartbeat import BEAT_SECONDS, LeaseFile
from flyball.gateway.event_time import EventTime
from flyball.gateway.lease import Lease

START = datetime(2026, 1, 5, tzinfo=UTC)
BEAT, HOURS, SLACK = timedelta(seconds=BEAT_SECONDS), timedelta(hours=2), timedelta(seconds=0.3)
"""SLACK: a twentieth of the time between two beats."""


def us(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


class Played:
    """A controller and a gateway on one machine."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir, self.machine = state_dir, Machine(START)
        self.start_control()
        self.start_gateway()

    def start_control(self) -> None:
        self.control = ProcessClock(self.machine)
        self.lease_file = LeaseFile(self.state_dir, self.control.now, uptime_us=self._uptime_us)

    def start_gateway(self) -> None:
        self.lease = Lease(self.state_dir / "lease", 30.0, lambda: us(self.machine.wall()), lambda: self.machine.seconds)
        self.time = EventTime(lambda: us(self.machine.wall()), self._uptime_us, self.lease)
        self.look()

    def _uptime_us(self) -> int:
        return round(self.machine.seconds * 1e6)

    def renew(self) -> None:
        self.lease_file.renew_lease()
        at = us(self.machine.wall()) * 1000
        os.utime(self.state_dir / "lease", ns=(at, at))

    def look(self) -> None:
        self.lease.look()
        self.time.look()

    def beats(self, number: int) -> None:
        for _ in range(number):
            self.machine.go_on(BEAT)
            assert self.apart() <= SLACK
            self.renew()
            self.look()
            assert self.apart() <= SLACK

    def apart(self) -> timedelta:
        return timedelta(microseconds=abs(self.time.now_us() - us(self.control.now())))


@pytest.fixture
def played(tmp_path: Path) -> Played:
    found = Played(tmp_path)
    found.renew()
    found.look()
    found.beats(3)
    return found


@pytest.mark.parametrize("jump", [HOURS, -HOURS, timedelta(days=3650)])
def test_rows_are_stamped_as_the_controller_counts_them_whatever_the_clock_is_set_to(played: Played, jump: timedelta) -> None:
    played.machine.jump(jump)
    played.beats(200)
    played.start_gateway()  # it has never seen the clock of before
    played.beats(20)
    played.machine.right()
    played.beats(200)


@pytest.mark.parametrize("jump", [HOURS, -HOURS])
def test_a_controller_that_starts_after_it_is_followed_too(played: Played, jump: timedelta) -> None:
    played.machine.jump(jump)
    played.beats(5)
    played.start_control()
    played.machine.go_on(timedelta(seconds=1))
    played.renew()
    played.look()
    played.beats(20)
    assert abs(played.time.now_us() - us(played.machine.wall())) < 1e6


def test_without_a_controller_time_passes_as_it_does(played: Played) -> None:
    before = played.time.now_us()
    played.machine.jump(-HOURS)
    played.machine.go_on(HOURS)
    played.look()
    assert played.time.now_us() - before == HOURS / timedelta(microseconds=1)


def over_what_is_said_now(played: Played, earlier: str) -> str:
    """As a controller of an earlier release leaves it: shorter, and written over what is there."""
    played.renew()
    there = (played.state_dir / "lease").read_text()
    assert len(there) > len(earlier)
    return earlier + there[len(earlier) :]


def test_what_was_said_before_the_machine_started_or_by_an_earlier_release_means_nothing(tmp_path: Path) -> None:
    played = Played(tmp_path)
    for said in (
        "",
        START.isoformat(),
        f"{10**15} 2020-01-01T00:00:00+00:00",
        "0 2020-01-01T00:00:00+00:00",
        "7 2020-01-01",
        "x y",
        over_what_is_said_now(played, "2020-01-01T00:00:00.000000+00:00"),
    ):
        played.machine.go_on(BEAT)
        played.renew()
        (tmp_path / "lease").write_text(said)
        played.start_gateway()
        assert played.lease.said == said
        assert played.time.now_us() == us(played.machine.wall())

"""Which process a number means: numbers are given out again, and clocks are set."""

import os
import time

import msgspec
import psutil

from flyball.machine.birth import boot_id, stat_of

SAME_START_SECONDS = 2.0
"""Where only the clock tells: start times are reckoned from a boot time that is corrected now and then; a number is not used again so soon."""


class KnownProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process, told apart from a later one with the same number."""

    pid: int
    started: float
    """Seconds since 1970, as the kernel says; where a clock is set, the kernel says something else of the same process."""
    ticks: int | None = None
    """From the machine's start to its own, in the kernel's ticks, which no clock moves; None: an earlier release wrote this, or there is no /proc."""
    boot: str = ""
    """Of which start of the machine those are told."""

    @property
    def is_same(self) -> bool:
        """Whether the number is still its own, be it of a zombie."""
        return self._state() is not None

    @property
    def lives(self) -> bool:
        return self._state() not in (None, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)

    def age_seconds(self, wall: float, elapsed: float) -> float:
        """`wall`: seconds since 1970; `elapsed`: since the machine's start, which tells where the kernel's ticks are known: no clock that is set moves either."""
        if self.ticks is not None and self.boot and self.boot == boot_id() and hasattr(time, "CLOCK_BOOTTIME"):
            return elapsed - self.ticks / os.sysconf("SC_CLK_TCK")
        return wall - self.started

    def _state(self) -> str | None:
        """None: the process is gone."""
        boot = boot_id()
        if self.ticks is None or not boot:
            return self._state_by_clock()
        if boot != self.boot:
            return None
        found = stat_of(self.pid)
        return _STATES.get(found.state, found.state) if found is not None and found.ticks == self.ticks else None

    def _state_by_clock(self) -> str | None:
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) <= SAME_START_SECONDS
            return str(process.status()) if same else None
        except psutil.Error:
            return None


def known(pid: int) -> KnownProcess | None:
    """None: it has ended."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.Error:
        return None
    boot, found = boot_id(), stat_of(pid)
    if not boot or found is None:
        return KnownProcess(pid=pid, started=started)
    return KnownProcess(pid=pid, started=started, ticks=found.ticks, boot=boot)


_STATES = {"Z": psutil.STATUS_ZOMBIE, "X": psutil.STATUS_DEAD, "x": psutil.STATUS_DEAD}

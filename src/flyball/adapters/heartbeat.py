"""The controller's lease, renewed beside its work: a long tick must not look like a death."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, Self

from flyball.adapters.background import Background
from flyball.adapters.durable import make_if_missing, write_over
from flyball.adapters.room import lack_of_room
from flyball.errors import StoreUnavailable
from flyball.machine.uptime import uptime_us

BEAT_SECONDS = 5.0
"""A sixth of the age at which gateways call a lease stale."""


class Leased(Protocol):
    def renew_lease(self) -> None:
        """Raises StoreUnavailable."""
        ...


class LeaseFile:
    """What gateways look at: its age is how long ago somebody said that they live."""

    def __init__(
        self,
        state_dir: Path,
        now: Callable[[], datetime] | None = None,
        room_bytes: int = 0,
        uptime_us: Callable[[], int] = uptime_us,
    ) -> None:
        """`now`: of who says so, kept in it with the machine's uptime then: a clock that is set between two of them must not make time that was looked after,
        and gateways go by it. `room_bytes`: with less free
        on the disk nobody looks after anything: answers are lost to the capture, and an order to roll back may find no room."""
        self._path, self._now, self._room_bytes, self._uptime_us = state_dir / "lease", now, room_bytes, uptime_us

    def renew_lease(self) -> None:
        """Raises StoreUnavailable."""
        directory = self._path.parent
        if lack_of_room(directory, self._room_bytes):
            # Its number is left out: the ledger would take the sentence anew at every tick.
            raise StoreUnavailable(f"the disk of {directory} is full: no canary can be looked after", next_step="free space")
        try:
            make_if_missing(self._path)
            os.utime(self._path, follow_symlinks=False)
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error.strerror or error}") from error
        if self._now is not None:
            with suppress(OSError):  # on a full disk the file's own time says that somebody lives
                # Always as long, for it is written over the one before; and the uptime first: a moment alone, as earlier releases write it, makes no pair with
                # what is left behind it.
                said = f"{self._uptime_us():020d} {self._now().isoformat(timespec='microseconds')}"
                write_over(self._path, said.encode())

    def age(self) -> timedelta:
        """Since it was renewed; where a clock was set since, as much as it has made of that. The longest that there is where it never was."""
        seconds = lease_age_seconds(self._path.parent)
        if seconds is None:
            return timedelta.max
        age = timedelta(seconds=seconds)
        try:
            return (
                max(age, self._now() - datetime.fromisoformat(self._path.read_text().rpartition(" ")[2]))
                if self._now is not None
                else age
            )
        except (OSError, ValueError, TypeError):  # an earlier release's, which holds nothing
            return age


class Heartbeat(Background):
    """`with Heartbeat(leased, alive):` renews for as long as `alive()` says that work goes on, from the first moment."""

    def __init__(self, leased: Leased, alive: Callable[[], bool]) -> None:
        super().__init__("lease")
        self._leased = leased
        self._alive = alive

    def __enter__(self) -> Self:
        if self._alive():
            self._leased.renew_lease()
        return super().__enter__()

    def _run(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            if self._alive():
                try:
                    self._leased.renew_lease()
                except StoreUnavailable:
                    continue  # a full disk: the gateways' dead-man rule is then the right answer


def lease_age_seconds(state_dir: Path) -> float | None:
    """Since the controller last said that it lives; None: it never did."""
    try:
        return max(0.0, time.time() - (state_dir / "lease").stat().st_mtime)  # noqa: TID251 - a file's age, in the file system's own time
    except OSError:
        return None

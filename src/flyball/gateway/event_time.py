"""When it is for predictions and labels: what the controller's clock says, where one looks after this gateway.

A release counts rows between moments of its controller, whose clock follows one that is set by a twentieth only. A gateway that believed the machine's own
would stamp its rows hours before or behind them, and nobody would see what a canary does.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from flyball.records.routing import LEASE_SECONDS

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Said(Protocol):
    @property
    def held(self) -> bool:
        """Whether a controller lives."""
        ...

    @property
    def said(self) -> str:
        """What it said last: its moment, and the machine's uptime then."""
        ...


class EventTime:
    """The machine's own clock until a controller is heard; from then on its moments, and between them time as it passes, also when it has died."""

    def __init__(self, wall_us: Callable[[], int], uptime_us: Callable[[], int], lease: Said) -> None:
        self._wall_us, self._uptime_us, self._lease = wall_us, uptime_us, lease
        self._heard = ""
        self._apart_us: int | None = None
        """What the controller's clock is ahead of the uptime."""

    def now_us(self) -> int:
        """Microseconds UTC."""
        apart_us = self._apart_us
        return self._wall_us() if apart_us is None else self._uptime_us() + apart_us

    def look(self) -> None:
        """Whether the controller has said anew what time it is (called several times a second)."""
        said = self._lease.said
        if said == self._heard or not self._lease.held:
            return
        self._heard, moment = said, _read(said)
        # Said before the machine started anew, or on another machine: it means nothing here.
        if moment is not None and 0 <= self._uptime_us() - moment[1] <= LEASE_SECONDS * 1e6:
            self._apart_us = moment[0] - moment[1]


def _read(said: str) -> tuple[int, int] | None:
    """(the controller's moment, uptime then); None: nothing that tells both, as of an earlier release."""
    uptime, _, moment = said.partition(" ")
    try:
        return (datetime.fromisoformat(moment) - _EPOCH) // _MICROSECOND, int(uptime)
    except (ValueError, TypeError):
        return None

"""The stretch of traffic that a monitor judges."""

from datetime import datetime

import msgspec


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One unit's traffic with start ≤ event time < end."""

    model: str
    unit: str
    start: datetime
    end: datetime

    @property
    def place(self) -> str:
        """Whoever is champion in it: what seeds a draw for this window must not depend on a unit's digest, or two replays would differ."""
        return f"{self.model}/{self.start.isoformat()}/{self.end.isoformat()}"

    @property
    def id(self) -> str:
        """The same window is the same text, in every replay."""
        return f"{of_unit(self.model, self.unit)}{self.start.isoformat()}/{self.end.isoformat()}"


def of_unit(model: str, unit: str) -> str:
    """With what the ids of a unit's windows begin; by what follows they are in order of time."""
    return f"{model}/{unit}/"

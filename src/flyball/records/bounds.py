"""What keeps the autopilot from doing harm: the breaker of the loop."""

from datetime import datetime

import msgspec


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """The last time that the autopilot was stopped. It is open until a person closes it."""

    opened_at: datetime
    decision: str
    """Which opened it."""
    actions: tuple[str, ...]
    """Kinds of action that it opened for."""
    words: str
    """What had happened."""
    closed_at: datetime | None = None
    """None: it is open."""
    closed_by: str = ""
    reason: str = ""

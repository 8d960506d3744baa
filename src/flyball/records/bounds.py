"""What keeps the autopilot from doing harm: the breaker of the loop, and how far it may go by itself."""

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


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The last time that the model was stopped. It answers again when a person has resumed it."""

    stopped_at: datetime
    key: str
    """Of what stopped it: done once."""
    cause: str
    """Decision id, or `user:NAME`."""
    reason: str
    words: str
    """What was done, and who answers."""
    unit: str
    """Who was stopped."""
    fallback: str | None
    """Unit that answers meanwhile; None: requests are refused."""
    verified_at: datetime | None = None
    """When every gateway was seen to serve it so; after it was resumed: to serve the champion again."""
    resumed_at: datetime | None = None
    """None: it is stopped."""
    resumed_by: str = ""
    resumed_reason: str = ""
    resumed_key: str = ""


class Autonomy(msgspec.Struct, frozen=True, kw_only=True):
    """What the autopilot lost of what flyball.yaml lets it do by itself. A level falls by itself and rises by a person's order."""

    most: dict[str, str] = {}
    """Kind of action → `observe` or `propose`: no more than this; what is not named has lost nothing."""

"""Where a replay stands, so that one that was killed goes on: on disk before anything that follows from it."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

GOES_ON = "look into the replay's logs/ and at the disk, then `flyball replay` goes on"
"""What is to be done about one that ended before its end."""


class Stage(StrEnum):
    FIRST = "first"
    """The first version is not served yet."""
    SENDING = "sending"
    """The requests and labels of the hour that begins at `at` go out. What was captured of them behind `cursor` is not looked at yet by anybody."""
    TICKING = "ticking"
    """All of the hour that ended at `at` is captured; the turn of the loop that sees it may have been begun."""
    LIVED = "lived"
    """The last label has come."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What the client counted, apart from what the gateway says."""

    requests: int = 0
    predictions: int = 0
    refused_rows: int = 0
    """That the model does not take; the others of their request were answered."""
    failed_requests: int = 0
    label_requests: int = 0
    labels: int = 0
    failed_label_requests: int = 0
    refused_labels: int = 0
    """That can be no label of the model; the others of their request were taken."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    stage: Stage = Stage.FIRST
    at: datetime
    """Of the simulated clock."""
    request: int = 0
    """The next one; so is `label`."""
    label: int = 0
    sent: Sent = Sent()
    sent_before_today: Sent = Sent()
    """What had been sent when the day of `at` began."""
    cursor: dict[str, int] = {}
    """Segment → bytes that turns of the loop have read of it."""


class Journal(Protocol):
    """Keeps the newest position. Outlives a killed process; may not outlive a power cut."""

    def keep(self, position: Position) -> None: ...

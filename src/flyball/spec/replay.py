"""`replay:` which part of history the loop is lived through again, and how untidy its labels arrive."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from flyball.spec.fields import Duration, Section, Share


def parse_moment(value: Any) -> Any:
    """`2013-03-01T05:00:00Z` → UTC. A time without a zone is refused: nobody knows which it is meant in."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("a time such as 2013-03-01T05:00:00Z") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("a time with its zone, such as 2013-03-01T05:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the last evening of 9999, somewhere west
        raise ValueError("a time such as 2013-03-01T05:00:00Z, in the years 1 to 9999 in UTC") from None


def known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a name that is a directory of the zone files
        raise ValueError("a time zone such as UTC or America/New_York") from None
    return value


Moment = Annotated[datetime, BeforeValidator(parse_moment)]


class ReplaySpec(Section):
    """What `flyball replay` does unless it is told otherwise on the command line."""

    train_until: Moment
    """The first version is trained on what was known then."""
    since: Moment | None = None
    """Rows from here on are sent to the gateway; None: from `train_until`."""
    until: Moment | None = None
    """Rows before this are sent; None: to the end of history."""
    duplicate_labels: Share = 0.0
    """So many labels are sent a second time, at most `late_by_at_most` after the first."""
    late_labels: Share = 0.0
    """So many labels are sent later than they were known, and so out of order."""
    late_by_at_most: Duration = Field(default="3d", validate_default=True)
    timezone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    """Whose calendar months the report counts by."""
    seed: int = Field(default=0, ge=0)
    approve: bool = True
    """What a person is asked is answered with yes, at the next tick; false: it stays open."""

    @property
    def start(self) -> datetime:
        return self.since or self.train_until

    @model_validator(mode="after")
    def time_runs_forward(self) -> Self:
        if self.start < self.train_until:
            raise ValueError(f"since not before train_until ({self.train_until.isoformat()}), found {self.start.isoformat()}")
        if self.until is not None and self.until <= self.start:
            raise ValueError(f"until after {self.start.isoformat()}, found {self.until.isoformat()}")
        return self

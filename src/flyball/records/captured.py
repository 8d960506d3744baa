"""What the gateway hands to the kernel before an answer leaves, and what is made of it. Times are int microseconds UTC: this is the hot path."""

from typing import Any, NamedTuple

import msgspec


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Values of some rows."""

    rows: list[int]
    """Places in the batch, ascending."""
    values: list[Any]
    """Of those rows; None is missing."""


class PredictionBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="p", tag_field="k"):
    """Rows of one or several requests that one unit answered in one call."""

    at_us: int
    """Event time: when the prediction was made."""
    model: str
    unit: str
    role: str
    """`champion`, `canary`, `arm`, `fallback`; or `shadow` (a shadow repeats the ids of the answer that was shown)."""
    revision: int
    ids: list[str]
    keys: list[str]
    columns: dict[str, list[Any]]
    """Features as used, column by column. Empty for a shadow; a column of the unit that is in none of the three was dropped by rule."""
    hashed: dict[str, list[str | None]] = {}
    """Columns of which only a keyed hash is kept; None: it was missing."""
    sampled: dict[str, Sample] = {}
    """Columns that are kept for a share of the predictions."""
    scores: list[list[float]]
    """(n_rows, n_scores)"""
    latency_us: int
    """Model time of the whole batch."""
    turn: int = 0
    """1: the first of several units that were asked for rows of one batch, 2: a later one, who finds warm what the first had to warm. 0: asked alone."""


class LabelBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="l", tag_field="k"):
    at_us: int
    """When the gateway received it (label time)."""
    model: str
    ids: list[str]
    """Prediction ids."""
    values: list[Any]
    """Class as string, or a number for regression."""
    observed_us: list[int | None]
    """When the outcome became known, if the sender says so; of a prediction id the later one wins, and of those known at the same time the one received later."""
    rewards: list[float | None] = []
    """What each prediction earned, in the project's own unit; empty: no sender said."""


class FailureBatch(msgspec.Struct, frozen=True, kw_only=True, tag="f", tag_field="k"):
    """Rows that a unit should have answered and could not (crash, deadline, invalid output)."""

    at_us: int
    model: str
    unit: str
    role: str
    n: int
    reason: str
    answered_by: str | None
    """The unit that answered instead; None: the client got an error."""


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """Requests that were refused alike: no value of theirs, and no name but the model's own."""

    reason: str
    """Class of the error, as `flyball_errors` counts it."""
    status: int
    """As over HTTP. 429, and 500 or more: the gateway's side."""
    requests: int
    rows: int
    """Of a request whose rows nobody counted, one."""
    field: str = ""
    """The column of the request's first fault; empty: none of the model's."""
    fault: str = ""
    """`missing`, `type`, `value`, `unknown` (a field that is no column), `form` (of the request as a whole), `others` (beyond the bound); empty: a rule of
    capture hides it, or the request was not looked at."""
    found: str = ""
    """The type of what came."""
    expected: str = ""
    """The type of what the model takes, where another one came."""

    @property
    def by_gateway(self) -> bool:
        """False: whoever sent it has to mend it."""
        return self.status == 429 or self.status >= 500


class RefusalBatch(msgspec.Struct, frozen=True, kw_only=True, tag="r", tag_field="k"):
    """What one worker refused of a model's requests within about a second, before any unit was asked or because its answer could not be explained."""

    at_us: int
    """When it refused the first of them."""
    model: str
    revision: int
    refused: list[Refused]


Captured = PredictionBatch | LabelBatch | FailureBatch | RefusalBatch


class CaptureDamage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a segment that cannot be read: a frame whose bytes are not those that were written, or, where its length may be wrong, all behind it too."""

    segment: str
    offset: int
    bytes: int


class RemovedSegments(NamedTuple):
    """Files of captured records that were too old to stay."""

    names: tuple[str, ...]
    bytes: int
    more: bool
    """There are others: one call removes so many that it takes no long time."""

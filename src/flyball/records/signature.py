"""What a model takes and gives: the border that requests are checked against."""

from enum import StrEnum
from typing import Literal

import msgspec

MAX_FLOAT32 = 3.4028234663852886e38
"""A model sees float32: beyond this a number would be infinity."""


class ColumnType(StrEnum):
    NUMBER = "number"
    """A float; reaches the model as float32, missing as NaN."""
    INTEGER = "integer"
    """A whole number; reaches the model as float32, missing as NaN."""
    BOOLEAN = "boolean"
    """true/false; reaches the model as float32 0/1, missing as NaN."""
    CATEGORY = "category"
    """A string; reaches the model as a string, missing as ''."""


class Unknown(StrEnum):
    """What becomes of a category that is not listed."""

    AS_TRAINED = "as_trained"
    """The model takes it as it took unseen ones in training; it counts as drift."""
    REFUSE = "refuse"
    """The request is refused."""
    FLAG = "flag"
    """As trained, and the answer says so."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: ColumnType
    missing: bool = False
    """May be null or absent."""
    categories: tuple[str, ...] | None = None
    """Seen in training or declared (categories only); None: too many to list."""
    minimum: float | None = None
    maximum: float | None = None
    """Refused outside; None: unbounded. Training does not set these, people do."""
    unknown: Unknown = Unknown.AS_TRAINED
    """Categories only. Training does not set this, people do."""

    def __post_init__(self) -> None:
        if self.unknown is not Unknown.AS_TRAINED and self.categories is None:
            raise ValueError(f"{self.name}: unknown: {self.unknown} needs the list of its categories")


Task = Literal["binary", "multiclass", "regression"]
Extra = Literal["refuse", "ignore"]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    task: Task
    columns: tuple[Column, ...]
    classes: tuple[str, ...] = ()
    """Labels in the order of the score columns (binary: negative, positive). Empty for regression."""
    extra: Extra = "refuse"
    """What to do with a field that is not a column."""

    @property
    def n_scores(self) -> int:
        """Width of a score row: classes for multiclass, 1 for binary (probability of the positive class) and regression (the value)."""
        return len(self.classes) if self.task == "multiclass" else 1

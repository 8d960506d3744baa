"""What a model takes and gives: the border that requests are checked against."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

from flyball.records.words import MOST_NAMED, listed

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
    """Refused outside; None: unbounded. People set these; training does only where they ask for it (`outside: refuse`)."""
    seen: tuple[float, float] | None = None
    """The least and the most number that training saw, where people ask for it (`outside: flag`): beyond, the answer says so. None: it does not."""
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

    @property
    def question(self) -> str:
        """What it answers, in words: `binary (no, yes)`."""
        if len(self.classes) > MOST_NAMED:
            return f"{self.task} ({len(self.classes)} classes)"
        return f"{self.task} ({', '.join(self.classes)})" if self.classes else self.task


class Clash(NamedTuple):
    """Why two models cannot be asked the same requests, with what a person can do."""

    found: str
    expected: str
    next_step: str


def clash(known: Signature, other: Signature) -> Clash | None:
    """What keeps a unit with the signature `other` out of a route whose requests are those of `known`; None: nothing does."""
    if (other.task, other.classes) != (known.task, known.classes):
        new, gone = (_only(ours, theirs) for ours, theirs in ((other, known), (known, other)))
        told = "".join(f"; {what}: {names}" for what, names in (("new", new), ("gone", gone)) if names)
        return Clash(
            f"it answers {other.question}{told}", known.question,
            "bring the label back to those; what answers another question is another model, in a project of its own (flyball init NAME)",
        )  # fmt: skip
    types = {column.name: column.type for column in known.columns}
    for column in other.columns:
        if types.get(column.name, column.type) is not column.type:
            return Clash(
                f"it takes {column.name!r} as {column.type}", str(types[column.name]),
                "give the feature of the new type a name of its own: during a release both are asked the same requests",
            )  # fmt: skip
    return None


def narrower(known: Signature, other: Signature) -> tuple[str, ...]:
    """What requests that are good for `known` may hold in the columns of both and `other` refuses, in words."""
    before = {column.name: column for column in known.columns}
    return tuple(words for column in other.columns if column.name in before for words in less(before[column.name], column))


def loose(column: Column) -> Column:
    """As whoever does not take it holds it: it may be missing, and no value of its type is refused."""
    unknown = Unknown.AS_TRAINED if column.unknown is Unknown.REFUSE else column.unknown
    return msgspec.structs.replace(column, missing=True, minimum=None, maximum=None, unknown=unknown)


def wider(ours: Column, theirs: Column) -> Column:
    """Ours, with what the other takes as well; both are of one type."""
    lows, highs, known = (ours.minimum, theirs.minimum), (ours.maximum, theirs.maximum), ours.categories
    unknown = theirs.unknown if ours.unknown is Unknown.REFUSE else ours.unknown
    if ours.unknown is Unknown.REFUSE and known is not None and theirs.categories is not None:
        known = tuple(dict.fromkeys((*known, *theirs.categories)))
    return msgspec.structs.replace(
        ours,
        missing=ours.missing or theirs.missing,
        categories=known,
        minimum=None if None in lows else min(lows),  # type: ignore[type-var]
        maximum=None if None in highs else max(highs),  # type: ignore[type-var]
        unknown=unknown,
    )


def limit_words(limit: float) -> str:
    """In full: of an identifier or a time six digits name another number, and of large ones people write no exponent."""
    number = float(limit)
    return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)


def less(known: Column, other: Column) -> Iterator[str]:
    """What the second does not take of what the first does, in words; both are of one type. A missing value is none of it."""
    if other.minimum is not None and (known.minimum is None or known.minimum < other.minimum):
        yield f"{other.name!r} below {limit_words(other.minimum)}"
    if other.maximum is not None and (known.maximum is None or known.maximum > other.maximum):
        yield f"{other.name!r} above {limit_words(other.maximum)}"
    if other.unknown is not Unknown.REFUSE:
        return
    if known.unknown is not Unknown.REFUSE:
        yield f"categories of {other.name!r} that are not in its list"
        return
    gone = [each for each in known.categories or () if each not in (other.categories or ())]
    if gone:
        yield f"{other.name!r} of {listed(gone)}"


def _only(ours: Signature, theirs: Signature) -> str:
    """Classes that the second does not have."""
    return listed([name for name in ours.classes if name not in theirs.classes])

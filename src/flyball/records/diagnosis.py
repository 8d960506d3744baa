"""What an incident is taken for, and why."""

from datetime import datetime

import msgspec

from flyball.records.findings import IncidentKind


class Hypothesis(msgspec.Struct, frozen=True, kw_only=True):
    """One kind that an incident may be."""

    kind: IncidentKind
    score: float
    """In [0, 1]; those of one diagnosis sum to 1. Weights of evidence put together, not a measured chance."""
    speaks_for: tuple[str, ...] = ()
    """The weightiest first."""
    speaks_against: tuple[str, ...] = ()


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Of one incident, as far as the evidence goes."""

    incident: int
    model: str
    unit: str
    at: datetime
    """When it was made, or last changed."""
    kind: IncidentKind
    score: float
    hypotheses: tuple[Hypothesis, ...]
    """The likeliest first."""
    features: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    since: datetime | None = None
    """When it began, as far as the data tell."""
    between: tuple[datetime, datetime] | None = None
    """It began between these two; that interval misses with chance 0.05, as its finding says. None: no interval is known."""
    wrong_labels: tuple[str, str] = ("", "")
    """A slice whose labels no world makes, and that in words: rows that showed it may be gone when it is asked again. Empty: none was found."""
    words: str
    """One sentence: what it is, why, and what speaks against the next best."""


def name_of(kind: IncidentKind) -> str:
    """`concept shift`, `unknown`."""
    return kind.value.replace("_", " ")

"""One measured thing, and what it is taken to mean."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """Four, never two: what could not be measured is not a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement with its uncertainty."""

    name: str
    """`brier_difference`, `roc_auc`, `latency_p99_ms`, …"""
    value: float | None
    """None: could not be measured; `note` says why."""
    lower: float | None = None
    upper: float | None = None
    alpha: float | None = None
    """Error rate claimed for [lower, upper] to miss the truth; None: no interval is claimed."""
    anytime: bool = False
    """True: the interval holds at all looks together (a confidence sequence); False: at this one look."""
    n: int = 0
    """Independent units behind it (rows, pairs or blocks; `unit` says which)."""
    unit: str = "rows"
    since: datetime | None = None
    until: datetime | None = None
    method: str = ""
    """The estimator and its source, in a few words."""
    inputs: str = ""
    """SHA-256 of what was measured."""
    note: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of a piece of evidence."""

    rule: str
    outcome: Outcome
    evidence: Evidence
    words: str
    """The sentence a person reads: both numbers of the comparison."""


def worst(outcomes: tuple[Outcome, ...]) -> Outcome:
    """The outcome of all together: any fail fails; else any error; else any inconclusive (also when there is nothing at all); else pass."""
    for candidate in (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE):
        if candidate in outcomes:
            return candidate
    return Outcome.PASS if outcomes else Outcome.INCONCLUSIVE

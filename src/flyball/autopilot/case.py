"""An incident as a diagnosis sees it: all that it rests on, and nothing that is looked up later."""

from datetime import datetime, timedelta

import msgspec

from flyball.records.findings import FindingKind, Happening


class Symptom(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of the incident, as far as it tells the kind."""

    number: int
    kind: FindingKind
    subject: str
    words: str
    effect: float
    between: tuple[datetime, datetime] | None
    """Its change began between these two; None: no interval is known."""
    window: tuple[datetime, datetime]
    shares: dict[str, float] = {}
    """Cause → share of the worse loss; features, slices, `concept`."""
    reaches: dict[str, float] = {}
    """Cause → half the width of its share's interval: a share that is no larger may be nothing. One without: it has no interval."""
    alone: dict[str, float] = {}
    """The same where one cause is asked for, and not which of all. One without: of a release that kept no errors of shares."""
    fault: str = ""
    """Of the pipe, by its name; empty: none, or of a release that did not keep it."""


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """What labels of the rows since it began say, beside the holdout's (stats.table_shift): p-values, and shares of what moved."""

    rows: int
    answers: float
    labels: float
    labels_given_answers: float
    answers_given_labels: float
    share_of_answers: float | None
    """None: nothing moved."""
    share_of_labels: float | None
    classes: bool = True
    """False: numbers."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """All that a diagnosis is made of."""

    incident: int
    model: str
    unit: str
    began: datetime
    window: timedelta
    symptoms: tuple[Symptom, ...]
    """By number."""
    upstream: tuple[Happening, ...]
    """Near its beginning."""
    champion_since: datetime
    earlier_champion: bool
    columns: tuple[str, ...]
    """Features of the champion."""
    columns_watched: bool
    """Whether faults of columns would have been seen."""
    labels: Labels | None = None
    """None: too few have come."""
    label_fault: str = ""
    """Labels that no world makes, in words; empty: none were found."""
    label_fault_in: str = ""
    estimates_judged: int = 0
    """Mature windows since it began of which the loss had been estimated without labels."""
    estimates_missed: int = 0
    """Of them: labels lay outside the estimate's interval."""
    harmless: tuple[str, ...] = ()
    """Columns with a fault then that does the model no harm: it is no symptom. Empty, too: of a release that took it for one."""
    brought: str = ""
    """By how much the champion was measured to lose less than the unit before, on rows that both answered, in words; empty: that is not known, or not sure."""

"""What is told of findings and incidents."""

from datetime import datetime

import msgspec

from flyball.control.decision_reports import DecisionRow
from flyball.records.diagnosis import Diagnosis
from flyball.records.findings import Acknowledgement, Finding, Happening, Incident


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A finding and whether it still stands."""

    finding: Finding
    open: bool
    """Raised on the champion since it took over, or of a service that is still unusual; and not acknowledged."""
    acknowledgement: Acknowledgement | None = None
    diagnosis: Diagnosis | None = None
    """Of the incident that it belongs to; None: it is in none."""


class WindowPoint(msgspec.Struct, frozen=True, kw_only=True):
    end: datetime
    value: float | None
    """None: not measured in this window."""


class FindingReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finding: how far, how sure, what it means, and what came with and after it."""

    finding: Finding
    acknowledgement: Acknowledgement | None
    series: tuple[WindowPoint, ...]
    """The figure that it is about, window by window; empty: there is none."""
    beside: tuple[Finding, ...]
    """Raised in the same window, and not among `upstream`."""
    upstream: tuple[Happening, ...]
    """What happened upstream when it began, nearest first."""
    decided: tuple[DecisionRow, ...]
    """What the autopilot decided next."""
    diagnosis: Diagnosis | None = None
    """Of the incident that it belongs to; None: it is in none."""


class IncidentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An incident and what it is taken for."""

    incident: Incident
    diagnosis: Diagnosis | None
    """None: nothing was told of it."""

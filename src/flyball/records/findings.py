"""What a monitor says of a window."""

from datetime import datetime
from enum import StrEnum

import msgspec

from flyball.records.evidence import Evidence


class FindingKind(StrEnum):
    FEATURE_DRIFT = "feature_drift"
    PREDICTION_DRIFT = "prediction_drift"
    PERFORMANCE = "performance"
    """Realised loss on mature labels is worse than the champion's baseline."""
    DATA_QUALITY = "data_quality"
    SERVING = "serving"
    """A gateway does not serve what it should, capture drops records, a unit fails."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """Derived from content: kind, unit, subject, window. The same window never raises it twice."""
    kind: FindingKind
    model: str
    unit: str
    subject: str
    """Feature name, metric name or gateway worker."""
    window_start: datetime
    window_end: datetime
    effect: float
    """How far, in `effect_unit`."""
    effect_unit: str
    evidence: Evidence
    share_of_budget: float | None
    """Share of the false-alarm budget that this alarm spends; None: not a statistical alarm."""
    words: str


class WindowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A closed window of one unit's traffic, as shown and as policies see it."""

    model: str
    unit: str
    start: datetime
    end: datetime
    predictions: int
    labels: int
    mature: bool
    """Enough of the labels that will come have come (see monitoring)."""
    metrics: dict[str, Evidence] = {}
    """Realised, on labels: roc_auc, log_loss, brier, …; empty while immature."""
    drift: dict[str, float] = {}
    """Feature (and `prediction`) → Jensen–Shannon distance to the reference, in [0, 1]."""

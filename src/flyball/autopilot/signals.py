"""What the monitors found, as the numbers and flags that conditions are about."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec

from flyball.autopilot.worth import Worth
from flyball.records.findings import Finding, FindingKind, IncidentKind, WindowSummary

NEVER_DAYS = 100_000.0
"""`history.days_since_retraining` before the first one."""


OF_INCIDENT: Mapping[str, IncidentKind] = MappingProxyType({f"incident.{kind.value}": kind for kind in IncidentKind})


RESTS_ON: Mapping[str, FindingKind | IncidentKind] = MappingProxyType({
    "performance.alarm": FindingKind.PERFORMANCE, "performance.estimated_alarm": FindingKind.ESTIMATED_PERFORMANCE,
    "concept.alarm": FindingKind.CONCEPT_DRIFT, "drift.alarm": FindingKind.FEATURE_DRIFT, "drift.features": FindingKind.FEATURE_DRIFT,
    "drift.dependence": FindingKind.JOINT_DRIFT, "drift.predictions": FindingKind.PREDICTION_DRIFT, "quality.alarm": FindingKind.DATA_QUALITY,
    "operations.alarm": FindingKind.OPERATIONS, "serving.alarm": FindingKind.SERVING,
    **OF_INCIDENT,
})  # fmt: skip
"""Signal → the findings, or the incidents, that it is about. Where none of them stands it is false, or 0."""


class SignalInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen at a window's end."""

    findings: tuple[Finding, ...]
    """That stand, unacknowledged; this window's included."""
    window: WindowSummary | None
    """The champion's window that ends now, judged or not; None: it had no traffic."""
    loss_increase: float
    """`PerformanceReading.loss_increase` of the champion; 0 while nothing is mature."""
    estimated_increase: float = 0.0
    """Of the newest window, without labels; 0 where the estimate is void."""
    champion_since: datetime
    data_until: datetime | None
    """Newest row that the champion was trained on or judged by; None: unknown, counted from when it took over."""
    retrainings: tuple[datetime, ...]
    """When each was started, by whomever; not the first version's."""
    breaker_open: bool = False
    worth: Worth | None = None
    """Of a tournament now; None: it cannot be told."""
    lost_in_a_row: int = 0
    """Tournaments that trained: `tournaments.lost_in_a_row`."""
    incidents: tuple[IncidentKind, ...] = ()
    """What the open ones are taken for."""


def gather(inputs: SignalInputs, now: datetime) -> dict[str, bool | int | float]:
    """Every signal of records/signals.py."""
    of = {kind: {item.subject for item in inputs.findings if item.kind is kind and item.pages} for kind in FindingKind}
    benign = {item.subject for item in inputs.findings if item.kind is FindingKind.FEATURE_DRIFT and not item.pages}
    window, worth = inputs.window, inputs.worth
    # One that is dated later was started by a clock that went wrong.
    retrained = max((at for at in inputs.retrainings if at <= now), default=None)
    return {
        "performance.alarm": bool(of[FindingKind.PERFORMANCE]),
        "performance.loss_increase": float(inputs.loss_increase),
        "performance.estimated_alarm": bool(of[FindingKind.ESTIMATED_PERFORMANCE]),
        "performance.estimated_increase": float(inputs.estimated_increase),
        "concept.alarm": bool(of[FindingKind.CONCEPT_DRIFT]),
        "drift.alarm": bool(of[FindingKind.FEATURE_DRIFT]),
        "drift.features": len(of[FindingKind.FEATURE_DRIFT]),
        "drift.benign": len(benign - of[FindingKind.FEATURE_DRIFT]),
        "drift.dependence": bool(of[FindingKind.JOINT_DRIFT]),
        "drift.predictions": bool(of[FindingKind.PREDICTION_DRIFT]),
        "quality.alarm": bool(of[FindingKind.DATA_QUALITY]),
        "operations.alarm": bool(of[FindingKind.OPERATIONS]),
        "serving.alarm": bool(of[FindingKind.SERVING]),
        **{name: kind in inputs.incidents for name, kind in OF_INCIDENT.items()},
        "autopilot.breaker_open": inputs.breaker_open,
        "improvement.worthwhile": worth.act if worth else False,
        "improvement.gain": worth.gain if worth else 0.0,
        "improvement.value": worth.value if worth else 0.0,
        "improvement.growth": worth.growth if worth else 0.0,
        "improvement.excess": worth.excess if worth else 0.0,
        "improvement.rows_since": worth.rows_since if worth else 0,
        "improvement.lost_in_a_row": inputs.lost_in_a_row,
        "champion.age_days": _days(inputs.champion_since, now),
        "champion.data_age_days": _days(inputs.data_until or inputs.champion_since, now),
        "window.predictions": window.predictions if window else 0,
        "window.labels": window.labels if window else 0,
        "history.retrainings": len(inputs.retrainings),
        "history.days_since_retraining": NEVER_DAYS if retrained is None else _days(retrained, now),
    }


def _days(since: datetime, now: datetime) -> float:
    return round((now - since) / timedelta(days=1), 6)


def plain_signals(signals: dict[str, Any]) -> str:
    """For a sentence: `drift.features is 3, champion.age_days is 31`."""
    return ", ".join(f"{name} is {_said(value)}" for name, value in sorted(signals.items()))


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.6g}"

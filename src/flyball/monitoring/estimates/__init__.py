"""Performance without labels: estimates of a window's metrics, whether they are to be believed, and an alarm from them."""

from flyball.monitoring.estimates.alarm import AlarmReading, AlarmState, begin_anew, judge
from flyball.monitoring.estimates.estimate import Estimates, Increase, estimate, labels_needed
from flyball.monitoring.estimates.prepared import Prepared
from flyball.monitoring.estimates.rows import FILE, EstimationReference, build
from flyball.monitoring.estimates.trust import Labelled, Trust, interval_of, learn

__all__ = [
    "FILE",
    "AlarmReading",
    "AlarmState",
    "Estimates",
    "EstimationReference",
    "Increase",
    "Labelled",
    "Prepared",
    "Trust",
    "begin_anew",
    "build",
    "estimate",
    "interval_of",
    "judge",
    "labels_needed",
    "learn",
]  # fmt: skip

"""What a guard can look at. Every value is how much worse the challenger is than the champion: a guard passes at or below its margin."""

from typing import Literal, NamedTuple

LOSS = "loss"
FAILURE_RATE = "failure_rate"


class Metric(NamedTuple):
    kind: Literal["operational", "behavioural", "quality", "business"]
    labels: bool
    """Needs mature labels. A reward comes with one, but must be there while both units answer: later there is nobody to compare with."""
    shown: bool
    """Only of answers that users got: not to be measured in the shadow."""
    means: str
    """What the number is, in words."""


METRICS: dict[str, Metric] = {
    LOSS: Metric("quality", True, False, "mean loss of the challenger minus the champion's, on the same labelled rows"),
    "calibration": Metric(
        "quality",
        True,
        False,
        "how far the challenger's scores lie from the outcomes on average, minus how far the champion's do",
    ),
    FAILURE_RATE: Metric(
        "operational",
        False,
        False,
        "share of rows that could not be answered (crash, deadline, invalid output), minus the champion's",
    ),
    "latency_p50_ms": Metric("operational", False, True, "median model time in ms, minus the champion's of the same period"),
    "latency_p95_ms": Metric(
        "operational", False, True, "95th percentile of model time in ms, minus the champion's of the same period"
    ),
    "latency_p99_ms": Metric(
        "operational", False, True, "99th percentile of model time in ms, minus the champion's of the same period"
    ),
    "latency_shape": Metric(
        "operational", False, True, "how far the distribution of model times lies from the champion's of the same period"
    ),
    "disagreement": Metric("behavioural", False, False, "share of rows that the two decide differently"),
    "score_shift": Metric("behavioural", False, False, "how far the mean score lies from the champion's, on the same rows"),
    "score_shape": Metric(
        "behavioural", False, True, "how far the distribution of scores lies from the champion's of the same period"
    ),
    "reward": Metric("business", False, True, "mean reward of the champion's answers minus the challenger's, of the same period"),
}

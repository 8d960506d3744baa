"""What a release waits for, in words: how much more is needed, and when that will be there."""

import math
from datetime import datetime, timedelta

from flyball.records.evidence import Evidence, Verdict
from flyball.records.release import Phase, ReleaseState
from flyball.release.policy import GuardRule
from flyball.stats.forecast import Rows, hours_needed, rows_needed

_TOO_LONG = 3650 * 24.0
"""Hours."""


def waits_for_pass(rule: GuardRule, verdict: Verdict, age: timedelta) -> str:
    """`age`: of the release; what came in it comes again at that rate."""
    found = verdict.evidence
    more = needed(found, rule)
    if more is None or more.likely is None:
        return f"for {rule.name} to pass ({verdict.words})"
    end = "pass" if (found.value or 0.0) < rule.margin else "fail"
    rate = found.n / (age / timedelta(hours=1)) if age > timedelta(0) else 0.0
    unit = "labels" if rule.labels and found.unit == "pairs" else found.unit
    between = f" ({more.least} to {more.most or 'any number'})" if more.least not in (None, more.most) else ""
    return (
        f"for {rule.name} to pass ({verdict.words}; about {more.likely} more {unit}{between} would make it {end} "
        f"if the difference stays{_when(hours_needed(more.likely, rate))})"
    )


def waits_for_rows(answered: int, asked: int) -> list[str]:
    return [f"for {asked - answered} more rows ({answered} of {asked})"] if answered < asked else []


def needed(evidence: Evidence, rule: GuardRule) -> Rows | None:
    """How many more would settle it, were the difference to stay as it is. None: cannot be told."""
    value, lower, upper = evidence.value, evidence.lower, evidence.upper
    if value is None or lower is None or upper is None or evidence.n == 0 or value == rule.margin:
        return None
    reach = 1.0 if rule.between is None else rule.between[1] - rule.between[0]
    quantile = rule.metric.startswith("latency")
    return rows_needed((value, lower, upper, evidence.n), rule.margin, rule.alpha, None if quantile else reach)


def _when(hours: float | None) -> str:
    if hours is None:
        return ""
    return f", in about {span(timedelta(hours=hours))}" if hours < _TOO_LONG else ", in many years"


def place(release: ReleaseState) -> str:
    """The phase, with its step."""
    return f"canary step {release.step + 1}" if release.phase is Phase.CANARY else release.phase.value


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(duration: timedelta) -> str:
    """The two largest units: `5 days`, `1 day 3 h`, `40 s`."""
    left, parts = math.ceil(duration.total_seconds()), []
    for size, name in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}" + ("s" if name == "day" and count > 1 else ""))
    return " ".join(parts[:2]) or "0 s"


def whoever_agrees(release: ReleaseState, *, another: bool) -> str:
    """Who is asked whether it takes all traffic; `another`: than who had it made, a person or a decision that one may have agreed to."""
    if not another:
        return "a person"
    who = release.cause if release.cause.startswith("user:") else f"whoever agreed to {release.cause}"
    return f"a person other than {who}"

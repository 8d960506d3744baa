"""What a release waits for, in words: how much more is needed, and when that will be there."""

import math
from datetime import timedelta

from flyball.records.evidence import Evidence, Verdict
from flyball.records.release import Phase, ReleaseState
from flyball.release.policy import GuardRule

_TOO_LONG = timedelta(days=3650)


def waits_for_pass(rule: GuardRule, verdict: Verdict, age: timedelta) -> str:
    """`age`: of the release; what came in it comes again at that rate."""
    found = verdict.evidence
    more = needed(found, rule.margin)
    if more is None:
        return f"for {rule.name} to pass ({verdict.words})"
    end = "pass" if (found.value or 0.0) < rule.margin else "fail"
    when = _when(age, more / found.n)
    unit = "labels" if rule.labels else found.unit
    return (
        f"for {rule.name} to pass ({verdict.words}; about {more} more {unit} would make it {end} if the difference stays{when})"
    )


def _when(age: timedelta, times: float) -> str:
    if age <= timedelta(0):
        return ""
    return f", in about {span(age * times)}" if age.total_seconds() * times < _TOO_LONG.total_seconds() else ", in many years"


def needed(evidence: Evidence, margin: float) -> int | None:
    """About how many more would settle it, were the difference to stay as it is: the width goes as 1/√n. None: cannot be told."""
    value, lower, upper = evidence.value, evidence.lower, evidence.upper
    if value is None or lower is None or upper is None or evidence.n == 0 or value == margin:
        return None
    half = upper - value if value < margin else value - lower
    wanted = evidence.n * (half / (margin - value)) ** 2
    return max(round(wanted) - evidence.n, 1) if math.isfinite(wanted) else None


def place(release: ReleaseState) -> str:
    """The phase, with its step."""
    return f"canary step {release.step + 1}" if release.phase is Phase.CANARY else release.phase.value


def span(duration: timedelta) -> str:
    """The two largest units: `5 days`, `1 day 3 h`, `40 s`."""
    left, parts = math.ceil(duration.total_seconds()), []
    for size, name in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}" + ("s" if name == "day" and count > 1 else ""))
    return " ".join(parts[:2]) or "0 s"

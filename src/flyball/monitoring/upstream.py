"""What happened upstream at the time of a change: put beside a finding's causes, nearest in time first, and never given a share of it.

That two things happened together proves nothing. But where a loss rose on the day on which a unit changed, a person wants to see both at once.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from flyball.records.findings import Finding, FindingKind, Happening

BEFORE, AFTER = 3, 1
"""Windows: what happened longer before the change began, or after it had begun for sure, is beside something else. One after, since what is
found in a window is dated by its end at worst."""
SHOWN = 6
PIPE = (FindingKind.DATA_QUALITY, FindingKind.OPERATIONS, FindingKind.SERVING)
"""Findings that are of the pipe, not of the world: a column, a unit, missing values, label delay, failures."""


def interval_of(finding: Finding) -> tuple[datetime, datetime]:
    """When it began, as far as the data tell: between these two."""
    if finding.changed_between is not None:
        return finding.changed_between
    if finding.changed_since is not None:
        return finding.changed_since, finding.changed_since
    return finding.window_start, finding.window_end


def of_findings(findings: Iterable[Finding]) -> tuple[Happening, ...]:
    """Those of the pipe."""
    found = []
    for each in findings:
        if each.kind in PIPE:
            begin, end = interval_of(each)
            found.append(Happening(at=begin, until=end, subject=f"finding {each.number}", words=each.words))
    return tuple(found)


def near(finding: Finding, happenings: Iterable[Happening], window: timedelta) -> tuple[Happening, ...]:
    """Those near the beginning of what was found, the nearest first."""
    begin, end = interval_of(finding)
    found = []
    for each in happenings:
        until = each.until or each.at
        before, after = begin - until, each.at - end
        gap = max(before, after, timedelta())
        if before <= BEFORE * window and after <= AFTER * window:
            found.append((gap, each.at, msgspec.structs.replace(each, near=_near(before, after))))
    return tuple(each for _, _, each in sorted(found, key=lambda item: (item[0], item[1], item[2].subject))[:SHOWN])


def _near(before: timedelta, after: timedelta) -> str:
    if before > timedelta():
        return f"{_told(before)} before it began"
    return f"{_told(after)} after it had begun" if after > timedelta() else "when it began"


def _told(gap: timedelta) -> str:
    hours = gap / timedelta(hours=1)
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    if hours >= 2:
        return f"{hours:.0f} hours"
    minutes = round(hours * 60)
    return "less than a minute" if minutes < 1 else "a minute" if minutes == 1 else f"{minutes} minutes"

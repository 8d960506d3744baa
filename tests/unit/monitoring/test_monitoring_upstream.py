from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from flyball.monitoring.upstream import interval_of, near, of_findings
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind, Happening

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
AT = datetime(2026, 3, 10, tzinfo=UTC)
LOSS = Finding(
    id="f-1", number=1, kind=FindingKind.PERFORMANCE, model="m", unit="u", subject="loss", window_start=AT + 4 * DAY, window_end=AT + 5 * DAY,
    effect=0.1, effect_unit="loss", evidence=Evidence(name="harm", value=1.0, n=1), share_of_budget=0.2, words="worse",
    changed_since=AT, changed_between=(AT - DAY, AT + DAY),
)  # fmt: skip


def at(when: datetime, subject: str = "version 2") -> Happening:
    return Happening(at=when, subject=subject, words="…")


def test_an_interval_is_that_of_the_change_then_its_date_then_the_window():
    assert interval_of(LOSS) == (AT - DAY, AT + DAY)
    dated = msgspec.structs.replace(LOSS, changed_between=None)
    assert interval_of(dated) == (AT, AT)
    assert interval_of(msgspec.structs.replace(dated, changed_since=None)) == (AT + 4 * DAY, AT + 5 * DAY)


def test_what_happened_nearest_to_the_beginning_comes_first_and_says_how_near():
    found = near(LOSS, [at(AT - 4 * DAY), at(AT + 25 * HOUR), at(AT), at(AT - 27 * HOUR)], DAY)
    assert [(each.at, each.near) for each in found] == [
        (AT, "when it began"),
        (AT + 25 * HOUR, "60 minutes after it had begun"),
        (AT - 27 * HOUR, "3 hours before it began"),
        (AT - 4 * DAY, "3 days before it began"),
    ]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (timedelta(milliseconds=400), "less than a minute after it had begun"), (timedelta(seconds=59), "a minute after it had begun"),
        (timedelta(minutes=2), "2 minutes after it had begun"), (timedelta(hours=2), "2 hours after it had begun"),
    ],
)  # fmt: skip
def test_no_time_is_told_as_nought_minutes(after: timedelta, words: str):
    assert [each.near for each in near(LOSS, [at(AT + DAY + after)], DAY)] == [words]


def test_what_happened_long_before_or_after_is_no_company():
    assert near(LOSS, [at(AT - 4 * DAY - HOUR), at(AT + 2 * DAY + HOUR)], DAY) == ()


def test_only_findings_of_the_pipe_happen_upstream_and_they_last_as_long_as_they_are_dated():
    quality = msgspec.structs.replace(LOSS, number=2, kind=FindingKind.DATA_QUALITY, changed_since=None, changed_between=None)
    drift = msgspec.structs.replace(LOSS, number=3, kind=FindingKind.FEATURE_DRIFT)
    (found,) = of_findings([LOSS, quality, drift])
    assert (found.subject, found.at, found.until) == ("finding 2", AT + 4 * DAY, AT + 5 * DAY)

"""When requests that are refused for what stands in them are told: often, surely more often than before, once."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flyball.monitoring import refused
from flyball.monitoring.refused import FEWEST, Count, RefusedState, Why
from flyball.monitoring.window import Window
from flyball.records.findings import Finding, FindingKind

START, HOUR = datetime(2026, 3, 2, 9, tzinfo=UTC), timedelta(hours=1)
TEXT = Why("age", "type", "text", "a number")


class Service:
    """Windows one after the other."""

    def __init__(self) -> None:
        self.state, self.at, self.unit = RefusedState(), START, "u1"
        self.findings: list[Finding] = []
        self.acknowledged = False

    def window(self, answered: int, why: Why = TEXT, requests: int = 0, rows: int | None = None) -> list[str]:
        """Words of what is told of it."""
        window = Window(model="shop", unit=self.unit, start=self.at, end=self.at + HOUR)
        count = Count(requests=requests, rows=requests if rows is None else rows, since=self.at + timedelta(minutes=12))
        standing = [] if self.acknowledged else [each for each in self.findings if each.unit == self.unit]
        reading = refused.judge(
            self.state, answered + count.rows, {why: count} if requests else {}, window, {refused.said(each) for each in standing}
        )
        self.state, self.at = reading.state, self.at + HOUR
        self.findings += reading.findings
        return [each.words for each in reading.findings]


def test_a_type_that_changed_upstream_is_told_in_the_first_window_and_once() -> None:
    service = Service()
    for _ in range(5):
        assert service.window(400) == []
    words = "412 of 430 rows (96 %) were refused, since 14:12: age is text, a number is expected"
    assert service.window(18, requests=412) == [words]
    assert all(service.window(18, requests=412) == [] for _ in range(50))
    [finding] = service.findings
    assert (finding.kind, finding.subject, finding.fault, finding.pages) == (FindingKind.DATA_QUALITY, "age", "schema", True)
    assert (finding.share_of_budget, finding.effect, finding.changed_since) == (
        None,
        0.95814,
        START + 5 * HOUR + timedelta(minutes=12),
    )


def test_it_is_told_of_a_service_that_never_answered_anybody() -> None:
    assert Service().window(0, requests=40) == [
        "40 of 40 rows (100 %) were refused, since 09:12: age is text, a number is expected"
    ]


@pytest.mark.parametrize(("answered", "requests"), [(0, FEWEST - 1), (10_000, 400), (1_000_000, 5_000)])
def test_a_few_bad_requests_are_nothing(answered: int, requests: int) -> None:
    service = Service()
    assert all(service.window(answered, requests=requests) == [] for _ in range(100))


def test_one_large_request_is_no_change_of_whoever_sends_them() -> None:
    assert Service().window(1_000, requests=1, rows=50_000) == []


def test_large_requests_count_by_their_rows() -> None:
    service = Service()
    assert service.window(50_000, requests=3) == []
    assert service.window(50_000, requests=30, rows=30_000) == [
        "30,000 of 80,000 rows (38 %) in 30 requests were refused, since 10:12: age is text, a number is expected"
    ]


def test_what_was_seen_and_ended_is_told_when_it_comes_again() -> None:
    service = Service()
    assert service.window(100, requests=100)
    assert service.window(100) == []
    assert service.window(100, requests=100) == [], "the finding stands"
    service.acknowledged = True
    assert service.window(100, requests=100) == [], "it lasts"
    assert service.window(0) == [], "a window without requests ends nothing"
    assert service.window(100, requests=100) == []
    assert service.window(100) == []
    assert len(service.window(100, requests=100)) == 1


def test_a_new_champion_that_does_not_take_it_either_is_told_of() -> None:
    service = Service()
    assert service.window(100, requests=100)
    service.unit = "u2"
    assert len(service.window(100, requests=100)) == 1
    assert service.window(100, requests=100) == []


def test_another_fault_of_the_same_column_is_another_finding() -> None:
    service = Service()
    assert service.window(100, requests=100)
    assert service.window(100, Why("age", "missing"), 100) == [
        "100 of 200 rows (50 %) were refused, since 10:12: age does not come any more"
    ]
    assert len({each.id for each in service.findings}) == 2


def test_a_share_that_has_always_been_about_the_bar_is_told_next_to_never() -> None:
    """A twentieth, seen and left as it is: of 2,000 windows a thousand are above the bar."""
    draw, told = np.random.default_rng(3), 0
    service = Service()
    service.acknowledged = True
    for _ in range(2_000):
        requests = int(draw.binomial(2_000, 0.05))
        told += len(service.window(2_000 - requests, requests=requests))
    assert told <= 3


@pytest.mark.parametrize(
    ("why", "subject", "words"),
    [
        (Why("age", "value"), "age", "age has values that the model does not take"),
        (Why("age", ""), "age", "age is not what the model takes, and a rule of capture hides what came"),
        (Why("", "unknown"), "unknown fields", "they have a field that is no column of the model"),
        (Why("", "form"), "form of requests", "they are not of the form that a gateway reads"),
        (Why("", "others"), "form of requests", "of ever so many faults"),
    ],
)
def test_every_fault_has_a_subject_and_words(why: Why, subject: str, words: str) -> None:
    service = Service()
    assert service.window(0, why, 50)[0].endswith(f": {words}")
    assert service.findings[0].subject == subject

"""When requests that are refused for what stands in them are told: often, surely more often than before, once."""

from datetime import UTC, datetime, timedelta

import msgspec
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
        self.since = START - HOUR
        """When the champion took over."""

    def release(self, unit: str, minutes: int) -> None:
        """Into the present window."""
        self.unit, self.since = unit, self.at + timedelta(minutes=minutes)

    def window(self, answered: int, why: Why = TEXT, requests: int = 0, rows: int | None = None) -> list[str]:
        """Words of what is told of it."""
        window = Window(model="shop", unit=self.unit, start=self.at, end=self.at + HOUR)
        count = Count(requests=requests, rows=requests if rows is None else rows, since=self.at + timedelta(minutes=12))
        mixed = self.at < self.since
        standing = [] if self.acknowledged else [each for each in self.findings if mixed or each.unit == self.unit]
        known = {refused.said(each): each.effect for each in standing}
        counts = {why: count} if requests else {}
        reading = refused.judge(self.state, answered + count.rows, counts, window, known, self.since)
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
    service.release("u2", 0)
    assert len(service.window(100, requests=100)) == 1
    assert service.window(100, requests=100) == []


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_release_that_takes_what_is_sent_is_not_blamed_for_the_window_in_which_it_came(acknowledged: bool) -> None:
    service = Service()
    service.acknowledged = acknowledged
    assert service.window(50, requests=950)
    service.release("u2", 30)
    assert service.window(525, requests=475) == [], "all of them before the release"
    assert all(service.window(1_000) == [] for _ in range(5))
    assert service.state.told == {}
    assert len(service.window(50, requests=950)) == 1, "of the new champion it is another change"


def test_a_release_that_does_not_is_told_of_the_first_window_that_is_its_own() -> None:
    service = Service()
    assert service.window(50, requests=950)
    service.release("u2", 30)
    assert service.window(50, requests=950) == []
    assert len(service.window(50, requests=950)) == 1
    assert service.findings[-1].unit == "u2"
    assert service.window(50, requests=950) == []


def test_a_release_that_does_not_take_what_came_through_before_is_told_at_once() -> None:
    service = Service()
    assert service.window(1_000) == []
    service.release("u2", 30)
    assert len(service.window(500, requests=500)) == 1
    assert service.window(0, requests=1_000) == []


def test_what_stood_and_comes_again_in_the_window_of_a_release_waits_for_the_next() -> None:
    service = Service()
    assert service.window(50, requests=950)
    assert service.window(1_000) == []
    service.release("u2", 30)
    assert service.window(525, requests=475) == []
    assert service.window(1_000) == []


def test_a_fault_that_outlasts_release_after_release_is_told_in_the_second_window_of_them() -> None:
    service = Service()
    assert service.window(50, requests=950)
    told = []
    for number in range(2, 8):
        service.release(f"u{number}", 30)
        told.append(len(service.window(50, requests=950)))
    assert told == [0, 1, 0, 1, 0, 1]


def test_a_window_before_the_champion_that_is_judged_late_gives_no_finding() -> None:
    service = Service()
    service.release("u2", 150)
    assert [service.window(50, requests=950) for _ in range(3)] == [[], [], []]
    assert len(service.window(50, requests=950)) == 1


def test_a_fault_that_costs_twice_as_much_is_told_again() -> None:
    """A scanner's requests are known and left alone; then the main client wraps its rows otherwise."""
    service, form = Service(), Why("", "form")
    assert service.window(9_400, form, 600)
    service.acknowledged = True
    assert all(service.window(9_300, form, 700) == [] for _ in range(30))
    assert service.window(100, form, 9_900) == [
        "9,900 of 10,000 rows (99 %) were refused, since 16:12: they are not of the form that a gateway reads"
    ]
    assert all(service.window(100, form, 9_900) == [] for _ in range(30))


def test_one_that_stands_is_told_again_only_where_it_costs_twice_as_much() -> None:
    service = Service()
    assert service.window(800, requests=200)
    assert service.window(1_000) == []
    assert service.window(700, requests=300) == []
    assert service.window(650, requests=350) == []
    assert service.window(500, requests=500) == [
        "500 of 1,000 rows (50 %) were refused, since 13:12: age is text, a number is expected"
    ]


def test_a_fault_that_began_late_in_a_window_is_told_once() -> None:
    service = Service()
    window = Window(model="shop", unit="u1", start=START, end=START + HOUR)
    counts = {TEXT: Count(requests=90, rows=90, since=START + timedelta(minutes=54))}
    service.state, service.at = refused.judge(service.state, 1_000, counts, window, {}).state, START + HOUR
    service.acknowledged = True
    assert all(service.window(100, requests=900) == [] for _ in range(3))


def test_few_requests_twice_as_often_are_not_surely_more() -> None:
    service = Service()
    service.acknowledged = True
    assert service.window(380, requests=20)
    assert service.window(170, requests=20) == []


def test_a_usual_rate_is_still_usual_after_a_time_in_which_it_was_told_that_it_was_more() -> None:
    service = Service()
    service.acknowledged = True
    for _ in range(14):
        assert service.window(9_550, requests=450) == []
    assert [len(service.window(8_500, requests=1_500)) for _ in range(14)] == [1] + [0] * 13
    for requests in (450, 520, 450, 520, 490, 510, 450, 520, 480, 520):
        assert service.window(10_000 - requests, requests=requests) == []


def test_large_requests_beside_many_small_ones_are_told_by_their_rows() -> None:
    service, form = Service(), Why("", "form")
    for _ in range(28):
        assert service.window(9_700, form, 300) == []
    assert service.window(4_700, form, 325, rows=5_300) == [
        "5,300 of 10,000 rows (53 %) in 325 requests were refused, since 13:12: they are not of the form that a gateway reads"
    ]


def test_a_nightly_job_of_a_few_large_requests_is_told() -> None:
    assert len(Service().window(0, requests=5, rows=500_000)) == 1
    assert Service().window(0, requests=4, rows=500_000) == []


def test_a_flood_of_faults_is_remembered_in_little() -> None:
    window = Window(model="shop", unit="u1", start=START, end=START + HOUR)
    kinds = ("text", "true or false", "a list", "an object")
    for each in (1, 8):
        count = Count(requests=each, rows=each, since=START)
        many = {Why(f"feature_{at}", "type", kind, "a number"): count for at in range(400) for kind in kinds}
        state = RefusedState()
        for _ in range(40):
            state = refused.judge(state, 100_000, many, window, {}).state
        assert all(sum(past.refused.values()) == 1_600 * each for past in state.past)
        assert len(msgspec.json.encode(state)) < 120_000


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
        (Why("", "form", "413"), "form of requests", "they are larger than a gateway reads"),
        (Why("", "others"), "form of requests", "of ever so many faults"),
    ],
)
def test_every_fault_has_a_subject_and_words(why: Why, subject: str, words: str) -> None:
    service = Service()
    assert service.window(0, why, 50)[0].endswith(f": {words}")
    assert service.findings[0].subject == subject

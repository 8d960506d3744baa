from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.monitoring.incidents import Tenure, incidents
from flyball.records.evidence import Evidence
from flyball.records.findings import Acknowledgement, Finding, FindingKind

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = (Tenure("u1", START, None),)


def finding(number, day, *, since=None, unit="u1", **more):
    """Of the window that ends on that day; its change is known to lie after `since`."""
    end = START + day * DAY
    between = None if since is None else (START + since * DAY, end)
    given = {
        "kind": FindingKind.FEATURE_DRIFT, "subject": f"x{number}", "effect": 0.1, "effect_unit": "x", "share_of_budget": None,
        "evidence": Evidence(name="e", value=1.0), "words": f"finding {number}",
    }  # fmt: skip
    return Finding(
        id=f"f-{number}", number=number, model="m", unit=unit, window_start=end - DAY, window_end=end, changed_between=between, **{**given, **more}
    )  # fmt: skip


def seen(number, day, by="user:me"):
    return {f"f-{number}": Acknowledgement(finding=f"f-{number}", by=by, at=START + day * DAY)}


def grouped(findings, said=None, tenures=FIRST):
    return [each.findings for each in incidents(findings, said or {}, tenures)]


def test_findings_of_one_window_and_of_the_next_are_one_incident_and_a_later_one_is_another():
    assert grouped([finding(1, 2), finding(2, 2), finding(3, 3), finding(4, 6)]) == [(1, 2, 3), (4,)]


def test_a_change_that_may_lie_as_far_back_as_another_belongs_to_it():
    assert grouped([finding(1, 2), finding(2, 9, since=2)]) == [(1, 2)]
    assert grouped([finding(1, 2), finding(2, 9, since=3)]) == [(1,), (2,)]


def test_what_is_said_again_while_it_stands_goes_on():
    findings = [
        finding(1, 2, subject="loss"),
        finding(2, 6, subject="loss"),
        finding(3, 9, subject="price"),
        finding(4, 12, subject="loss"),
    ]
    assert grouped(findings) == [(1, 2, 4), (3,)]
    assert grouped(findings, seen(1, 3)) == [(1,), (2, 4), (3,)]
    assert grouped(findings, seen(1, 3) | seen(2, 7)) == [(1,), (2,), (3,), (4,)]


def test_a_finding_that_reaches_over_two_incidents_makes_them_one_with_the_number_of_the_first():
    (one,) = incidents([finding(1, 2), finding(2, 5), finding(3, 6, since=1)], {}, FIRST)
    assert (one.number, one.findings, one.began) == (1, (1, 2, 3), START + DAY)


def test_it_is_open_until_the_last_of_its_findings_is_acknowledged_and_belongs_to_who_was_first():
    findings = [finding(1, 2, harm=0.01), finding(2, 2, harm=0.03, kind=FindingKind.DATA_QUALITY), finding(3, 3)]
    (standing,) = incidents(findings, seen(2, 4, "user:first") | seen(1, 5), FIRST)
    assert (standing.owner, standing.ended, standing.standing) == ("user:first", None, (FindingKind.FEATURE_DRIFT,))
    assert (standing.harm, standing.words) == (0.03, "finding 2")
    (over,) = incidents(findings, seen(2, 4, "user:first") | seen(1, 5) | seen(3, 6), FIRST)
    assert (over.ended, over.standing) == (START + 6 * DAY, ())


def test_what_comes_back_after_it_was_acknowledged_is_a_new_incident():
    assert grouped([finding(1, 2), finding(2, 3)], seen(1, 2.5)) == [(1,), (2,)]
    assert grouped([finding(1, 2), finding(2, 3)], seen(1, 3)) == [(1, 2)]


def test_what_is_taken_as_normal_later_was_over_when_it_was_seen():
    said = seen(1, 3)["f-1"]
    normal = Acknowledgement(finding="f-1", by="user:you", at=START + 9 * DAY, as_normal=True, before=said.first)
    again = [finding(1, 2, subject="loss"), finding(2, 6, subject="loss")]
    assert incidents(again, {"f-1": normal}, FIRST) == incidents(again, {"f-1": said}, FIRST)
    assert grouped(again, {"f-1": normal}) == [(1,), (2,)]


def test_a_new_champion_ends_it_and_a_unit_that_comes_back_begins_anew():
    terms = (
        Tenure("u1", START, START + 3 * DAY),
        Tenure("u2", START + 3 * DAY, START + 4 * DAY),
        Tenure("u1", START + 4 * DAY, None),
    )
    found = incidents([finding(1, 3), finding(2, 4, unit="u2"), finding(3, 5)], {}, terms)
    assert [(each.findings, each.unit, each.ended) for each in found] == [
        ((1,), "u1", START + 3 * DAY), ((2,), "u2", START + 4 * DAY), ((3,), "u1", None),
    ]  # fmt: skip
    assert found[0].standing == ()


def test_an_anomaly_of_the_service_that_goes_on_outlasts_its_champion_and_keeps_its_number():
    terms = (Tenure("u1", START, START + 3 * DAY), Tenure("u2", START + 3 * DAY, None))
    service = {"kind": FindingKind.OPERATIONS, "subject": "requests"}
    told = [finding(1, 2), finding(2, 3, **service), finding(3, 4, unit="u2")]
    going, own = incidents(told, {}, terms, {"f-2"})
    assert (going.findings, going.number, going.unit, going.ended) == ((1, 2), 1, "u1", None)
    assert going.standing == (FindingKind.OPERATIONS,)
    assert own.findings == (3,)
    for over in (incidents(told, {}, terms), incidents(told, seen(2, 5), terms, {"f-2"})):
        assert (over[0].findings, over[0].ended, over[0].standing) == ((1, 2), START + 3 * DAY, ())


def test_what_is_benign_or_of_no_champion_is_in_none_and_what_is_not_served_is_in_any():
    benign, other = finding(1, 2, pages=False), finding(2, 2, unit="u9")
    switch = finding(3, 2, unit="u9", kind=FindingKind.SERVING)
    assert grouped([benign, other, switch]) == [(3,)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.one_of(st.none(), st.integers(0, 12))), max_size=9), st.randoms())
def test_every_finding_is_in_one_incident_whatever_order_they_come_in_and_incidents_that_stand_do_not_touch(drawn, random):
    findings = [
        finding(number, day, since=None if since is None else min(since, day - 1))
        for number, (day, since) in enumerate(drawn, start=1)
    ]
    found = incidents(findings, {}, FIRST)
    assert sorted(number for each in found for number in each.findings) == [each.number for each in findings]
    spans = sorted((each.began, max(findings[number - 1].window_end for number in each.findings)) for each in found)
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))
    shuffled = list(findings)
    random.shuffle(shuffled)
    assert incidents(shuffled, {}, FIRST) == found

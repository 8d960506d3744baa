"""Rows that the champion cannot answer are told once while they are about as many, and hold up no policy."""

from pathlib import Path

import pytest
from engine_world import AT_ONCE, DAY, Project, spec_of

from flyball.control import findings as doors
from flyball.control import incidents
from flyball.control.failing import QUIET_WINDOWS
from flyball.control.standing import standing
from flyball.control.world import micros
from flyball.records.captured import FailureBatch
from flyball.records.findings import Finding, FindingKind

TELL = [{"name": "call", "when": "performance.alarm", "do": {"action": "notify", "message": "worse"}}]


class Failing(Project):
    """Some of its rows come to nothing."""

    def days(self, number: int, failed: int, rows: int = 200) -> None:
        for _ in range(number):
            if failed:
                at, unit = micros(self.clock.now()), self.champion().unit
                self.capture.hand_over(
                    [
                        FailureBatch(
                            at_us=at, model="shop", unit=unit, role="champion", n=failed, reason="crash", answered_by=None
                        )
                    ],
                    "0",
                )
            self.live(DAY, rows=rows)

    def failures_told(self) -> list[Finding]:
        return sorted((each for each in self.findings() if each.subject == "failures"), key=lambda each: each.number)


@pytest.fixture
def project(tmp_path: Path) -> Failing:
    made = Failing(tmp_path, spec_of(AT_ONCE, TELL))
    made.first_champion()
    return made


def test_what_fails_at_every_window_is_told_once_and_again_where_it_is_twice_as_bad(project: Failing) -> None:
    project.days(5, failed=20)
    (first,) = project.failures_told()
    assert (first.pages, first.kind) == (True, FindingKind.SERVING)
    project.days(2, failed=60)
    first, second = project.failures_told()
    assert second.effect >= 2 * first.effect
    project.days(2, failed=60)
    assert len(project.failures_told()) == 2
    project.holds()


def test_a_row_in_hundreds_wakes_nobody_until_it_is_more(project: Failing) -> None:
    project.days(4, failed=1)
    (shown,) = project.failures_told()
    assert not shown.pages
    assert incidents.rows(project.door, open_only=True) == ()
    project.days(2, failed=40)
    assert [each.pages for each in project.failures_told()] == [False, True]


def test_what_somebody_has_seen_and_what_comes_after_a_good_week_is_told_anew(project: Failing) -> None:
    project.days(2, failed=20)
    (first,) = project.failures_told()
    doors.acknowledge(project.door, first.id, "user:me", "on it", as_normal=False)
    project.days(2, failed=20)
    assert len(project.failures_told()) == 2
    project.days(QUIET_WINDOWS + 1, failed=0)
    project.days(1, failed=20)
    assert len(project.failures_told()) == 3


def test_an_old_fault_hides_none_that_grows_from_a_single_row(project: Failing) -> None:
    project.days(1, failed=1200)
    project.days(QUIET_WINDOWS + 2, failed=0)
    project.days(1, failed=1)
    project.days(1, failed=400)
    assert [each.pages for each in project.failures_told()] == [True, False, True]


def test_a_champion_that_comes_back_is_told_of_in_its_new_term(project: Failing) -> None:
    project.days(2, failed=20)
    project.version()
    project.days(1, failed=0)
    project.roll_back()
    project.days(2, failed=20)
    first, second = project.failures_told()
    assert first.unit == second.unit == project.champion().unit
    assert [each.subject for each in standing(project.door, project.champion())] == ["failures"]


@pytest.mark.parametrize("failed", [0, 1])
def test_a_policy_acts_on_a_loss_that_rises_again_though_a_row_fails_every_day(project: Failing, failed: int) -> None:
    def losses() -> list[Finding]:
        return [each for each in project.findings() if each.kind is FindingKind.PERFORMANCE]

    def heard() -> int:
        return sum("worse" in str(each) for each in project.told.heard)

    project.days(4, failed)
    project.turned = 0.6
    project.days(3, failed)
    project.turned = 0.0
    project.days(2, failed)
    for each in losses():
        doors.acknowledge(project.door, each.id, "user:me", "mended", as_normal=False)
    project.days(12, failed)
    assert heard() == 1
    project.turned = 0.6
    project.days(4, failed)
    assert heard() == 2


def test_an_endless_fault_joins_no_incident_of_another_time(project: Failing) -> None:
    project.days(10, failed=20)
    project.turned = 0.6
    project.days(4, failed=20)
    assert [each.subjects for each in incidents.rows(project.door, open_only=True)].count(("failures",)) == 1
    assert len(incidents.rows(project.door, open_only=True)) == 2

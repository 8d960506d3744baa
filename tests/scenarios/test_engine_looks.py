"""When policies look, on what, and what becomes of what they said: also where nobody is answered, trainings crash, or somebody else was quicker."""

from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Model, Project, spec_of

from flyball.adapters.packages import MANIFEST
from flyball.control import bounds, commands, decisions
from flyball.control.ports import Executor, JobReport, StepRequest
from flyball.control.standing import puts_of
from flyball.control.world import draft
from flyball.records.events import Put
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.jobs import Job
from flyball.records.release import Phase
from flyball.records.tournaments import Tournament

MONITOR = {"min_rows": 20, "mature_share": 0.99}
QUICK: dict[str, Any] = {
    "shadow": {"at_least": "6h", "at_most": "4d", "min_labels": 100}, "steps": [], "watch": "6h", "margin": 0.05,
}  # fmt: skip


def project_of(root: Path, *policies: dict[str, Any], release: dict[str, Any] = AT_ONCE, **more: Any) -> Project:
    return Project(root, spec_of(release, list(policies), monitor=MONITOR), **more)


def tell(when: str) -> dict[str, Any]:
    return {"name": "tell", "when": when, "do": {"action": "notify", "message": "look"}, "cooldown": "300d"}


def test_policies_look_at_the_end_of_a_window_in_which_nobody_asked(tmp_path: Path) -> None:
    """An outage is when they are wanted most; and once for each window, whatever is restarted."""
    project = project_of(tmp_path, tell("champion.age_days > 3.0 && window.predictions == 0"))
    project.version()
    project.live(2 * DAY)
    for _ in range(4):
        project.live(DAY, rows=0)
        project.restart()
        project.tick()
    assert [words for _, words in project.told.heard] == ["look"]
    looks = [event.key for event in project.ledger.events(kinds=("signals.gathered",))]
    assert len(looks) == len(set(looks)) == 6
    project.holds()


def test_a_champion_that_answers_nobody_for_days_is_told_with_the_rows(tmp_path: Path) -> None:
    project = project_of(tmp_path, tell("serving.alarm"))
    unit = project.version()
    project.live(2 * DAY)
    project.failing.add(unit)
    project.live(3 * DAY)
    failures = [each for each in project.findings() if each.subject == "failures"]
    assert [each.window_start for each in failures] == [project.clock.now() - 3 * DAY]  # once while it lasts
    assert failures[-1].words == f"{unit} could not answer 240 of 240 rows"
    assert len(project.told.heard) == 1
    project.holds()


def test_a_fault_of_a_column_that_matters_to_nobody_keeps_nothing_from_being_tried(tmp_path: Path) -> None:
    project = project_of(tmp_path, {"name": "better", "when": "improvement.worthwhile", "do": "improve"}, release=QUICK)
    project.version(Model(wrong=0.2))
    now, world = project.clock.now(), project.engine.world
    finding = Finding(
        id="f-x", kind=FindingKind.DATA_QUALITY, model="shop", unit=project.champion().unit, subject="x", window_start=now,
        window_end=now + 10 * DAY, effect=1.0, effect_unit="share", evidence=Evidence(name="share", value=1.0, n=100), share_of_budget=None,
        words="x is gone, which the model does not notice", pages=False,
    )  # fmt: skip
    world.record(draft(now, "finding.raised", f"finding:{finding.id}", {}, puts_of(world, (finding,)), key=finding.id))
    project.live(16 * DAY, rows=60, until=lambda: bool(project.door.all("tournament", Tournament)))
    assert [held.winner for held in project.door.all("tournament", Tournament)] == ["all"]
    project.holds()


def test_trainings_that_crash_in_tournaments_open_the_breaker_and_are_not_taken_for_trainings(tmp_path: Path) -> None:
    project = project_of(
        tmp_path,
        {"name": "better", "when": "improvement.worthwhile", "do": {"action": "improve", "entrants": ["all"]}},
        release=QUICK,
    )
    project.version(Model(wrong=0.2))
    project.workshop.plans |= {f"j-{number:04d}": Model(trains=False) for number in range(2, 9)}
    project.live(16 * DAY, rows=60)
    held = project.door.all("tournament", Tournament)
    assert [each.winner for each in held] == [None] * 3
    assert held[0].growth < held[1].growth < held[2].growth
    breaker = bounds.breaker_of(project.door)
    assert breaker is not None
    assert "j-0002 came to no model (the label has a single class)" in breaker.words
    project.holds()


class Slow:
    """Jobs of it run until they are let go."""

    def __init__(self, of: Executor) -> None:
        self._of = of
        self.held: set[str] = set()

    def launch(self, request: StepRequest) -> None:
        self._of.launch(request)

    def cancel(self, job_id: str) -> None:
        self._of.cancel(job_id)

    def tidy(self) -> None:
        self._of.tidy()

    def observe(self, job_id: str) -> JobReport:
        report = self._of.observe(job_id)
        return report._replace(state="running") if job_id in self.held and report.state == "done" else report


def slow_project(root: Path, *policies: dict[str, Any]) -> tuple[Project, Slow]:
    made: list[Slow] = []

    def wrap(ports: Any) -> Any:
        made[:1] = made[:1] or [Slow(ports.executor)]
        return ports._replace(executor=made[0])

    project = project_of(root, *policies, wrap=wrap)
    return project, made[0]


def test_a_result_that_comes_after_a_later_one_is_released_as_well(tmp_path: Path) -> None:
    project, slow = slow_project(tmp_path)
    project.version()
    project.live(DAY, until=lambda: project.release().phase is Phase.SETTLED)
    slow.held.add("j-0002")
    commands.order(project.door, "run", "user:me", "")
    project.tick()
    quicker = project.version()
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.champion().unit == quicker
    slow.held.clear()
    project.tick()
    assert project.release().job == "j-0002"
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert [release.job for release in project.releases()] == ["j-0001", "j-0003", "j-0002"]
    project.holds()


@pytest.mark.parametrize("passes", [False, True])
def test_what_a_person_allows_waits_for_the_job_that_runs_and_is_not_done_for_a_champion_that_is_no_more(
    tmp_path: Path, passes: bool
) -> None:
    old = {"name": "old", "when": "champion.age_days >= 1.0", "do": "retrain", "needs": "approval", "cooldown": "300d"}
    project, slow = slow_project(tmp_path, old)
    project.version()
    project.live(3 * DAY, until=lambda: bool(project.approvals()))
    slow.held.add("j-0002")
    project.workshop.plans["j-0002"] = Model(passes=passes)
    commands.order(project.door, "run", "user:me", "")
    project.tick()
    commands.answer(project.door, project.approvals()[-1].id, yes=True, actor="user:me", reason="")
    project.tick()
    assert [job.id for job in project.door.all("job", Job)] == ["j-0001", "j-0002"]
    slow.held.clear()
    project.tick()
    assert [job.id for job in project.door.all("job", Job)] == ["j-0001", "j-0002", *([] if passes else ["j-0003"])]
    project.holds()


def test_jobs_are_in_order_beyond_their_four_digits(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    world = project.engine.world
    world.record(draft(project.clock.now(), "test.began", "counter:job", {}, (Put("counter", "job", {"last": 9998}),)))
    for _ in range(2):
        commands.order(project.door, "run", "user:me", "")
        project.tick()
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert [job.id for job in project.door.all("job", Job)] == ["j-9999", "j-10000"]
    assert [release.job for release in project.releases()] == ["j-9999", "j-10000"]


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_rollback_with_nowhere_to_go_is_told_to_a_person(tmp_path: Path, damaged: int) -> None:
    """With one earlier unit damaged of two, it does not go to the other one: that is not what was allowed."""
    back = {"name": "back", "when": "performance.alarm", "do": "roll_back", "needs": "approval", "cooldown": "30d"}
    project = Project(
        tmp_path, spec_of(AT_ONCE, [back], monitor={**MONITOR, "false_alarms": "1 per 5 windows"})
    )  # fmt: skip
    for _ in range(damaged + 1):
        project.version()
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    champion = project.champion()
    project.turned = 1.0
    project.live(20 * DAY, until=lambda: bool(project.approvals()))
    for unit in champion.verified[1:-1] or champion.verified[:1]:
        served = project.engine.shelf.served(unit)
        (Path(served.package) / MANIFEST).write_bytes(b"{}")
    commands.answer(project.door, project.approvals()[-1].id, yes=True, actor="user:me", reason="")
    project.tick()
    assert project.champion() == champion
    (_, asked), (_, words) = project.told.heard
    assert "flyball approve" in asked
    assert ("no earlier unit is whole" if damaged == 1 else f"flyball rollback goes to {champion.verified[0]}") in words
    assert decisions.recorded(project.door)
    project.live(6 * HOUR)
    assert len(project.told.heard) == 2

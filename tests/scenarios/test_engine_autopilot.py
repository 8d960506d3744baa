"""The autopilot over simulated months: within its budget, once each, and asked about where a person wants to be."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.adapters.ledger import memory
from flyball.control import commands, decisions, explaining, findings, incidents
from flyball.control.todos import QUESTION, Todo
from flyball.errors import Conflict, Denied, NotFound
from flyball.records.findings import FindingKind
from flyball.records.jobs import Job
from flyball.records.release import Phase

OLD = {"name": "old", "when": "champion.age_days >= 1", "do": "retrain"}


def project_of(root: Path, *policies: dict, **more: object) -> Project:
    return Project(root, spec_of(AT_ONCE, list(policies), **more))


def asked(project: Project, *, days: int = 6) -> str:
    """The id of the newest open question."""
    project.live(days * DAY, until=lambda: any(one.answer is None for one in project.approvals()))
    return next(one.id for one in reversed(project.approvals()) if one.answer is None)


def test_retraining_keeps_to_its_cooldown_and_budget_over_months(tmp_path: Path) -> None:
    project = project_of(tmp_path, {**OLD, "cooldown": "5d", "budget": "3 per 30d"})
    project.version()
    project.live(92 * DAY, rows=30, step=12 * HOUR)
    asked_for = [job.requested_at for job in project.door.all("job", Job) if job.cause.startswith("d-")]
    assert 9 <= len(asked_for) <= 12
    assert all(later - earlier >= 5 * DAY for earlier, later in pairwise(asked_for))
    for start in asked_for:
        assert sum(start <= at < start + 30 * DAY for at in asked_for) <= 3
    assert [job.status for job in project.door.all("job", Job)] == ["registered"] * (len(asked_for) + 1)
    assert all(release.phase is Phase.SETTLED for release in project.releases())
    assert len(project.releases()) == len(asked_for) + 1
    project.holds()


def test_a_policy_that_goes_by_the_last_retraining_sees_what_a_person_has_trained(tmp_path: Path) -> None:
    rarely = {**OLD, "when": "history.days_since_retraining > 7 && champion.age_days > 1"}
    project = project_of(tmp_path, {**rarely, "cooldown": "1d"})
    project.version()
    project.live(DAY)
    project.version()
    since = project.clock.now()
    project.live(12 * DAY, until=lambda: len(project.door.all("job", Job)) > 2)
    assert 7 * DAY < project.clock.now() - since < 9 * DAY
    project.holds()


def test_a_person_is_told_once_for_each_decision(tmp_path: Path) -> None:
    tell = {
        "name": "tell",
        "when": "window.predictions > 0",
        "do": {"action": "notify", "message": "a day is over"},
        "cooldown": "3d",
    }
    project = project_of(tmp_path, tell)
    project.version()
    for _ in range(20):
        project.live(12 * HOUR)
        project.restart()
        project.tick()
    told = [made for made in decisions.recorded(project.door) if any(action.kind == "notify" for action in made.plan.actions)]
    assert len(told) == len(project.told.heard) == 4
    project.holds()


def test_a_person_is_told_what_it_is_about_where_the_policy_does_not_say(tmp_path: Path) -> None:
    tell = {"name": "busy", "when": "window.predictions > 0", "do": "notify", "cooldown": "30d"}
    project = project_of(tmp_path, tell, {**tell, "name": "other"})
    project.version()
    project.live(2 * DAY)
    made = next(made for made in decisions.recorded(project.door) if made.room == "autopilot")
    first, second = made.plan.rationale.splitlines()
    assert first.startswith("busy: `window.predictions > 0` held for 1 window")
    assert [words for _, words in project.told.heard] == [f"{line.rstrip('.')} ({made.id})" for line in (first, second)]
    project.holds()


def test_what_a_person_agrees_to_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path, {**OLD, "needs": "approval", "cooldown": "30d"})
    project.version()
    question = asked(project)
    assert len(project.door.all("job", Job)) == 1
    given = commands.answer(project.door, question, yes=True, actor="user:me", reason="go on")
    assert (given.answer, given.answered_by) == ("approved", "user:me")
    with pytest.raises(Conflict):
        commands.answer(project.door, question, yes=False, actor="user:you", reason="")
    for _ in range(3):
        project.tick()
        project.restart()
    assert [job.cause for job in project.door.all("job", Job)] == ["user:me", question]
    assert project.door.all("job", Job)[-1].status == "registered"
    assert done_of(project) == [True]
    explained = explaining.explain(project.door, question)
    assert explained.replayed_equal
    assert explained.approval == given
    project.live(4 * DAY)
    assert len(project.door.all("job", Job)) == 2
    project.holds()
    looked_up: list[str] = []
    monkeypatch.setattr(decisions, "find", lambda _, decision: looked_up.append(decision))
    project.engine.tick()
    assert looked_up == []


def done_of(project: Project) -> list[bool]:
    """Of what was decided, beside telling a person of a question."""
    return [todo.done for todo in project.door.all("todo", Todo) if QUESTION not in todo.action.arguments]


def told_but_of_questions(project: Project) -> list[str]:
    return [words for _, words in project.told.heard if "If nobody answers" not in words]


def test_what_was_read_before_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path, {**OLD, "needs": "approval", "cooldown": "30d"})
    project.version()
    before, decoded = project.door.all("job", Job), []
    value_of = memory.value_of

    def counted(text: str) -> dict[str, Any]:
        decoded.append(text)
        return value_of(text)

    monkeypatch.setattr(memory, "value_of", counted)
    assert project.door.all("job", Job) == before
    assert decoded == []
    commands.order(project.door, "run", "user:me", "")
    project.tick()
    decoded.clear()
    assert len(project.door.all("job", Job)) == len(before) + 1
    assert decoded == []  # the event told it


def test_what_a_person_refuses_is_not_done_and_nobody_answers_own_questions(tmp_path: Path) -> None:
    project = project_of(tmp_path, {**OLD, "needs": "approval", "cooldown": "30d"})
    project.version()
    question = asked(project)
    with pytest.raises(Denied):
        commands.answer(project.door, question, yes=True, actor="autopilot", reason="")
    with pytest.raises(NotFound):
        commands.answer(project.door, "d-999999", yes=True, actor="user:me", reason="")
    with pytest.raises(Conflict):
        commands.answer(project.door, "d-000001", yes=True, actor="user:me", reason="")
    commands.answer(project.door, question, yes=False, actor="user:me", reason="not now")
    project.live(4 * DAY)
    assert len(project.door.all("job", Job)) == 1
    assert done_of(project) == []
    project.holds()


def test_a_question_is_answered_wherever_it_stands_in_its_decision_and_each_by_itself(tmp_path: Path) -> None:
    when = "champion.age_days >= 1"
    tell = {"name": "tell", "when": when, "do": {"action": "notify", "message": "told"}, "cooldown": "30d"}
    first = {
        "name": "first",
        "when": when,
        "do": {"action": "notify", "message": "first"},
        "needs": "approval",
        "cooldown": "30d",
    }
    project = project_of(tmp_path, tell, first, {**OLD, "needs": "approval", "cooldown": "30d"})
    project.version()
    asked(project)
    one, two = project.approvals()
    assert (one.id, two.id, two.decision) == (one.decision, f"{one.decision}.2", one.decision)
    assert told_but_of_questions(project) == ["told"]
    commands.answer(project.door, one.id, yes=True, actor="user:me", reason="")
    project.tick()
    assert told_but_of_questions(project) == ["told", "first"]
    assert len(project.door.all("job", Job)) == 1
    commands.answer(project.door, two.id, yes=True, actor="user:me", reason="")
    project.tick()
    assert [job.cause for job in project.door.all("job", Job)] == ["user:me", one.decision]
    project.holds()


def going_back(root: Path) -> Project:
    """Two settled versions, and a question whether to go back from the second."""
    back = {"name": "back", "when": "performance.alarm", "do": "roll_back", "needs": "approval", "cooldown": "30d"}
    project = project_of(root, back, monitor={"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 5 windows"})
    for _ in range(2):
        project.version()
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    project.turned = 1.0
    asked(project, days=20)
    return project


def test_a_rollback_that_was_agreed_to_goes_back(tmp_path: Path) -> None:
    project = going_back(tmp_path)
    first, second = project.champion().verified
    commands.answer(project.door, project.approvals()[-1].id, yes=True, actor="user:me", reason="")
    project.tick()
    assert (project.champion().unit, project.mentioned()) == (first, {first})
    assert project.release().challenger == second
    project.holds()


def test_an_answer_that_comes_too_late_takes_back_no_other_unit(tmp_path: Path) -> None:
    project = going_back(tmp_path)
    first, _ = project.champion().verified
    commands.order(project.door, "roll_back", "user:me", "at the same moment")
    commands.answer(project.door, project.approvals()[-1].id, yes=True, actor="user:me", reason="late")
    project.tick()
    assert project.champion().unit == first == project.answering()
    third = project.version()
    project.live(DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.champion().unit == third == project.answering()
    assert done_of(project) == [True]
    project.holds()


def test_a_question_about_who_is_champion_no_more_is_closed_and_asked_anew_of_who_is(tmp_path: Path) -> None:
    """Though its cooldown, from the question on, is not over: nothing was done."""
    project = going_back(tmp_path)
    first, second = project.champion().verified
    about_second = project.approvals()[-1]
    project.roll_back("sooner than the answer")
    with pytest.raises(Conflict, match=f"{second} is champion no more"):
        commands.answer(project.door, about_second.id, yes=True, actor="user:me", reason="late")
    assert any(f"{second} is champion no more" in line for line in explaining.explain(project.door, about_second.id).afterwards)
    third = project.version()
    project.live(2 * DAY, until=lambda: project.champion().unit == third)
    newest = asked(project, days=20)
    anew = next(each for each in project.approvals() if each.id == newest)
    assert f"Roll back from {third} to {first}" in decisions.find(project.door, anew.decision).plan.rationale
    assert anew.requested_at - about_second.requested_at < 30 * DAY
    assert next(each for each in project.approvals() if each.id == about_second.id).answer == "void"
    project.holds()


def test_a_cooldown_begins_when_a_person_has_agreed(tmp_path: Path) -> None:
    project = project_of(tmp_path, {**OLD, "needs": "approval", "cooldown": "10d"})
    project.version()
    question = asked(project)
    project.live(9 * DAY)
    agreed = project.clock.now()
    commands.answer(project.door, question, yes=True, actor="user:me", reason="after long thought")
    project.tick()
    asked(project, days=30)
    later = project.approvals()[-1].requested_at
    assert 10 * DAY <= later - agreed <= 12 * DAY
    assert f"it last acted {(later - agreed) / DAY:.1f} days ago" in decisions.recorded(project.door)[-1].plan.rationale
    commands.answer(project.door, project.approvals()[-1].id, yes=False, actor="user:me", reason="no")
    asked(project, days=30)
    assert 10 * DAY <= project.approvals()[-1].requested_at - later <= 12 * DAY
    project.holds()


def test_a_unit_that_comes_back_after_a_rollback_is_judged_by_its_new_term_only(tmp_path: Path) -> None:
    """`for: 3` counts windows since the champion took over: those of its first term are another story."""
    project = project_of(tmp_path, {**OLD, "when": "window.predictions > 0", "for": 3, "do": "notify"})
    first = project.version()
    project.live(2 * DAY + HOUR)
    project.version()
    project.live(DAY)
    project.told.heard.clear()
    project.roll_back()
    assert project.champion().unit == first
    back = project.clock.now()
    project.live(5 * DAY, until=lambda: bool(project.told.heard))
    assert project.clock.now() - back > 2 * DAY
    project.holds()


def test_a_policy_without_a_cooldown_acts_once_for_an_incident_and_again_for_the_next(tmp_path: Path) -> None:
    tell = {"name": "tell", "when": "performance.alarm", "do": {"action": "notify", "message": "worse"}}
    project = project_of(tmp_path, tell, monitor={"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 5 windows"})
    project.version()
    project.live(2 * DAY)
    project.turned = 1.0
    project.live(12 * DAY, rows=60)
    (one,) = incidents.rows(project.door, open_only=True)
    worse = [each.number for each in project.findings() if each.kind is FindingKind.PERFORMANCE]
    assert worse
    assert set(worse) <= set(one.findings)
    assert [words.partition(";")[0] for _, words in project.told.heard].count("worse") == 1
    for number in one.findings:
        findings.acknowledge(project.door, str(number), "user:me", "seen", as_normal=False)
    project.restart()
    project.live(12 * DAY, rows=60)
    first, second, *_ = incidents.rows(project.door, open_only=False)
    assert (first.number, first.owner, first.ended is not None) == (one.number, "user:me", True)
    assert second.ended is None
    assert [words.partition(";")[0] for _, words in project.told.heard].count("worse") == 2
    project.holds()

"""What policies ask: for as long as it is about who answers, about what is open, and about what flyball.yaml says."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_world import AT_ONCE, DAY, Project, spec_of

from flyball.control import commands, decisions, findings, incidents
from flyball.control.remedies import Acts
from flyball.control.world import draft, put
from flyball.errors import Conflict
from flyball.records import codec
from flyball.records.decisions import Action, Approval
from flyball.records.jobs import Job
from flyball.records.release import Phase

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 5 windows"}
OLD = {"name": "mend", "when": "champion.age_days >= 1", "do": "retrain", "needs": "approval", "cooldown": "30d"}
WORSE = {**OLD, "when": "performance.alarm"}
LOOK = {"name": "mend", "when": "champion.age_days >= 1", "do": {"action": "ask", "message": "look"}, "cooldown": "10d"}


def asking(root: Path, policy: dict[str, Any], turned: float = 0.0, **more: Any) -> tuple[Project, Approval]:
    project = Project(root, spec_of(AT_ONCE, [policy], **{"monitor": MONITOR, **more}))
    project.version()
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    project.turned = turned
    project.live(20 * DAY, until=lambda: bool(project.approvals()))
    project.turned = 0.0
    (asked,) = project.approvals()
    return project, asked


def answer(project: Project, asked: Approval) -> None:
    commands.answer(project.door, asked.id, yes=True, actor="user:me", reason="late")
    project.tick()


def state_of(project: Project, asked: Approval) -> tuple[str | None, str]:
    found = project.door.get("approval", asked.id, Approval)
    assert found is not None
    return found.answer, found.reason


def edited(project: Project, policy: dict[str, Any], **more: Any) -> None:
    project.spec = spec_of(AT_ONCE, [policy], **{"monitor": MONITOR, **more})
    project.restart()
    project.door = project.engine.world
    project.tick()


def acts(project: Project) -> list[Any]:
    found = project.door.get("acts", "shop", Acts)
    return [] if found is None else [act.at for act in found.past]


@pytest.mark.parametrize(("policy", "turned"), [(WORSE, 1.0), (OLD, 0.0), (LOOK, 0.0), ({**OLD, "do": "notify"}, 0.0)])
def test_a_question_about_a_champion_that_is_gone_is_closed_and_asked_anew_of_who_came(
    tmp_path: Path, policy: dict[str, Any], turned: float
) -> None:
    project, asked = asking(tmp_path, policy, turned)
    first = project.champion().unit
    second = project.version()
    assert project.champion().unit == second
    assert state_of(project, asked) == ("void", f"{first} is champion no more")
    with pytest.raises(Conflict, match=f"{first} is champion no more"):
        answer(project, asked)
    assert [job.cause for job in project.door.all("job", Job)] == ["user:me"] * 2
    project.turned = turned
    project.live(15 * DAY, until=lambda: len(project.approvals()) > 1)
    anew = project.approvals()[-1]
    assert (anew.answer, anew.requested_at - asked.requested_at < 30 * DAY) == (None, True)
    project.holds()


def test_a_yes_that_comes_with_another_champion_trains_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, [{**OLD, "when": "champion.age_days >= 3"}], monitor=MONITOR))
    for _ in range(2):
        project.version()
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    project.live(6 * DAY, until=lambda: bool(project.approvals()))
    commands.order(project.door, "roll_back", "user:me", "at the same moment")
    answer(project, project.approvals()[-1])
    assert len(project.door.all("job", Job)) == 2
    assert "is champion no more: nothing was to be done" in project.ledger.events(kinds=("todo.done",))[-1].payload["words"]
    assert acts(project) == []
    project.holds()


def test_a_question_ends_with_the_last_of_its_incidents(tmp_path: Path) -> None:
    project, asked = asking(tmp_path, WORSE, 1.0)
    project.turned = 1.0
    project.live(8 * DAY, until=lambda: any(len(each.findings) > 1 for each in incidents.rows(project.door, open_only=True)))
    project.turned = 0.0
    (one,) = incidents.rows(project.door, open_only=True)
    assert len(one.findings) > 1
    for number in one.findings:
        project.tick()
        assert state_of(project, asked) == (None, "")
        findings.acknowledge(project.door, str(number), "user:me", "mended", as_normal=False)
    project.tick()
    assert incidents.rows(project.door, open_only=True) == ()
    assert state_of(project, asked) == ("void", f"incident {one.number} is over")
    with pytest.raises(Conflict, match="is over"):
        answer(project, asked)
    assert acts(project) == []
    project.holds()


CHANGED: list[dict[str, Any]] = [
    {"do": {"action": "notify", "message": "old"}},
    {"do": {"action": "retrain", "history": "60d"}},
    {"do": {"action": "retrain", "on_faults": True}},
    {"when": "champion.age_days >= 2"},
    {"for": 2},
    {"needs": "nobody"},
]


@pytest.mark.parametrize("change", CHANGED)
def test_a_question_is_closed_where_its_policy_would_not_ask_it_any_more(tmp_path: Path, change: dict[str, Any]) -> None:
    project, asked = asking(tmp_path, OLD)
    edited(project, {**OLD, **change})
    assert state_of(project, asked) == ("void", "flyball.yaml has changed policy 'mend' since")
    with pytest.raises(Conflict, match="has changed policy 'mend' since"):
        answer(project, asked)
    before = len(decisions.recorded(project.door))
    project.live(4 * DAY, until=lambda: len(decisions.recorded(project.door)) > before)
    assert "it never acted before" in decisions.recorded(project.door)[before].plan.rationale
    project.holds()


@pytest.mark.parametrize(("level", "closed"), [("observe", True), ("act", True), ("propose", False)])
def test_a_level_that_is_set_anew_closes_what_would_not_be_asked_any_more(tmp_path: Path, level: str, closed: bool) -> None:
    free = {**OLD, "needs": "nobody"}
    project, asked = asking(tmp_path, free, autopilot={"autonomy": {"retrain": "propose"}})
    edited(project, free, autopilot={"autonomy": {"retrain": level}})
    assert (state_of(project, asked)[0] == "void") is closed


def test_how_often_a_policy_may_act_is_no_part_of_what_it_asks(tmp_path: Path) -> None:
    project, asked = asking(tmp_path, OLD)
    edited(project, {**OLD, "cooldown": "3d", "budget": "1 per 20d"})
    project.live(2 * DAY)
    assert state_of(project, asked) == (None, "")
    answer(project, asked)
    assert project.door.all("job", Job)[-1].cause == asked.decision
    project.holds()


def of_an_earlier_release(project: Project, asked: Approval, *, situated: bool) -> Approval:
    """The same question from a Flyball that did not name the champion in it; `situated`: its decision has its situation and policies."""
    made = decisions.find(project.door, asked.decision)
    assert made is not None
    question = codec.plain(made.plan.actions[0])
    del question["arguments"]["action"]["arguments"]["champion"]
    action = codec.revive(question, Action)
    rest = {} if situated else {"situation": {}, "policy": {}}
    name = "d-000099" if situated else "d-000098"
    told = msgspec.structs.replace(made, id=name, plan=msgspec.structs.replace(made.plan, actions=(action,)), **rest)
    old = msgspec.structs.replace(asked, id=told.id, decision=told.id, action_digest=codec.digest(action))
    world = project.engine.world
    world.record(draft(world.now(), "decision.made", f"decision:{told.id}", codec.plain(told), (put("approval", old.id, old),)))
    project.tick()
    assert state_of(project, old) == (None, "")
    return old


@pytest.mark.parametrize("situated", [True, False])
def test_a_question_that_an_earlier_release_asked_is_answered(tmp_path: Path, *, situated: bool) -> None:
    project, asked = asking(tmp_path, OLD)
    old = of_an_earlier_release(project, asked, situated=situated)
    answer(project, old)
    assert project.door.all("job", Job)[-1].cause == old.id
    project.live(DAY)


def test_a_question_that_an_earlier_release_asked_ends_with_its_champion_or_where_something_else_is_to_be_done(
    tmp_path: Path,
) -> None:
    project, asked = asking(tmp_path, OLD)
    situated = of_an_earlier_release(project, asked, situated=True)
    first = project.champion().unit
    project.version()
    assert state_of(project, situated) == ("void", f"{first} is champion no more")
    bare = of_an_earlier_release(project, asked, situated=False)
    edited(project, {**OLD, "do": "notify"})
    assert state_of(project, bare) == ("void", "flyball.yaml has changed policy 'mend' since")


def test_the_cooldown_of_a_question_with_nothing_to_be_done_begins_when_a_person_has_agreed(tmp_path: Path) -> None:
    project, asked = asking(tmp_path, LOOK)
    project.live(9 * DAY)
    agreed = project.clock.now()
    answer(project, asked)
    for _ in range(2):
        project.restart()
        project.tick()
    assert acts(project) == [agreed]
    counted = project.ledger.events(kinds=("approval.counted",))
    assert [event.payload for event in counted] == [{"decision": asked.decision, "by": "user:me"}]
    project.live(30 * DAY, until=lambda: len(project.approvals()) > 1)
    assert 10 * DAY <= project.approvals()[-1].requested_at - agreed <= 11 * DAY
    project.holds()


def test_what_an_earlier_release_did_not_count_counts_from_the_answer_and_not_from_the_upgrade(tmp_path: Path) -> None:
    project, asked = asking(tmp_path, LOOK)
    project.live(3 * DAY)
    agreed = project.clock.now()
    commands.answer(project.door, asked.id, yes=True, actor="user:me", reason="seen")
    project.clock.sleep(5 * DAY)
    project.restart()
    project.tick()
    assert acts(project) == [agreed]


def test_a_person_is_told_once_of_a_question_and_once_that_it_is_closed_without_an_answer(tmp_path: Path) -> None:
    project, asked = asking(tmp_path, OLD)
    told = [
        words for _, words in project.told.heard if words.startswith(f"{asked.id} waits for a person: retrain model:shop. mend: ")
    ]
    assert len(told) == 1
    assert f"Next: flyball approve {asked.id} --digest {asked.action_digest[:12]}, or flyball refuse {asked.id}" in told[0]
    project.restart()
    project.live(DAY)
    edited(project, {**OLD, "name": "other"})
    project.restart()
    project.tick()
    heard = [words for _, words in project.told.heard if asked.id in words]
    assert len(heard) == 2
    assert heard[1].startswith(
        f"the question of {asked.id} is closed without an answer: flyball.yaml has no policy 'mend' any more"
    )


def test_nobody_is_told_that_a_question_which_they_answered_is_closed(tmp_path: Path) -> None:
    project, asked = asking(tmp_path, OLD)
    answer(project, asked)
    project.live(DAY)
    assert len([words for _, words in project.told.heard if f"{asked.id} " in words]) == 1


def test_a_policy_that_waits_for_an_answer_says_so_and_not_that_it_acted(tmp_path: Path) -> None:
    project, asked = asking(tmp_path, {**LOOK, "cooldown": "0s"})
    project.live(3 * DAY)
    rationale = decisions.recorded(project.door)[-1].plan.rationale
    assert "it last asked " in rationale
    assert f"Nothing is done: its question {asked.id} has no answer yet." in rationale

"""What a person agreed to: this start of this release under these rules, and nothing that came after."""

from datetime import timedelta
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of
from rich.console import Console

from flyball.cli import tell_decisions, tell_status
from flyball.control import commands, explaining, queries, release_report
from flyball.control.world import World, put
from flyball.errors import Conflict, Denied
from flyball.records.decisions import Approval
from flyball.records.events import Draft
from flyball.records.release import TERMINAL, Phase
from flyball.wiring import health

ASKED = {**AT_ONCE, "steps": [{"traffic": "50%", "at_least": "6h", "at_most": "9d", "min_requests": 10}], "approval": True}
LOOSER = {**ASKED, "margin": 0.3}
WHY = {
    "hold": "r-0002 is held",
    "roll_back": "r-0002 is rolled back",
    "harm": "r-0002 is rolled back",
    "rules": "it is asked under other rules",
    "share": "flyball.yaml was changed: the step goes from 50% to 20% of the keys",
}


def asking(root: Path) -> Project:
    """A second version that has passed its canary and waits for a person."""
    project = Project(root, spec_of(ASKED))
    project.version()
    answered(project)
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    project.version()
    waits(project, 2)
    return project


def old_of(asked: Approval) -> Approval:
    return msgspec.structs.replace(asked, id="old", answer=None, answered_by=None, answered_at=None)


def waits(project: Project, questions: int) -> None:
    project.live(4 * DAY, until=lambda: len(project.approvals()) == questions)
    assert len(project.approvals()) == questions
    assert project.release().phase is not Phase.FULL


def answered(project: Project, which: int = -1, *, yes: bool = True) -> None:
    commands.answer(project.door, project.approvals()[which].id, yes=yes, actor="user:ann", reason="seen")
    project.tick()


def ordered(project: Project, kind: str) -> commands.Command:
    made = commands.order(project.door, kind, "user:ann", "as I say")
    project.tick()
    done = project.door.get("command", made.id, commands.Command)
    assert done is not None
    return done


def under(project: Project, release: dict[str, object]) -> None:
    """A controller that has read another flyball.yaml."""
    project.spec = spec_of(release)
    project.restart()
    project.door = project.engine.world


def test_a_first_version_that_waits_for_a_person_is_no_trouble_and_who_comes_up_is_told_what_to_answer(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(ASKED))
    project.version()
    waits(project, 1)
    asked = project.approvals()[-1].decision
    assert health.await_serving(project.door).startswith(f"Nothing is served yet: {asked} asks whether")
    report = queries.status(project.door, controller_alive=True)
    assert (report.release is not None, len(report.gateways) > 0) == (True, True)
    assert health.status_trouble(report, tmp_path) == ""
    answered(project)
    project.live(DAY, until=lambda: project.release().phase is Phase.WATCHING)
    assert queries.first_question(project.door) is None


def test_where_another_person_is_wanted_whoever_started_the_run_or_shares_a_token_may_only_refuse(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**ASKED, "approval": "another"}))
    project.version()  # ordered by user:me
    waits(project, 1)
    asked = project.approvals()[-1]
    for actor, why in (
        ("user:me", "user:me started the run of r-0001"),
        ("user:Me", "user:Me started the run of r-0001"),
        ("user:owner", "may be anybody"),
        ("user:approver", "may be"),
        ("user:Owner", "may be"),
    ):
        with pytest.raises(Denied, match=why):
            commands.answer(project.door, asked.id, yes=True, actor=actor, reason="mine")
    assert project.approvals()[-1].answer is None
    assert "person other than user:me" in release_report.report(project.door, None).words
    named = "waits for a person other than user:me. Next: flyball token add NAME --role approver"
    assert named in health.await_serving(project.door)
    screen = Console(file=StringIO(), width=500)
    screen.print(tell_status.status_report(queries.status(project.door, controller_alive=True), True))
    told = screen.file.getvalue()
    assert f"{asked.id} waits for a person other than user:me since" in told
    assert f"Next: flyball explain {asked.decision}; it waits for a person other than user:me (flyball token add" in told
    answered(project)  # user:ann's
    project.live(DAY, until=lambda: project.release().phase is Phase.WATCHING)
    assert project.release().phase is Phase.WATCHING


@pytest.mark.parametrize("how", ["needs", "autonomy"])
def test_where_another_person_is_wanted_one_yes_does_not_count_for_the_run_and_for_its_release(tmp_path: Path, how: str) -> None:
    policy = {"name": "old", "when": "champion.age_days >= 1", "do": "retrain", "cooldown": "30d"}
    more = {"autopilot": {"autonomy": {"retrain": "propose"}}} if how == "autonomy" else {}
    policies = [{**policy, "needs": "approval"} if how == "needs" else policy]
    project = Project(tmp_path, spec_of({**ASKED, "approval": "another"}, policies, **more))
    project.version()
    waits(project, 1)
    answered(project)  # user:ann's
    waits(project, 2)
    asked = project.approvals()[-1]
    assert asked.requested_by == "autopilot"
    commands.answer(project.door, asked.id, yes=True, actor="user:anna", reason="train")
    waits(project, 3)
    release = project.approvals()[-1]
    assert (release.requested_by, project.release().cause) == ("release", asked.decision)
    assert f"person other than whoever agreed to {asked.decision}" in release_report.report(project.door, None).words
    for actor in ("user:anna", "user:Anna"):
        with pytest.raises(Denied, match=f"{actor} agreed to the run of {project.release().id}"):
            commands.answer(project.door, release.id, yes=True, actor=actor, reason="mine")
    commands.answer(project.door, release.id, yes=True, actor="user:ben", reason="seen")
    project.live(DAY, until=lambda: project.release().phase is Phase.WATCHING)
    assert project.release().phase is Phase.WATCHING
    project.holds()


def test_where_another_person_is_wanted_whoever_started_the_run_may_take_it_back(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**ASKED, "approval": "another"}))
    project.version()
    waits(project, 1)
    commands.answer(project.door, project.approvals()[-1].id, yes=False, actor="user:me", reason="not mine")
    assert project.approvals()[-1].answer == "refused"


def test_a_question_says_in_words_what_is_asked_and_why(tmp_path: Path) -> None:
    project = asking(tmp_path)
    (waiting,) = queries.status(project.door, controller_alive=True).questions
    release = project.release()
    assert waiting.action == f"version 2 ({release.challenger}) takes all traffic, in release {release.id}"
    assert waiting.why.startswith(
        f"A person is asked whether {release.challenger} may take all traffic: the step at 50% was held for "
    )
    assert (waiting.release, waiting.decision) == (release.id, waiting.approval)
    drawn = Console(width=1000, file=StringIO())
    drawn.print(tell_status.status_report(queries.status(project.door, controller_alive=True), True))
    said = drawn.file.getvalue()  # type: ignore[attr-defined]
    assert waiting.why in said
    assert f": {waiting.action}. If nobody answers" in said


def test_an_agreement_does_not_outlive_a_hold(tmp_path: Path) -> None:
    project = asking(tmp_path)
    asked = project.approvals()[-1]
    commands.order(project.door, "hold", "user:bob", "wait")
    commands.answer(project.door, asked.id, yes=True, actor="user:ann", reason="")
    project.tick()
    assert project.release().phase is Phase.HELD
    under(project, LOOSER)
    assert ordered(project, "resume").status == "done"
    waits(project, 3)
    project.live(2 * DAY)
    assert project.release().phase is Phase.CANARY
    assert project.approvals()[-1].action_digest != asked.action_digest
    answered(project)
    assert project.release().phase in {Phase.FULL, Phase.WATCHING}
    project.holds()


@pytest.mark.parametrize("how", ["hold", "roll_back", "harm", "rules", "share"])
def test_a_question_ends_with_what_it_was_about(tmp_path: Path, how: str) -> None:
    project = asking(tmp_path)
    asked = project.approvals()[-1]
    if how == "harm":
        project.failing.add(project.release().challenger)
        project.live(2 * DAY, until=lambda: project.release().phase in TERMINAL)
    elif how == "rules":
        under(project, LOOSER)
        project.tick()
    elif how == "share":
        under(project, {**ASKED, "steps": [{**ASKED["steps"][0], "traffic": "20%"}]})
        project.tick()
    else:
        ordered(project, how)
    closed = project.door.get("approval", asked.id, Approval)
    assert closed is not None
    assert (closed.answer, closed.answered_by) == ("void", "release")
    assert closed.reason.startswith(WHY[how])
    waiting = [each.approval for row in queries.decision_rows(project.door, open_only=True) for each in row.waiting]
    status = queries.status(project.door, controller_alive=True)
    assert [each.id for each in status.approvals] == [each.approval for each in status.questions] == waiting
    assert asked.id not in waiting
    for yes in (True, False):
        with pytest.raises(Conflict, match=f"the question of {asked.id} is closed: {WHY[how]}"):
            commands.answer(project.door, asked.id, yes=yes, actor="user:ann", reason="")
    assert "Closed at " in tell_decisions._approval(explaining.explain(project.door, asked.decision), "")
    project.holds()


def test_a_question_that_an_earlier_flyball_left_open_ends_at_the_start(tmp_path: Path) -> None:
    project = asking(tmp_path)
    asked = project.approvals()[-1]
    ordered(project, "roll_back")
    project.ledger.transact(
        [Draft(at=project.clock.now(), kind="test", subject="x", actor="test", puts=(put("approval", "old", old_of(asked)),))]
    )
    project.restart()
    left = project.door.get("approval", "old", Approval)
    assert left is not None
    assert left.answer == "void"
    project.restart()
    project.holds()


def test_of_an_answer_and_the_end_of_its_question_whichever_comes_first_counts(tmp_path: Path) -> None:
    project = asking(tmp_path)
    asked = project.approvals()[-1]
    stale = World(project.spec, project.door.place, project.door.ports, project.door.say)
    held = stale.get("approval", asked.id, Approval)
    ordered(project, "hold")
    stale.get = lambda kind, key, record: held if kind == "approval" else World.get(stale, kind, key, record)  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="was closed at the same moment: r-0002 is held"):
        commands.answer(stale, asked.id, yes=True, actor="user:ann", reason="")
    assert project.approvals()[-1].answer == "void"


def test_what_was_agreed_to_under_other_rules_is_asked_again(tmp_path: Path) -> None:
    project = asking(tmp_path)
    commands.answer(project.door, project.approvals()[-1].id, yes=True, actor="user:ann", reason="")
    under(project, LOOSER)
    project.tick()
    assert (len(project.approvals()), project.release().phase) == (3, Phase.CANARY)
    answered(project)
    assert project.release().phase in {Phase.FULL, Phase.WATCHING}
    project.holds()


def test_an_agreement_stands_while_nothing_has_changed(tmp_path: Path) -> None:
    project = asking(tmp_path)
    project.restart()
    project.live(2 * HOUR, step=timedelta(minutes=20))
    assert len(project.approvals()) == 2
    answered(project)
    assert project.release().phase in {Phase.FULL, Phase.WATCHING}
    project.holds()


def test_a_person_is_told_once_that_a_release_asks_and_that_it_asks_no_more(tmp_path: Path) -> None:
    project = asking(tmp_path)
    asked = project.approvals()[-1]
    project.restart()
    project.live(DAY)
    mine = [words for _, words in project.told.heard if asked.id in words]
    assert len(mine) == 1
    assert mine[0].startswith(f"{asked.id} waits for a person: version 2 (")
    assert f"flyball approve {asked.id} --digest {asked.action_digest[:12]}" in mine[0]
    ordered(project, "hold")
    project.live(DAY)
    mine = [words for _, words in project.told.heard if asked.id in words]
    assert len(mine) == 2
    assert mine[1].startswith(f"the question of {asked.id} is closed without an answer: r-0002 is held")

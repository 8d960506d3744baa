"""What a person agreed to: this start of this release under these rules, and nothing that came after."""

from datetime import timedelta
from pathlib import Path

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.control import commands
from flyball.records.release import Phase

ASKED = {**AT_ONCE, "steps": [{"traffic": "50%", "at_least": "6h", "at_most": "9d", "min_requests": 10}], "approval": True}
LOOSER = {**ASKED, "margin": 0.3}


def asking(root: Path) -> Project:
    """A second version that has passed its canary and waits for a person."""
    project = Project(root, spec_of(ASKED))
    project.version()
    answered(project)
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    project.version()
    waits(project, 2)
    return project


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


@pytest.mark.parametrize("answers", ["before it is held", "while it is held"])
def test_an_agreement_does_not_outlive_a_hold(tmp_path: Path, answers: str) -> None:
    project = asking(tmp_path)
    asked = project.approvals()[-1]
    held = commands.order(project.door, "hold", "user:bob", "wait")
    if answers == "before it is held":
        commands.answer(project.door, asked.id, yes=True, actor="user:ann", reason="")
    project.tick()
    assert project.release().phase is Phase.HELD, held
    if answers == "while it is held":
        commands.answer(project.door, asked.id, yes=True, actor="user:ann", reason="")
    under(project, LOOSER)
    assert ordered(project, "resume").status == "done"
    waits(project, 3)
    project.live(2 * DAY)
    assert project.release().phase is Phase.CANARY
    assert project.approvals()[-1].action_digest != asked.action_digest
    answered(project)
    assert project.release().phase in {Phase.FULL, Phase.WATCHING}
    project.holds()


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

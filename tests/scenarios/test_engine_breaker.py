"""The breaker of the loop over simulated months: opened once, told once, closed by a person and by nobody else."""

from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Model, Project, spec_of

from flyball.control import bounds, commands, decisions, queries
from flyball.control.bounds import breaker_of
from flyball.control.commands import Command
from flyball.control.todos import Todo
from flyball.control.world import draft, put
from flyball.records.bounds import Breaker
from flyball.records.decisions import Action
from flyball.records.jobs import Job
from flyball.records.release import Phase

MONITOR = {"min_rows": 20, "mature_share": 0.99}
FLAPPING: dict[str, Any] = {"name": "more", "when": "window.predictions > 30", "do": "retrain"}
"""True at every second window, as `flap` sends."""
BACK = {"name": "back", "when": "window.predictions < 30", "do": "roll_back"}


def project_of(root: Path, *policies: dict[str, Any], **breaker: Any) -> Project:
    return Project(root, spec_of(AT_ONCE, list(policies), monitor=MONITOR, autopilot={"breaker": breaker}))


def flap(project: Project, windows: int) -> None:
    """One day of much traffic, one day of little. Labels would only take time here."""
    project.unlabelled = True
    for number in range(windows):
        project.live(DAY, rows=40 if number % 2 else 20, step=DAY)


def fails(project: Project, model: Model) -> None:
    """Whatever is retrained from here on is such a model."""
    for number in range(2, 400):
        project.workshop.plans[f"j-{number:04d}"] = model


def asked_for(project: Project) -> list[Job]:
    return [job for job in project.door.all("job", Job) if job.cause.startswith("d-")]


def opened(project: Project) -> list[str]:
    return [
        made.id for made in decisions.recorded(project.door) if any(action.kind == "open_breaker" for action in made.plan.actions)
    ]


def told_of_it(project: Project) -> list[str]:
    return [words for _, words in project.told.heard if "breaker opens" in words]


def test_a_signal_that_flaps_for_500_windows_and_whose_retrainings_are_refused_opens_it_once_and_a_person_is_told_once(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, {**FLAPPING, "budget": "4 per 30d"})
    first = project.version()
    fails(project, Model(passes=False))
    for _ in range(10):
        flap(project, 50)
        project.restart()
    assert len(project.windows()) >= 499
    assert [job.status for job in asked_for(project)] == ["refused"] * 3
    assert len(opened(project)) == len(told_of_it(project)) == 1
    assert [row.id for row in queries.decision_rows(project.door, open_only=True)] == opened(project)
    assert project.champion().unit == first
    status = queries.status(project.door, controller_alive=True)
    assert status.breaker is not None
    assert "3 actions failed in a row" in status.breaker.words
    project.holds()


def test_challengers_that_there_are_too_few_rows_to_judge_open_nothing(tmp_path: Path) -> None:
    # A margin of 0 is one that an equal model never shows to be within.
    gates = {"champion": {"metric": "log_loss", "margin": 0.0}}
    project = Project(
        tmp_path, spec_of(AT_ONCE, [FLAPPING], monitor=MONITOR, autopilot={"breaker": {"failures": 2}}, gates=gates)
    )
    project.version()
    flap(project, 16)
    jobs = asked_for(project)
    assert len(jobs) > 3
    assert {(job.status, job.inconclusive) for job in jobs} == {("refused", True)}
    assert breaker_of(project.door) is None
    project.holds()


def test_challengers_of_a_champion_that_can_never_be_asked_open_it(tmp_path: Path) -> None:
    """No more rows would settle it: each of them would be trained for nothing, for ever."""
    gates = {"champion": {"metric": "log_loss", "margin": 0.01}}
    project = Project(
        tmp_path, spec_of(AT_ONCE, [FLAPPING], monitor=MONITOR, autopilot={"breaker": {"failures": 2}}, gates=gates)
    )
    project.version()
    fails(project, Model(unasked=True))
    flap(project, 12)
    jobs = asked_for(project)
    assert [(job.status, job.inconclusive) for job in jobs] == [("refused", False)] * 2
    assert "gates.champion asks for a comparison, and the champion cannot be asked about the holdout" in jobs[0].error
    breaker = breaker_of(project.door)
    assert breaker is not None
    assert "was refused by its gate" in breaker.words
    project.holds()


def test_a_signal_that_flaps_for_500_windows_between_two_policies_opens_it_after_two_flip_flops(tmp_path: Path) -> None:
    """Retrain when there is much traffic, go back when there is little: A → B → A, for ever."""
    project = project_of(tmp_path, FLAPPING, {**BACK, "cooldown": "1d"}, failures=16)
    project.version()
    for _ in range(10):
        flap(project, 50)
        project.restart()
    breaker = breaker_of(project.door)
    assert breaker is not None
    assert breaker.actions == ("retrain", "roll_back")
    assert "went to and fro 2 times" in breaker.words
    assert len(asked_for(project)) <= 3
    assert len(opened(project)) == len(told_of_it(project)) == 1
    project.holds()


@pytest.mark.parametrize(("model", "said"), [(Model(trains=False), "failed"), (Model(passes=False), "was refused by its gate")])
def test_a_person_closes_it_and_what_failed_is_counted_anew(tmp_path: Path, model: Model, said: str) -> None:
    project = project_of(tmp_path, FLAPPING, failures=2)
    project.version()
    fails(project, model)
    flap(project, 12)
    breaker = breaker_of(project.door)
    assert breaker is not None
    assert said in breaker.words
    assert len(asked_for(project)) == 2
    order = commands.order(project.door, "close_breaker", "user:me", "the labels were late")
    project.tick()
    assert project.door.get("command", order.id, Command).status == "done"
    shut = breaker_of(project.door)
    assert (shut.closed_by, shut.reason, shut.decision) == ("user:me", "the labels were late", breaker.decision)
    again = commands.order(project.door, "close_breaker", "user:me", "")
    project.tick()
    assert project.door.get("command", again.id, Command).words.startswith("the breaker is not open")
    # What was done before is asked about now: closing the breaker gives no autonomy back.
    flap(project, 6)
    assert {name for name, level in bounds.levels(project.door).items() if level != "act"} == {"retrain"}
    assert bounds.levels(project.door)["retrain"] == "propose"
    assert len(asked_for(project)) == 2
    assert any(each.answer is None for each in project.approvals())
    raised = commands.order(project.door, "raise_autonomy", "user:me", "mended", {"action": "retrain"})
    project.tick()
    assert project.door.get("command", raised.id, Command).words == "retrain is at act again"
    for question in [each for each in project.approvals() if each.answer is None]:
        commands.answer(project.door, question.id, yes=False, actor="user:me", reason="by itself again")
    flap(project, 12)
    assert len(asked_for(project)) == 4
    assert len(opened(project)) == len(told_of_it(project)) == 2
    project.holds()


def test_a_level_rises_no_further_than_flyball_yaml_says_and_only_where_one_was_lost(tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        spec_of(AT_ONCE, [FLAPPING], monitor=MONITOR, autopilot={"autonomy": {"retrain": "observe", "roll_back": "propose"}}),
    )
    project.version()
    flap(project, 8)
    assert asked_for(project) == []
    noted = [made for made in decisions.recorded(project.door) if any(action.kind == "observe" for action in made.plan.actions)]
    assert len(noted) >= 3
    assert queries.decision_row(noted[0]).actions == ("observe retrain model:shop",)
    assert project.door.all("todo", Todo) == ()
    refused = [commands.order(project.door, "raise_autonomy", "user:me", "", {"action": name}) for name in ("retrain", "fly")]
    project.tick()
    words = [project.door.get("command", each.id, Command).words for each in refused]
    assert words[0].startswith("retrain has lost nothing: flyball.yaml says observe")
    assert words[1].startswith("there is no autonomy of 'fly'")
    found = bounds.levels(project.door)
    assert (found["retrain"], found["roll_back"], found["improve"]) == ("observe", "propose", "act")
    project.holds()


def test_a_release_that_its_guards_take_back_counts_as_failed_and_a_version_that_settles_begins_anew(tmp_path: Path) -> None:
    policy = {"name": "old", "when": "champion.data_age_days >= 1 && window.predictions > 100", "do": "retrain"}
    release = {
        "shadow": {"at_least": "6h", "at_most": "2d", "min_labels": 50}, "steps": [], "watch": "6h", "margin": 0.05,
    }  # fmt: skip
    project = Project(tmp_path, spec_of(release, [policy], monitor=MONITOR, autopilot={"breaker": {"failures": 2}}))
    first = project.version()
    project.live(3 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    good, bad = Model(), Model(wrong=1.0)
    for number, model in enumerate([bad, good, bad, bad, good]):
        project.workshop.plans[f"j-{number + 2:04d}"] = model
    project.live(40 * DAY, rows=60, step=6 * HOUR)
    ends = [release.phase.value for release in project.releases()]
    assert ends == ["settled", "rolled_back", "settled", "rolled_back", "rolled_back"]
    assert project.champion().unit not in (first, "")
    assert "r-0004 was rolled back, r-0005 was rolled back" in breaker_of(project.door).words
    project.holds()


def test_what_a_person_orders_and_agrees_to_is_done_while_it_is_open(tmp_path: Path) -> None:
    wanted = {"name": "wanted", "when": "champion.age_days >= 1", "do": "retrain", "needs": "approval", "cooldown": "1000d"}
    project = project_of(tmp_path, wanted, FLAPPING, failures=2)
    project.version()
    fails(project, Model(trains=False))
    flap(project, 12)
    assert queries.status(project.door, controller_alive=True).breaker is not None
    (question,) = (each.id for each in project.approvals() if each.answer is None)
    before = len(project.door.all("job", Job))
    commands.answer(project.door, question, yes=True, actor="user:me", reason="I have looked")
    project.tick()
    project.version(Model())
    assert len(project.door.all("job", Job)) == before + 2
    assert project.release().challenger == project.unit_of(before + 2)
    project.holds()


def test_what_was_decided_before_it_opened_and_is_not_done_yet_is_not_done_any_more(tmp_path: Path) -> None:
    """A controller may die between a decision and its act, and another one open the breaker first."""
    project = project_of(tmp_path, BACK)
    first = project.version()
    project.live(DAY)
    second = project.version()
    project.live(DAY)
    assert project.champion().unit == second
    world, now = project.engine.world, project.clock.now()
    back = Action(kind="roll_back", subject="model:shop", arguments={"policy": "back", "from": second, "to": first})
    breaker = Breaker(opened_at=now, decision="d-000009", actions=("retrain",), words="3 actions failed in a row")
    left = [
        Todo(id="d-000008.0", decision="d-000008", action=back),
        Todo(id="d-000007.0.approved", decision="d-000007", action=back, asked=True),
    ]
    for todo, goes in zip(left, (second, first), strict=True):
        puts = (put("todo", todo.id, todo), put("breaker", "shop", breaker))
        world.record(draft(now, "todo.opened", f"decision:{todo.decision}", {}, puts))
        project.tick()
        assert project.door.get("todo", todo.id, Todo).done
        assert project.champion().unit == goes
    told = [event.payload["words"] for event in project.ledger.events(kinds=("todo.done",))]
    assert told[0] == "it was not done: the breaker is open"
    assert told[1].endswith("goes back")

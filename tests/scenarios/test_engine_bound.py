"""An order is for what whoever gave it has seen, and is not carried out on something else hours later."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.control import bounds, commands
from flyball.control.commands import Command
from flyball.control.running import await_command
from flyball.control.traffic import stop_of
from flyball.control.world import draft, put
from flyball.errors import Conflict
from flyball.records.bounds import Autonomy, Breaker
from flyball.records.release import Phase


def order(project: Project, kind: str, **arguments: Any) -> Command:
    return commands.order(project.door, kind, "user:me", "as I say", arguments)


def done(project: Project, *orders: Command) -> list[tuple[str, str]]:
    project.tick()
    found = [project.door.get("command", each.id, Command) for each in orders]
    return [(each.status, each.words) for each in found if each is not None]


def states(project: Project, **put_down: Any) -> None:
    puts = tuple(put(kind, "shop", value) for kind, value in put_down.items())
    project.engine.world.record(draft(project.clock.now(), "test.began", "model:shop", {}, puts))


def as_it_was(project: Project, ordered: Command, **changed: Any) -> None:
    """An order that waits still."""
    waits = msgspec.structs.replace(ordered, **changed)
    project.ledger.transact([draft(project.clock.now(), "test.waits", "x", {}, (put("command", ordered.id, waits),))])


def opened_by(project: Project, decision: str) -> Breaker:
    return Breaker(opened_at=project.clock.now(), decision=decision, actions=("retrain",), words="it fails")


def canary(root: Path) -> Project:
    step = {"traffic": "50%", "at_least": "6h", "at_most": "9d", "min_requests": 10}
    project = Project(root, spec_of({**AT_ONCE, "steps": [step]}))
    project.first_champion()
    project.version()
    assert project.release().phase is Phase.CANARY
    return project


def test_a_level_that_is_ordered_up_twice_rises_once(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.version()
    states(project, autonomy=Autonomy(most={"retrain": "observe"}))
    first, again = order(project, "raise_autonomy", action="retrain"), order(project, "raise_autonomy", action="retrain")
    (one, two) = done(project, first, again)
    assert one == ("done", "retrain is at propose again")
    assert two[0] == "refused"
    assert "retrain stands at propose at most, and not at observe as when this was ordered" in two[1]
    assert bounds.levels(project.door)["retrain"] == "propose"
    late = order(project, "raise_autonomy", action="improve")
    states(project, autonomy=Autonomy(most={"improve": "propose"}))
    assert "and not where flyball.yaml has it" in done(project, late)[0][1]


@pytest.mark.parametrize(
    ("was", "words"),
    [("", "shop was not stopped when this was ordered"), ("another", "shop was stopped again since this was ordered")],
)
def test_a_stop_that_came_after_the_order_is_not_ended_by_it(tmp_path: Path, was: str, words: str) -> None:
    project = Project(tmp_path)
    project.first_champion()
    assert order(project, "resume_serving").arguments == {"stop": ""}
    assert done(project, order(project, "stop_serving"))[0][0] == "done"
    late = order(project, "resume_serving")
    assert late.arguments == {"stop": stop_of(project.door).key}
    as_it_was(project, late, arguments={"stop": was})
    ((status, told),) = done(project, late)
    assert (status, words in told) == ("refused", True)
    assert stop_of(project.door) is not None
    assert done(project, order(project, "resume_serving"))[0][0] == "done"


def test_a_breaker_that_opened_for_something_else_stays_open(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.version()
    states(project, breaker=opened_by(project, "d-000007"))
    late = order(project, "close_breaker")
    states(project, breaker=opened_by(project, "d-000009"))
    ((status, words),) = done(project, late)
    assert (status, "open by d-000009; this was ordered when d-000007 had opened it" in words) == ("refused", True)
    assert bounds.open_breaker(project.door) is not None
    assert done(project, order(project, "close_breaker"))[0][0] == "done"


@pytest.mark.parametrize("kind", ["hold", "resume"])
def test_a_release_that_began_since_is_neither_held_nor_let_go_on(tmp_path: Path, kind: str) -> None:
    project = canary(tmp_path)
    before = project.release().id
    project.roll_back()
    project.version()
    if kind == "resume":
        assert done(project, order(project, "hold"))[0][0] == "done"
    phase, late = project.release().phase, order(project, kind)
    now = project.release().id
    assert late.arguments == {"release": now}
    as_it_was(project, late, arguments={"release": before})
    ((status, words),) = done(project, late)
    assert (status, f"{now} is under way now; this was ordered for {before}" in words) == ("refused", True)
    assert project.release().phase is phase
    assert done(project, order(project, kind))[0][0] == "done"


def test_an_order_that_lets_more_happen_waits_an_hour_for_a_controller_and_one_that_stops_waits_on(tmp_path: Path) -> None:
    project = canary(tmp_path)
    assert done(project, order(project, "stop_serving"))[0][0] == "done"
    late = order(project, "resume_serving")
    with pytest.raises(Conflict, match="the order stands for an hour"):
        await_command(project.door, late.id, lambda _seconds: None)
    project.clock.sleep(HOUR + timedelta(minutes=6))
    project.restart()
    ((status, words),) = done(project, late)
    assert status == "refused"
    assert "it was ordered 1.1 hours before a controller could carry it out" in words
    assert stop_of(project.door) is not None
    soon = order(project, "resume_serving")
    project.clock.sleep(HOUR / 2)
    project.restart()
    assert done(project, soon)[0][0] == "done"
    stop = order(project, "stop_serving")
    project.clock.sleep(2 * HOUR)
    project.restart()
    assert done(project, stop)[0][0] == "done"


def test_an_order_that_came_while_the_controller_was_there_is_not_old_though_its_door_s_clock_is_another(tmp_path: Path) -> None:
    """A controller follows a clock that was set at a twentieth of its pace: for hours it is ahead of whoever gives orders."""
    project = canary(tmp_path)
    done(project, order(project, "stop_serving"))
    late = order(project, "resume_serving")
    as_it_was(project, late, ordered_at=project.clock.now() - 3 * HOUR)
    assert done(project, late)[0][0] == "done"


def test_an_order_that_waited_while_a_controller_did_not_look_is_old(tmp_path: Path) -> None:
    """A run that trains in the controller's process, a machine that slept."""
    project = canary(tmp_path)
    done(project, order(project, "stop_serving"))
    late = order(project, "resume_serving")
    project.clock.sleep(HOUR + timedelta(minutes=6))
    ((status, words),) = done(project, late)
    assert (status, "hours before a controller could carry it out" in words) == ("refused", True)


def test_an_order_of_an_earlier_flyball_means_what_it_finds(tmp_path: Path) -> None:
    project = canary(tmp_path)
    late = order(project, "hold")
    as_it_was(project, late, arguments={}, ordered_at=None)
    assert done(project, late)[0][0] == "done"
    project.live(DAY)
    assert project.release().phase is Phase.HELD

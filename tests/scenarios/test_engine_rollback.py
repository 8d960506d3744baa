"""A person's rollback, from wherever a release stands."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from engine_models import START, Model
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.autopilot.breaker import GUARDS
from flyball.control import bounds, commands, queries
from flyball.control.jobs import release_of
from flyball.control.loop import tick_once
from flyball.control.running import report_of
from flyball.control.todos import Todo
from flyball.control.traffic import REFUSED_LOOKS
from flyball.control.world import draft, put
from flyball.errors import ArtifactDamaged, TrackingFailed
from flyball.records.decisions import Action
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Phase, ReleaseState


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.holds()


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("phase", ["shadow", "canary 0", "canary 1", "full", "watching", "settled"])
def test_from_every_phase_the_unit_before_answers_again(project: Project, phase: str, twice: bool) -> None:
    first = project.first_champion()
    second = project.version()

    if phase == "full":  # which lasts as long as a gateway does not serve it
        project.gateways.on_publish = lambda table: (
            project.gateways.deaf.add("0") if table.routes[0].champion.unit.id == second else None
        )
    project.live(9 * DAY, until=lambda: project.phases("r-0002")[-1] == phase)
    assert project.phases("r-0002")[-1] == phase
    project.gateways.deaf.clear()
    orders = [commands.order(project.door, "roll_back", f"user:{number}", "") for number in range(1 + twice)]
    project.tick()
    done = [project.door.get("command", order.id, commands.Command) for order in orders]
    assert [order.status for order in done] == ["done"] * len(done)
    assert project.release().phase is Phase.ROLLED_BACK
    assert (project.champion().unit, project.champion().verified) == (first, (first,))
    assert project.mentioned() == {first}
    assert len(project.releases()) == (3 if phase == "settled" else 2)
    project.live(2 * DAY)
    assert second not in project.mentioned()
    assert len(project.releases()) == (3 if phase == "settled" else 2)
    assert project.roll_back().status == "refused"


def test_a_run_that_made_again_what_was_taken_back_says_so_and_what_to_do(project: Project) -> None:
    project.first_champion()
    project.version(Model(run="d2"))
    assert project.roll_back("too early").status == "done"
    project.version(Model(run="d2"))
    words = report_of(project.door, project.door.all("job", Job)[-1]).words
    assert "version 2 already. r-0002 took it back (ordered by user:me: too early)" in words
    assert "Next: " in words


def test_a_run_of_code_that_was_replaced_is_released_anew_and_once(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    units = [project.version(Model(run=run)) for run in ("a", "b", "a")]
    words = report_of(project.door, project.door.all("job", Job)[-1]).words
    assert words == "This run is version 1 again, which another has replaced: it is released anew."
    project.restart()
    project.live(DAY, until=lambda: len(project.releases()) == 3)
    assert [each.job for each in project.releases()] == ["j-0001", "j-0002", "j-0003"]
    assert project.champion().unit == units[0] == units[2]
    assert project.roll_back().status == "done"
    # What was taken back is not released again by itself.
    assert project.version(Model(run="a")) == units[0]
    assert (len(project.releases()), project.champion().unit) == (3, units[1])
    project.holds()


def test_what_waits_to_be_released_anew_is_not_when_it_is_taken_back_meanwhile() -> None:
    job = Job(
        id="j-0003", model="shop", status=JobStatus.REGISTERED, requested_at=START, as_of=START, cause="user:me", unit="u1", anew=True
    )  # fmt: skip
    first = ReleaseState(
        id="r-0001", model="shop", challenger="u1", champion=None, phase=Phase.SETTLED, opened_at=START, entered_at=START, job="j-0001"
    )  # fmt: skip
    back = msgspec.structs.replace(first, id="r-0003", phase=Phase.ROLLED_BACK, job="")
    assert release_of(job, [first]) is None
    assert release_of(job, [first, back]) is back


def test_when_there_is_nothing_to_go_back_to_it_is_refused_in_words(project: Project) -> None:
    assert project.roll_back().status == "refused"
    first = project.version()
    assert project.release().phase is Phase.WATCHING
    refused = project.roll_back()
    assert (refused.status, refused.words) == ("refused", "there is no earlier verified unit to go back to.")
    assert project.answering() == first


def test_it_goes_back_one_verified_unit_at_a_time(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    units = []
    for _ in range(3):
        units.append(project.version())
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.champion().verified == tuple(units)
    for left in (2, 1):
        project.roll_back()
        assert (project.champion().unit, project.champion().verified) == (units[left - 1], tuple(units[:left]))
        assert project.mentioned() == {units[left - 1]}
    assert project.roll_back().status == "refused"
    project.holds()


def test_canary_rollback_canary_again_leaks_no_old_route(project: Project) -> None:
    first = project.first_champion()
    gone = []
    for number in (2, 3):
        unit = project.version()
        project.live(6 * DAY, until=lambda: project.release().phase is Phase.CANARY)
        assert project.mentioned() == {first, unit}
        assert not project.mentioned() & set(gone)
        project.roll_back()
        gone.append(unit)
        assert project.release().id == f"r-{number:04d}"
    assert project.mentioned() == {first}


def test_a_first_version_that_a_person_refuses_does_not_block_the_next(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "approval": True}))
    project.version()
    (asked,) = project.approvals()
    commands.answer(project.door, asked.id, yes=False, actor="user:me", reason="not this one")
    project.tick()
    assert project.release().phase is Phase.ROLLED_BACK
    told = queries.status(project.door, controller_alive=True).given_up
    assert "), and what was taken back is not released again by itself" in told
    assert told.endswith("then flyball run")
    second = project.version()
    commands.answer(project.door, project.approvals()[-1].id, yes=True, actor="user:me", reason="")
    project.clock.sleep(HOUR)
    project.tick()
    assert project.champion().unit == second == project.answering()
    project.holds()


def test_a_first_version_that_a_person_takes_back_before_it_answers_does_not_block_the_next(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "approval": True}))
    project.version()
    assert project.roll_back().status == "done"
    assert project.release().phase is Phase.ROLLED_BACK
    project.version()
    assert (len(project.releases()), project.release().phase) == (2, Phase.PROPOSED)
    project.holds()


@pytest.mark.parametrize("phase", ["shadow", "canary 0", "watching"])
def test_a_challenger_whose_package_is_damaged_can_still_be_taken_back(tmp_path: Path, phase: str) -> None:
    """By a controller that was started since, and so remembers no package: the gateways still serve what they have loaded."""
    project = Project(tmp_path)
    first = project.first_champion()
    second = project.version()
    project.live(9 * DAY, until=lambda: project.phases("r-0002")[-1] == phase)
    (file,) = (tmp_path / "registry" / "shop" / str(project.engine.shelf.unit(second).version)).rglob("signature.json")
    whole = file.read_bytes()
    file.write_bytes(whole + b" ")
    project.restart()
    order = commands.order(project.door, "roll_back", "user:me", "it is damaged")
    with suppress(ArtifactDamaged):  # windows that need the package say so: no stage keeps the others from their work
        project.tick()
    done = project.door.get("command", order.id, commands.Command)
    assert (done.status, project.mentioned()) == ("done", {first}), done
    file.write_bytes(whole)
    project.tick()
    assert project.release().phase is Phase.ROLLED_BACK
    project.holds()


def settled(project: Project, versions: int) -> list[str]:
    units = []
    for _ in range(versions):
        units.append(project.version())
        project.live(9 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    return units


def carried_out(project: Project, order: commands.Command) -> commands.Command:
    project.tick()
    done = project.door.get("command", order.id, commands.Command)
    assert done is not None
    return done


def test_an_order_that_comes_a_second_after_a_guard_takes_no_healthy_champion_away(project: Project) -> None:
    settled(project, 2)
    champion, _ = project.champion(), project.version()
    order = commands.order(project.door, "roll_back", "user:me", "it looks odd")
    assert order.arguments == {"release": "r-0003"}
    project.engine.releases.roll_back("harm is shown: loss", "release")
    project.engine._reconcile_traffic()
    assert project.release().phase is Phase.ROLLED_BACK
    refused = carried_out(project, order)
    assert (refused.status, refused.words) == (
        "refused",
        f"r-0003 is taken back already (harm is shown: loss): {champion.unit} answers.",
    )
    assert (project.champion().unit, len(project.releases())) == (champion.unit, 3)


def test_an_order_that_meant_the_champion_takes_no_later_one_away_and_no_release_in_its_place(project: Project) -> None:
    first, second = settled(project, 2)
    order = commands.order(project.door, "roll_back", "user:me", "")
    assert order.arguments == {"unit": second}
    stale = commands.order(project.door, "roll_back", "user:me", "", {"unit": first})
    project.engine.releases.propose(first, "user:me")
    assert [carried_out(project, each).status for each in (order, stale)] == ["refused", "refused"]
    assert (project.champion().unit, project.release().challenger, project.release().phase) == (second, first, Phase.SHADOW)


def test_an_order_of_an_earlier_flyball_says_nothing_of_what_was_seen_and_is_carried_out(project: Project) -> None:
    first, _ = settled(project, 2)
    assert carried_out(project, commands.order(project.door, "roll_back", "user:me", "", {"by": "0.1"})).status == "done"
    assert project.champion().unit == first


# -- the unit before has lost its package


def to_watching(root: Path, versions: int) -> tuple[Project, list[str]]:
    """The last one is watched, and a controller was started that remembers no package."""
    project = Project(root, spec_of(AT_ONCE))
    units = settled(project, versions - 1)
    units.append(project.version())
    assert project.release().phase is Phase.WATCHING
    lose(project, units[-2])
    project.restart()
    return project, units


def lose(project: Project, unit: str) -> None:
    version = project.engine.shelf.unit(unit).version
    (file,) = (project.registry._root / "shop" / str(version)).rglob("signature.json")
    file.rename(file.with_suffix(".away"))


def looks(project: Project, count: int = 8) -> None:
    """That what is lost cannot be measured is told as trouble of the tick, once all else was done."""
    for _ in range(count):
        tick_once(project.engine)


def answered(project: Project, kind: str) -> commands.Command:
    order = commands.order(project.door, kind, "user:me", "")
    looks(project)
    done = project.door.get("command", order.id, commands.Command)
    assert done is not None
    return done


def whole_again(project: Project) -> None:
    for file in project.registry._root.rglob("*.away"):
        file.rename(file.with_suffix(".json"))
    project.holds()


def test_a_watched_version_with_nobody_to_go_back_to_stays_in_words_and_newer_ones_are_released(tmp_path: Path) -> None:
    project, (first, second) = to_watching(tmp_path, 2)
    refused = answered(project, "roll_back")
    assert refused.status == "refused"
    assert refused.words.startswith(f"the package of {first}, to which r-0002 would go back, is not whole")
    assert answered(project, "stop_serving").status == "done"
    assert answered(project, "resume_serving").status == "done"
    project.clock.sleep(2 * DAY)
    looks(project)
    assert (project.release().phase, project.champion().unit, project.answering()) == (Phase.SETTLED, second, second)
    (finding,) = [each for each in project.findings() if each.subject == "rollback"]
    assert finding.pages
    assert project.told.heard[-1] == ("release r-0002", finding.words)
    said = f"{second} should be rolled back and stays, since the package of {first} is not whole and no earlier verified unit is: 2 days of watch"
    assert finding.words.startswith(said)
    answered(project, "run")
    assert project.release().challenger == project.champion().unit == project.unit_of(3)
    whole_again(project)


def test_all_traffic_that_not_all_gateways_have_taken_goes_on_where_nobody_is_there_to_go_back_to(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE), workers=2)
    (first,) = settled(project, 1)
    project.gateways.deaf.add("1")
    project.version()
    lose(project, first)
    project.restart()
    assert (answered(project, "roll_back").status, project.release().phase) == ("refused", Phase.FULL)
    project.gateways.deaf.clear()
    looks(project)
    assert (project.release().phase, project.champion().unit) == (Phase.WATCHING, project.release().challenger)


@pytest.mark.parametrize("by", ["a person", "the deadline"])
def test_a_rollback_goes_past_a_unit_that_has_lost_its_package(tmp_path: Path, by: str) -> None:
    project, (first, second, _) = to_watching(tmp_path, 3)
    if by == "a person":
        assert answered(project, "roll_back").status == "done"
    else:
        project.clock.sleep(2 * DAY)
        looks(project)
    assert (project.release().phase, project.release().champion) == (Phase.ROLLED_BACK, first)
    assert f"it goes to {first}: the package of {second} is not whole" in project.release().reason
    assert (project.champion().unit, project.mentioned()) == (first, {first})
    whole_again(project)


def test_where_gateways_cannot_load_what_is_gone_back_to_and_it_is_lost_it_goes_to_one_that_is_whole(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    first, second = settled(project, 2)
    third = project.version()
    project.gateways.refused[second] = "signature.json cannot be read"
    project.roll_back()
    for _ in range(REFUSED_LOOKS):
        project.engine.tick()
    assert (project.release().phase, project.answering()) == (Phase.ROLLING_BACK, third)
    lose(project, second)
    project.tick()
    assert (project.release().phase, project.champion().unit, project.mentioned()) == (Phase.ROLLED_BACK, first, {first})
    assert (
        project.release().reason
        == f"ordered by user:me: a person says so; it goes to {first}: the package of {second} is not whole"
    )
    whole_again(project)


def test_where_gateways_cannot_load_what_is_gone_back_to_and_nobody_else_is_whole_the_challenger_stays(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    (first,) = settled(project, 1)
    second = project.version()
    project.gateways.refused[first] = "signature.json cannot be read"
    project.roll_back()
    lose(project, first)
    looks(project, REFUSED_LOOKS)
    assert (project.release().phase, project.champion().unit, project.answering()) == (Phase.SETTLED, second, second)
    finding = project.findings()[-1]
    assert (finding.subject, finding.words) == ("rollback", project.release().reason)
    assert finding.words.startswith(f"{second} should be rolled back and stays, since the package of {first} is not whole")
    assert answered(project, "roll_back").words == "there is no earlier verified unit to go back to."
    answered(project, "run")
    assert project.champion().unit == project.unit_of(3)
    whole_again(project)


def test_a_rollback_of_what_not_all_gateways_had_taken_goes_past_a_unit_that_is_lost_meanwhile(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE), workers=2)
    first, second = settled(project, 2)
    project.gateways.deaf.add("1")
    project.version()
    assert (project.release().phase, project.champion().unit) == (Phase.FULL, second)
    project.gateways.deaf.clear()
    project.gateways.refused[second] = "signature.json cannot be read"
    project.roll_back()
    lose(project, second)
    looks(project, REFUSED_LOOKS)
    assert (project.release().phase, project.champion().unit, project.mentioned()) == (Phase.ROLLED_BACK, first, {first})
    assert [each.unit for each in bounds.tenures(project.door)] == [first, second, first]
    whole_again(project)


@pytest.mark.parametrize("ordered", [False, True])
def test_an_order_while_its_guards_take_a_release_back_does_not_make_it_a_persons(tmp_path: Path, ordered: bool) -> None:
    """The breaker counts what the guards took back, and nothing that a person did."""
    project = Project(tmp_path, spec_of({**AT_ONCE, "watch": "4d"}))
    first, second = project.first_champion(), project.version()
    project.live(DAY)
    assert project.release().phase is Phase.WATCHING
    project.failing.add(second)
    project.gateways.on_publish = lambda table: (
        project.gateways.deaf.add("0") if table.routes[0].champion.unit.id == first else None
    )
    project.live(4 * DAY, until=lambda: project.release().phase is Phase.ROLLING_BACK)
    if ordered:
        project.roll_back()
    project.gateways.on_publish = None
    project.gateways.deaf.clear()
    project.live(DAY)
    assert project.release().phase is Phase.ROLLED_BACK
    back = bounds.all_moves(project.door)[-1].move
    assert (back.after, back.by) == (first, GUARDS)
    whole_again(project)


def test_who_agreed_to_a_rollback_to_a_unit_that_is_lost_is_told_where_one_would_go(tmp_path: Path) -> None:
    project, (first, second, third) = to_watching(tmp_path, 3)
    back = Action(kind="roll_back", subject="model:shop", arguments={"from": third, "to": second})
    todo, world = Todo(id="d-1.0.approved", decision="d-1", action=back, asked=True), project.engine.world
    world.record(draft(world.now(), "test.began", "x", {}, [put("todo", todo.id, todo)]))
    project.engine.remedies.consider(None)
    said = f"is not whole on this machine any more: nothing was done. Next: flyball rollback, which goes to {first}."
    assert project.told.heard[-1][1] == f"the package of {second}, to which r-0003 would go back, {said}"
    assert project.release().phase is Phase.WATCHING


def test_a_challenger_can_be_taken_back_from_beside_a_champion_that_has_lost_its_package(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "shadow": {"at_least": "6h", "at_most": "4d", "min_labels": 0}}))
    (first,) = settled(project, 1)
    project.version()
    assert project.release().phase is Phase.SHADOW
    lose(project, first)
    project.restart()
    assert answered(project, "roll_back").status == "done"
    assert (project.release().phase, project.champion().unit, project.mentioned()) == (Phase.ROLLED_BACK, first, {first})
    whole_again(project)


def test_what_a_policy_cannot_do_is_told_and_keeps_nothing_else_from_its_turn(tmp_path: Path) -> None:
    project, (first, second) = to_watching(tmp_path, 2)
    back = Action(kind="roll_back", subject="model:shop", arguments={"from": second, "to": first})
    tell = Action(kind="notify", subject="model:shop", arguments={"message": "look"})
    todos = [Todo(id="d-1.0", decision="d-1", action=back), Todo(id="d-1.1", decision="d-1", action=tell)]
    world = project.engine.world
    world.record(draft(world.now(), "test.began", "x", {}, [put("todo", each.id, each) for each in todos]))
    fetch, project.registry.fetch = project.registry.fetch, away
    with pytest.raises(TrackingFailed):
        project.engine.remedies.consider(None)
    assert [todo.done for todo in world.all("todo", Todo)] == [False, True]
    project.registry.fetch = fetch
    project.engine.remedies.consider(None)
    assert [todo.done for todo in world.all("todo", Todo)] == [True, True]
    assert [words for _, words in project.told.heard if "r-0002 would go back" in words]


def away(*_: object) -> Path:
    raise TrackingFailed("the tracking server does not answer")

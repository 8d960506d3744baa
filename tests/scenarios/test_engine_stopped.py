"""A model that is stopped: nobody answers, or the version that flyball.yaml names, until a person resumes it."""

from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, RELEASE, Model, Project, spec_of

from flyball.control import commands, queries
from flyball.control.commands import Command
from flyball.control.world import draft, put
from flyball.records.bounds import Stop
from flyball.records.release import Phase
from flyball.records.unit import Unit
from flyball.registry.unit import altered

MONITOR = {"min_rows": 20, "mature_share": 0.99}
STOP = {"name": "harm", "when": "window.predictions > 100", "do": {"action": "stop", "message": "the inputs are broken"}}


def project_of(root: Path, *policies: dict[str, Any], release: dict[str, Any] = AT_ONCE, **more: Any) -> Project:
    return Project(root, spec_of(release, list(policies), monitor=MONITOR, **more))


def ordered(project: Project, kind: str, reason: str = "") -> Command:
    order = commands.order(project.door, kind, "user:me", reason)
    project.tick()
    return project.door.get("command", order.id, Command)


def stop_of(project: Project) -> Stop | None:
    return project.door.get("stop", "shop", Stop)


def test_a_policy_stops_it_once_nobody_answers_and_a_person_resumes_it(tmp_path: Path) -> None:
    project = project_of(tmp_path, STOP, {"name": "more", "when": "window.predictions > 100", "do": "retrain"})
    first = project.version()
    project.live(2 * DAY, rows=60, step=6 * HOUR, until=lambda: project.answering() is None)
    assert project.answering() is None
    stop = stop_of(project)
    assert (stop.unit, stop.fallback, stop.resumed_at) == (first, None, None)
    assert stop.verified_at is not None
    assert [words for _, words in project.told.heard if "is stopped" in words] == [
        "shop is stopped: the inputs are broken; requests are refused. Next: flyball serving resume, once it is mended"
    ]
    status = queries.status(project.door, controller_alive=True)
    assert status.stop == stop
    project.restart()
    project.live(3 * DAY)
    assert project.answering() is None
    assert len(project.ledger.events(kinds=("serving.stopped",))) == 1
    again = ordered(project, "stop_serving")
    assert (again.status, "stopped already" in again.words) == ("refused", True)
    resumed = ordered(project, "resume_serving", "mended upstream")
    assert (resumed.status, resumed.words) == ("done", "shop answers again")
    assert project.answering() == project.champion().unit == first
    assert (stop_of(project).resumed_by, stop_of(project).resumed_reason) == ("user:me", "mended upstream")
    assert [event.payload["state"] for event in project.ledger.events(kinds=("serving.verified",))] == ["stopped", "resumed"]
    assert ordered(project, "resume_serving").status == "refused"
    assert queries.status(project.door, controller_alive=True).stop is None
    project.holds()


def test_the_version_that_flyball_yaml_names_answers_meanwhile(tmp_path: Path) -> None:
    project = project_of(tmp_path, serve={"fallback": 1})
    first = project.version()
    project.live(DAY)
    second = project.version(Model())
    project.live(DAY)
    assert project.answering() == second
    assert ordered(project, "stop_serving", "it says yes to everybody").status == "done"
    assert project.answering() == first
    assert project.champion().unit == second
    project.live(2 * DAY)
    assert stop_of(project).words == f"shop is stopped: it says yes to everybody; {first} answers instead"
    ordered(project, "resume_serving")
    assert project.answering() == second
    project.holds()


def test_of_the_units_of_a_version_the_one_that_was_seen_to_serve_answers_else_the_newest(tmp_path: Path) -> None:
    project = project_of(tmp_path, serve={"fallback": 1})
    first = project.version()
    project.live(DAY)
    project.version()
    world, champion = project.engine.world, project.champion()
    assert champion.verified[0] == first
    known = project.engine.shelf.unit(first)
    others = [altered(known, known.policy_digest, threshold=number / 10) for number in range(2, 9)]
    for each in others:
        world.record(draft(world.now(), "test.made", "x", {}, (put("unit", each.id, each),)))
    assert min(each.id for each in others) < first < max(each.id for each in others)
    assert project.engine.stopping._fallback(champion.unit, champion.verified) == (first, "")
    assert project.engine.stopping._fallback(champion.unit, champion.verified[1:]) == (others[-1].id, "")


def test_a_bad_map_of_the_version_that_is_named_makes_way_for_the_unit_of_it_that_served_before(
    tmp_path: Path,
) -> None:
    change = {"name": "map", "when": "window.predictions > 30", "do": "recalibrate", "cooldown": "300d"}
    project = project_of(tmp_path, change, serve={"fallback": 1})
    first = project.version(Model(wrong=0.35))
    project.live(4 * DAY, rows=40)
    champion, stopping = project.champion(), project.engine.stopping
    mapped = project.engine.shelf.unit(champion.unit)
    assert (mapped.version, mapped.calibration is None, champion.verified) == (1, False, (first, mapped.id))
    assert ordered(project, "stop_serving", "a bad map").words == f"shop is stopped: a bad map; {first} answers instead"
    assert project.answering() == first
    ordered(project, "resume_serving")
    assert project.answering() == mapped.id
    assert stopping._fallback(first, champion.verified) == (mapped.id, ""), "a map answers before nobody does"
    world, why_not = project.engine.world, "serve.fallback is version 1, which is what is stopped"
    for again in (altered(mapped, "another policy"), altered(mapped, mapped.policy_digest, calibration=None, threshold=0.42)):
        world.record(draft(world.now(), "test.made", "x", {}, (put("unit", again.id, again),)))
        assert stopping._fallback(again.id, (mapped.id,)) == ((None, why_not) if again.calibration else (mapped.id, ""))
        assert stopping._fallback(mapped.id, (again.id,)) == ((None, why_not) if again.calibration else (again.id, ""))
        assert stopping._fallback(mapped.id, ()) == (None, why_not)
    project.holds()


@pytest.mark.parametrize(
    ("fallback", "why"), [(7, "version 7, which is not registered"), (1, "version 1, which is what is stopped")]
)
def test_a_fallback_that_cannot_answer_refuses_and_says_why(tmp_path: Path, fallback: int, why: str) -> None:
    project = project_of(tmp_path, serve={"fallback": fallback})
    project.version()
    project.live(DAY)
    stopped = ordered(project, "stop_serving", "harm")
    assert why in stopped.words
    assert project.answering() is None


def test_a_fallback_whose_bytes_are_damaged_is_not_gone_to(tmp_path: Path) -> None:
    project = project_of(tmp_path, serve={"fallback": 1})
    first = project.version()
    project.live(DAY)
    project.version(Model())
    project.live(DAY)
    number = project.door.get("unit", first, Unit).version
    package = project.registry.fetch("shop", number)
    (package / "model" / "model.lgb").write_text("another model")
    assert "is not whole" in ordered(project, "stop_serving", "harm").words
    assert project.answering() is None


@pytest.mark.parametrize("phase", [Phase.SETTLED, Phase.WATCHING])
def test_a_model_whose_package_is_damaged_can_be_stopped_and_resumed_by_a_controller_that_came_later(
    tmp_path: Path, phase: Phase
) -> None:
    project = project_of(tmp_path)
    champion = project.version()
    project.live(DAY, until=lambda: project.release().phase is phase)
    assert project.release().phase is phase
    package = project.registry.fetch("shop", project.door.get("unit", champion, Unit).version)
    (package / "model" / "model.lgb").write_text("another model")
    project.restart()
    assert ordered(project, "stop_serving", "harm").status == "done"
    assert project.answering() is None
    assert ordered(project, "resume_serving").status == "done"
    assert project.answering() == champion, "from memory, as before"


def test_an_open_release_is_held_and_goes_on_when_a_person_says_so(tmp_path: Path) -> None:
    project = project_of(tmp_path, release=RELEASE)
    first = project.first_champion()
    second = project.version(Model())
    project.live(DAY, until=lambda: project.release().phase is Phase.SHADOW)
    ordered(project, "stop_serving", "harm")
    assert project.release().phase is Phase.HELD
    assert project.mentioned() == {first}
    assert project.answering() is None
    refused = ordered(project, "resume")
    assert (refused.status, "is stopped" in refused.words) == ("refused", True)
    third = project.version(Model(wrong=0.1))
    assert [release.challenger for release in project.releases()] == [first, second]
    ordered(project, "resume_serving")
    assert project.answering() == first
    assert ordered(project, "resume").status == "done"
    assert project.release().phase is not Phase.HELD
    assert third not in project.mentioned()
    project.holds()


def test_while_it_is_stopped_no_release_goes_on_and_a_watch_begins_again(tmp_path: Path) -> None:
    project = project_of(tmp_path, release={**AT_ONCE, "watch": "2d"})
    first = project.first_champion()
    second = project.version(Model())
    assert project.release().phase is Phase.WATCHING
    ordered(project, "stop_serving", "harm")
    project.live(9 * DAY)
    assert (project.release().phase, project.champion().unit, project.answering()) == (Phase.WATCHING, second, None)
    assert "is stopped" in project.engine.releases.waiting_for
    ordered(project, "resume_serving")
    began = project.release().verified_at
    assert began is not None
    assert began >= stop_of(project).resumed_at
    project.live(DAY)
    assert project.release().phase is Phase.WATCHING
    assert project.roll_back().status == "done"
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, first)
    project.holds()


@pytest.mark.parametrize("phase", [Phase.FULL, Phase.ROLLING_BACK])
def test_nothing_that_gateways_were_not_seen_to_serve_is_called_done_by_a_stop(tmp_path: Path, phase: Phase) -> None:
    """The table of a stopped model names nobody, so that it proves nothing of a release."""
    project = project_of(tmp_path)
    first = project.first_champion()
    if phase is Phase.FULL:
        project.gateways.deaf.add("0")
    second = project.version(Model())
    if phase is Phase.ROLLING_BACK:
        project.gateways.deaf.add("0")
        project.roll_back()
    assert project.release().phase is phase
    before = project.champion().unit
    ordered(project, "stop_serving", "harm")
    project.gateways.deaf.clear()
    for _ in range(4):
        project.tick()
    assert (project.release().phase, project.champion().unit, project.answering()) == (phase, before, None)
    ordered(project, "resume_serving")
    project.live(DAY)
    assert project.answering() == project.champion().unit == (second if phase is Phase.FULL else first)
    project.holds()


def test_all_traffic_that_one_worker_has_not_taken_does_not_wait_while_it_is_stopped(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE), workers=2)
    project.first_champion()
    project.gateways.unreachable.add("1")
    project.version()
    ordered(project, "stop_serving", "harm")
    project.clock.sleep(40 * DAY)
    ordered(project, "resume_serving")
    assert (project.release().phase, project.release().entered_at) == (Phase.FULL, project.clock.now())
    project.clock.sleep(40 * DAY)
    project.tick()
    assert project.release().phase is Phase.ROLLING_BACK


def test_no_drill_is_held_while_it_is_stopped(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.version()
    project.live(DAY)
    project.version(Model())
    project.live(2 * DAY)
    ordered(project, "stop_serving", "harm")
    refused = ordered(project, "drill")
    assert (refused.status, "is stopped" in refused.words) == ("refused", True)
    ordered(project, "resume_serving")
    assert ordered(project, "drill").status == "done"
    project.holds()


def test_a_stop_that_is_done_again_after_a_person_resumed_tells_nobody_that_it_is_stopped(tmp_path: Path) -> None:
    """Its controller died after the stop and before the mark, and the next one carries out the waiting order first."""
    project = project_of(tmp_path)
    project.version()
    project.engine.stopping.stop("harm", "d-000009", key="todo:d-000009.0")
    ordered(project, "resume_serving")
    heard = len(project.told.heard)
    assert "is stopped" in project.engine.stopping.stop("harm", "d-000009", key="todo:d-000009.0")
    assert (len(project.told.heard), stop_of(project).resumed_at is None) == (heard, False)


def test_with_nothing_served_there_is_nothing_to_stop(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    for kind, words in (("stop_serving", "nothing is served"), ("resume_serving", "is not stopped")):
        done = ordered(project, kind)
        assert done.status == "refused"
        assert words in done.words


def test_a_first_version_that_one_worker_has_taken_can_be_stopped(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE), workers=2)
    project.gateways.unreachable.add("1")
    unit = project.version()
    assert (project.champion(), project.answering()) == (None, unit)
    assert ordered(project, "stop_serving", "harm").status == "done"
    assert (stop_of(project).unit, project.answering()) == (unit, None)
    project.gateways.restart("1")
    ordered(project, "resume_serving")
    assert project.champion().unit == project.answering() == unit
    project.holds()


def test_a_stop_that_gateways_do_not_serve_is_escalated(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project.version()
    project.live(DAY)
    project.gateways.deaf.add("0")
    commands.order(project.door, "stop_serving", "user:me", "harm")
    for _ in range(20):
        project.engine.tick()
    assert stop_of(project).verified_at is None
    assert any(finding.subject == "switch" for finding in project.findings())
    assert project.answering() is not None

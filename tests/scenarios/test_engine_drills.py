"""A rollback is rehearsed on demand and on a schedule, and its failures are found before it is needed."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of
from rich.console import Console

from flyball.cli import tell_releases
from flyball.control import commands, ordering, release_report
from flyball.control.commands import Command
from flyball.errors import NotFound
from flyball.records.release import Drill, Phase
from flyball.web import pages


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A champion, and one before it."""
    made = Project(tmp_path, spec_of(AT_ONCE), workers=2)
    for _ in range(2):
        made.version()
        made.live(2 * DAY, until=lambda: made.release().phase is Phase.SETTLED)
    return made


def ordered(project: Project) -> Command:
    command = commands.order(project.door, "drill", "user:me", "")
    project.tick()
    settled = project.door.get("command", command.id, Command)
    assert settled is not None
    return settled


def drills(project: Project) -> tuple[Drill, ...]:
    return project.door.all("drill", Drill)


def test_every_gateway_holds_the_earlier_unit_and_lets_it_go_again(project: Project) -> None:
    champion = project.champion()
    assert champion is not None
    project.gateways.deaf = {"0", "1"}
    settled = ordered(project)
    assert (settled.status, drills(project)[0].outcome) == ("done", "")
    project.gateways.deaf = set()
    project.clock.sleep(timedelta(seconds=3))
    project.engine.tick()
    (drill,) = drills(project)
    assert drill.unit == champion.verified[0]
    assert (drill.outcome, "takes 3.0 s" in drill.words) == ("passed", True), drill.words
    assert project.mentioned() == {champion.unit}
    assert project.champion() == champion
    project.holds()


def test_a_gateway_that_cannot_take_the_earlier_unit_is_found(project: Project) -> None:
    project.gateways.deaf = {"1"}
    ordered(project)
    for _ in range(40):
        project.clock.sleep(timedelta(seconds=2))
        project.engine.tick()
    (drill,) = drills(project)
    assert drill.outcome == "failed"
    assert "was not seen at every gateway" in drill.words
    assert [finding.subject for finding in project.findings()] == ["drill"]
    assert any("not seen at every gateway" in words for _, words in project.told.heard)


def test_a_package_that_is_gone_is_found_before_it_is_needed(project: Project) -> None:
    champion = project.champion()
    assert champion is not None
    shutil.rmtree(project.registry.fetch("shop", project.engine.shelf.unit(champion.verified[0]).version))
    ordered(project)
    assert (drills(project)[0].outcome, drills(project)[0].ended_at is None) == ("failed", False)
    assert "nowhere to go" in drills(project)[0].words


def test_a_drill_that_goes_past_a_package_that_is_gone_says_so(project: Project) -> None:
    project.version()
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    champion = project.champion()
    assert champion is not None
    older, gone = champion.verified[:2]
    shutil.rmtree(project.registry.fetch("shop", project.engine.shelf.unit(gone).version))
    commands.order(project.door, "drill", "user:me", "")
    for _ in range(3):
        project.clock.sleep(timedelta(seconds=2))
        project.engine.tick()
    (drill,) = drills(project)
    assert (drill.unit, drill.outcome) == (older, "passed")
    assert f"it goes past {gone}, whose package is not whole" in drill.words


def test_there_is_none_beside_a_release_and_none_without_an_earlier_unit(tmp_path: Path, project: Project) -> None:
    alone = Project(tmp_path / "alone", spec_of(AT_ONCE))
    alone.first_champion()
    assert "there is no earlier verified unit that a rollback could go to" in ordered(alone).words
    project.version()
    assert project.release().phase is not Phase.SETTLED
    refused = ordered(project)
    assert (refused.status, "a release is under way" in refused.words) == ("refused", True)


def test_a_release_that_begins_interrupts_it(project: Project) -> None:
    project.gateways.deaf = {"1"}
    ordered(project)
    project.version()
    project.gateways.deaf = set()
    project.live(DAY)
    assert drills(project)[0].outcome == "interrupted"
    assert project.release().phase is Phase.SETTLED


def test_on_a_schedule_it_happens_by_itself(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "drill": "2d"}))
    for _ in range(2):
        project.version()
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    project.live(5 * DAY)
    assert [drill.outcome for drill in drills(project)] == ["passed", "passed"]
    assert {drill.cause for drill in drills(project)} == {"schedule"}
    project.holds()


def test_a_controller_that_dies_in_a_drill_is_gone_on_with(project: Project) -> None:
    project.gateways.deaf = {"0"}
    ordered(project)
    project.gateways.deaf = set()
    project.restart()
    project.tick()
    assert drills(project)[0].outcome == "passed"


def test_the_order_waits_for_what_the_drill_shows(project: Project) -> None:
    said = ordering.drill(project.door, project.engine, "user:me", lambda _seconds: None)
    assert said.accepted
    assert "a rollback to version 1" in said.words


def test_a_report_tells_each_guard_its_looks_and_how_the_release_moved(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(NotFound, match="nothing was released yet"):
        release_report.report(project.door, None)
    project.first_champion()
    project.version()
    project.live(12 * HOUR, rows=100, step=3 * HOUR)
    report = release_report.report(project.door, None)
    assert (report.release.id, report.version, report.champion_version, report.place) == (
        "r-0002",
        2,
        1,
        "canary step 2 of 2, 50% of the keys",
    )
    loss = report.guards[0]
    assert [loss.name, loss.alpha, loss.margin] == ["loss", pytest.approx(0.04), 0.05]
    assert [point.n for point in loss.points] == sorted(point.n for point in loss.points)
    assert len(loss.points) >= 2
    project.live(8 * DAY, rows=100, until=lambda: project.release().phase is Phase.SETTLED)
    done = release_report.report(project.door, "2")
    assert done.guards[0].outcome == "passed"
    assert any("goes from shadow to canary" in line for line in done.history)
    assert [row.release.phase for row in release_report.rows(project.door)] == [Phase.SETTLED, Phase.SETTLED]
    with pytest.raises(NotFound, match="there is no release 'r-0009'"):
        release_report.report(project.door, "r-0009")
    with pytest.raises(NotFound, match="there is no release '9999"):
        release_report.report(project.door, "9" * 5000)


def test_of_a_rollback_is_told_where_it_goes_and_of_a_release_that_is_taken_back_what_its_guards_saw(project: Project) -> None:
    settled = release_report.report(project.door, "2")
    assert "version 2 (" in pages.release(settled)
    assert "instead of version 1" in pages.release(settled)
    assert not settled.goes_back
    project.roll_back()
    back = release_report.report(project.door, None)
    assert (back.release.id, back.goes_back, back.guards) == ("r-0003", True, ())
    page = pages.release(back)
    assert f"back from version 2 ({back.release.challenger}) to version 1 ({back.release.champion})" in page
    assert "Error rate" not in page
    console = Console(width=1000)
    with console.capture() as captured:
        console.print(tell_releases.release_report(back, plain=True))
    assert "back from version 2" in captured.get()
    assert "back to" in captured.get()
    with console.capture() as captured:
        console.print(tell_releases.release_rows(release_report.rows(project.door), plain=True))
    assert [line.split()[0] for line in captured.get().splitlines() if "back to v1" in line] == ["r-0003"]
    project.spec = spec_of({**AT_ONCE, "watch": "9d"})
    project.restart()
    project.version()
    project.roll_back()
    taken = release_report.report(project.door, None)
    assert (taken.release.id, taken.goes_back, bool(taken.guards)) == ("r-0004", False, True)
    assert "taken back to version 1" in pages.release(taken)
    assert "Error rate" in pages.release(taken)
    project.holds()

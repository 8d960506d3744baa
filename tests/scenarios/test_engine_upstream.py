"""What happened upstream stands beside a worse loss: a changed unit, another champion, another flyball.yaml."""

from pathlib import Path

import msgspec
import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of
from rich.console import Console

from flyball.cli import tell_findings
from flyball.control import findings
from flyball.control.happenings import SpecRead, changes, happenings
from flyball.control.world import draft
from flyball.records import codec
from flyball.records.events import Put
from flyball.records.findings import Finding, FindingKind
from flyball.web import pages

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}


def worse(project: Project) -> Finding:
    project.turned = 0.8
    project.live(8 * DAY, until=lambda: any(each.kind is FindingKind.PERFORMANCE for each in project.findings()))
    return next(each for each in project.findings() if each.kind is FindingKind.PERFORMANCE)


def test_a_unit_that_changed_and_a_flyball_yaml_that_changed_when_the_loss_rose_stand_beside_it(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    project.live(8 * DAY)
    project.spec = project.door.spec = spec_of(AT_ONCE, monitor=MONITOR | {"tolerance": 0.02})
    project.restart()
    project.factor = 1000.0
    found = worse(project)
    report = findings.explain(project.door, str(found.number))
    assert found.changed_between is not None
    told = {each.subject: each for each in report.upstream}
    unit = next(each for each in project.findings() if each.kind is FindingKind.DATA_QUALITY)
    assert told[f"finding {unit.number}"].words == unit.words
    assert told[f"finding {unit.number}"].near == "when it began"
    assert told["flyball.yaml"].words == "flyball.yaml changed: monitor.tolerance 0.01 → 0.02"
    assert not any(each.subject.startswith("release") for each in report.upstream), "the champion took over eight days before"
    assert not {each.number for each in report.beside} & {unit.number}
    page = pages.finding(report)
    assert "At the same time" in page
    assert f'<a href="/findings/{unit.number}">' in page
    console = Console(width=200)
    with console.capture() as captured:
        console.print(tell_findings.finding_report(report, plain=True))
    lines = captured.get()
    assert "At the same time" in lines
    assert "monitor.tolerance 0.01 → 0.02" in lines
    project.holds()


def test_a_champion_that_is_worse_from_the_start_has_its_release_beside_it(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    project.live(2 * DAY)
    found = worse(project)
    report = findings.explain(project.door, str(found.number))
    assert any(each.words.endswith("became champion") for each in report.upstream)


def test_a_rollback_is_told_and_a_release_that_never_had_all_traffic_is_not(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    first, second = project.version(), project.version()
    project.live(HOUR)
    assert project.champion().unit == second
    project.roll_back()
    project.live(HOUR)
    assert project.champion().unit == first
    told = [(each.subject, each.words) for each in happenings(project.door)]
    assert told == [
        ("release r-0001", f"version 1 ({first}) became champion"),
        ("release r-0002", f"version 2 ({second}) became champion"),
        (f"release {project.release().id}", f"version 1 ({first}) answers again: a rollback"),
    ]


def test_flyball_yaml_is_recorded_when_it_changes_and_not_at_every_start(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.restart()
    project.restart()
    assert [event.payload["changed"] for event in project.ledger.events(kinds=("spec.changed",))] == [[]]
    project.spec = spec_of(AT_ONCE, monitor={"min_rows": 30, "mature_share": 0.99})
    project.restart()
    project.restart()
    (_, event) = project.ledger.events(kinds=("spec.changed",))
    assert event.payload["changed"] == ["monitor.min_rows 20 → 30"]


@pytest.mark.parametrize("under", ["shop", "store"])
def test_what_is_changed_together_with_the_projects_name_is_recorded(tmp_path: Path, under: str) -> None:
    """`under`: the key that the last reading is kept by; earlier releases took the project's name."""
    project = Project(tmp_path, spec_of(AT_ONCE))
    read = project.door.get("spec", "shop", SpecRead)
    assert read is not None
    if under == "store":
        state = Put(
            "spec", "store", codec.plain(msgspec.structs.replace(read, content={**read.content, "project": "store"}, digest="0"))
        )
        project.engine.world.record(draft(project.clock.now(), "spec.changed", "project:store", {"changed": []}, (state,)))
    project.spec = spec_of(AT_ONCE, project="bazaar", monitor={"min_rows": 30, "mature_share": 0.99})
    project.restart()
    project.restart()
    event = list(project.ledger.events(kinds=("spec.changed",)))[-1]
    assert event.payload["changed"] == ["monitor.min_rows 20 → 30", f"project {under} → bazaar"]


def test_changes_are_told_by_key_and_of_lists_only_that_they_are() -> None:
    before = {"a": 1, "b": {"c": True, "d": [1], "f": "x" * 90, "g": None}, "old": 3}
    now = {"a": 1, "b": {"c": False, "d": [2], "e": 1, "f": "y", "g": 2}, "new": 4}
    found = changes(before, now)
    assert found == ("b.c true → false", "b.d", f"b.f {'x' * 39}… → y", "b.g nothing → 2", "b.e is new")

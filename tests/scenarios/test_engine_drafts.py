"""Versions that are registered before the first gateway comes: the last one is served."""

import shutil
from pathlib import Path

import msgspec
import pytest
from engine_world import AT_ONCE, DAY, HOUR, SIGNATURE, Model, Project, spec_of

from flyball.adapters.registry_memory import MemoryRegistry
from flyball.control import commands, queries, release_report
from flyball.control.loop import tick_once
from flyball.control.world import draft, put
from flyball.errors import TrackingFailed
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Phase
from flyball.records.signature import Column, ColumnType


def offline(tmp_path: Path, **more: object) -> Project:
    """With nothing up."""
    return Project(tmp_path, spec_of({**AT_ONCE, **more}), workers=0)


def come_up(project: Project) -> None:
    project.gateways.served["0"] = None
    project.tick()


def test_of_several_versions_before_the_first_gateway_the_last_is_served(tmp_path: Path) -> None:
    project = offline(tmp_path)
    project.version()
    project.version()
    last = project.version()
    assert (project.release().id, project.release().phase) == ("r-0001", Phase.ROLLING_BACK)
    come_up(project)
    assert project.releases()[0].phase is Phase.ROLLED_BACK
    assert "superseded by version 2" in project.releases()[0].reason
    assert project.champion().unit == last == project.answering()
    assert project.champion().verified == (last,)
    assert project.phases("r-0002") == ["proposed", "full", "watching"]
    project.holds()


def test_what_is_worse_than_who_waits_to_be_the_first_does_not_take_its_place(tmp_path: Path) -> None:
    project = offline(tmp_path)
    first = project.version()
    assert project.version(Model(worse=True)) == ""
    refused = project.door.get("job", "j-0002", Job)
    assert refused.status is JobStatus.REFUSED
    assert f"compared with {first}, which waits to be the first" in refused.error
    assert "gates.champion in flyball.yaml says by how much" in refused.error
    come_up(project)
    assert project.champion().unit == first == project.answering()
    project.holds()


def test_one_that_cannot_be_compared_with_who_waits_to_be_the_first_takes_its_place(tmp_path: Path) -> None:
    project = offline(tmp_path)
    first = project.version()
    last = project.version(Model(unasked=True))
    asked = project.workshop.requests["j-0002"]
    assert (asked.champion.unit.id, asked.waits) == (first, True)
    come_up(project)
    assert project.champion().unit == last == project.answering()
    project.version()
    asked = project.workshop.requests["j-0003"]
    assert (asked.champion.unit.id, asked.waits) == (last, False)
    project.holds()


class Away(MemoryRegistry):
    """A registry that may not answer."""

    away = False

    def fetch(self, model: str, number: int, manifest_digest: str | None = None) -> Path:
        if self.away:
            raise TrackingFailed("MLflow does not answer")
        return super().fetch(model, number, manifest_digest)


def test_a_registry_that_does_not_have_who_waits_to_be_the_first_at_hand_keeps_nobody_from_being_trained(tmp_path: Path) -> None:
    registry = Away(tmp_path / "registry")
    project = Project(tmp_path, spec_of(AT_ONCE), workers=0, wrap=lambda ports: ports._replace(registry=registry))
    project.version()
    registry.away = True
    shutil.rmtree(tmp_path / "registry")  # so that what stands does not help
    project.restart()
    commands.order(project.door, "run", "user:me", "")
    for _ in range(3):
        tick_once(project.engine)
    asked = project.workshop.requests["j-0002"]
    assert (asked.champion, asked.waits) == (None, False)


def test_what_is_worse_than_one_that_was_taken_back_before_it_served_is_compared_with_nobody(tmp_path: Path) -> None:
    project = offline(tmp_path)
    project.version()
    project.roll_back("a leak")
    last = project.version(Model(worse=True))
    come_up(project)
    assert project.champion().unit == last


def test_the_challenger_before_the_first_gateway_is_who_will_answer(tmp_path: Path) -> None:
    project = offline(tmp_path)
    project.version()
    project.version()
    assert [row.role for row in queries.versions(project.door)] == ["", "challenger"]
    come_up(project)
    assert [row.role for row in queries.versions(project.door)] == ["", "champion"]


def test_between_a_draft_and_the_version_that_is_released_instead_a_champion_is_on_its_way(tmp_path: Path) -> None:
    project = offline(tmp_path)
    project.version()
    given_way = msgspec.structs.replace(project.release(), phase=Phase.ROLLED_BACK)
    project.engine.world.record(draft(project.engine.world.now(), "test", "test", {}, (put("release", given_way.id, given_way),)))
    assert not queries.is_on_its_way(project.engine.world)
    assert "was taken back" in queries.given_up(project.engine.world)
    given_way = msgspec.structs.replace(given_way, superseded=True)
    project.engine.world.record(draft(project.engine.world.now(), "test", "test", {}, (put("release", given_way.id, given_way),)))
    assert queries.is_on_its_way(project.engine.world)
    assert queries.given_up(project.engine.world) == ""


def test_who_goes_back_to_an_earlier_draft_gets_that_one(tmp_path: Path) -> None:
    project = offline(tmp_path)
    first = project.version(Model(run="draft"))
    project.version()
    project.version(Model(run="draft"))
    come_up(project)
    assert project.champion().unit == first == project.answering()
    project.holds()


def test_a_version_that_waits_for_a_yes_gives_way_and_the_new_one_is_asked_about(tmp_path: Path) -> None:
    project = offline(tmp_path, approval=True)
    project.version()
    asked = project.approvals()[0]
    last = project.version()
    old, new = project.approvals()
    assert (old.id, old.answer, new.answer) == (asked.id, "void", None)
    come_up(project)
    assert project.champion() is None
    commands.answer(project.door, new.id, yes=True, actor="user:ann", reason="seen")
    project.tick()
    assert project.champion().unit == last
    project.holds()


def test_a_rollback_with_nothing_up_is_what_its_release_says(tmp_path: Path) -> None:
    project = offline(tmp_path)
    project.version()
    project.roll_back("a bad idea")
    report = release_report.report(project.door, None)
    assert (report.release.phase, report.words) == (Phase.ROLLING_BACK, "ordered by user:me: a bad idea")


@pytest.mark.parametrize("trouble", ["unheard", "taken by one"])
def test_one_that_a_gateway_may_serve_already_does_not_give_way(tmp_path: Path, trouble: str) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE), workers=2)
    project.gateways.unreachable.add("0")
    if trouble == "unheard":
        project.gateways.unreachable.add("1")
    first = project.version()
    project.version()
    assert [each.challenger for each in project.releases()] == [first]
    for worker in ("0", "1"):
        project.gateways.restart(worker)
    project.tick()
    assert project.phases("r-0001")[:3] == ["proposed", "full", "watching"]
    project.holds()


def test_a_version_that_no_route_can_hold_beside_the_champion_is_not_released_and_told(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    other = msgspec.structs.replace(SIGNATURE, classes=("no", "perhaps"))
    project.workshop.signatures["j-0002"] = other
    first = project.first_champion()
    second = project.version()
    project.live(DAY)
    assert len(project.releases()) == 1
    told = [each.words for each in queries.status(project.door, controller_alive=True).findings]
    assert len(told) == 1
    assert f"version 2 ({second}) is not released beside {first}" in told[0]
    assert "it answers binary (no, perhaps)" in told[0]
    assert "flyball init NAME" in told[0]
    third = project.version()  # what fits is released as ever
    project.live(12 * HOUR)
    assert project.champion().unit == third
    project.holds()


def test_a_feature_of_another_type_than_the_champions_is_told_too(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    columns = (Column(name="x", type=ColumnType.CATEGORY),)
    project.workshop.signatures["j-0002"] = msgspec.structs.replace(SIGNATURE, columns=columns)
    project.first_champion()
    project.version()
    assert len(project.releases()) == 1
    assert "it takes 'x' as category" in project.findings()[0].words

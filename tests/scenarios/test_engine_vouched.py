"""A registry answers with what its tags say, and others may write them: only what was judged becomes a unit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_world import Model, Project

from flyball.control import commands
from flyball.control.loop import tick_once
from flyball.errors import ArtifactDamaged, DataError
from flyball.records.jobs import Job, JobStatus
from flyball.records.unit import Unit, Version

SAME = Model(run="the same inputs")


def changed(project: Project, place: int, **tags: Any) -> None:
    versions = project.registry._versions["shop"]
    versions[place] = msgspec.structs.replace(versions[place], **tags)


def trouble_of_another_run(project: Project, model: Model) -> str:
    project.workshop.plans[f"j-{len(project.door.all('job', Job)) + 1:04d}"] = model
    commands.order(project.door, "run", "user:me", "")
    return [tick_once(project.engine) for _ in range(4)][-1]


def of_a_stranger(project: Project) -> None:
    (judged,) = project.registry._versions["shop"]
    project.registry._versions["shop"].insert(0, msgspec.structs.replace(judged, number=2, manifest_digest="e" * 64))


def of_other_bytes(project: Project) -> None:
    changed(project, 0, manifest_digest="e" * 64)


def of_other_rows(project: Project) -> None:
    lineage = project.registry.versions("shop")[0].lineage
    changed(project, 0, lineage=msgspec.structs.replace(lineage, fitted_until=project.clock.now()))


@pytest.mark.parametrize("edited", [of_a_stranger, of_other_bytes, of_other_rows])
def test_what_the_ledger_has_of_a_run_goes_before_what_a_registry_says(tmp_path: Path, edited: Callable[[Project], None]) -> None:
    project = Project(tmp_path)
    unit = project.version(SAME)
    before = project.door.all("version", Version), project.door.all("unit", Unit)
    edited(project)
    assert trouble_of_another_run(project, SAME) == ""
    assert (project.door.all("version", Version), project.door.all("unit", Unit)) == before
    assert project.answering() == unit
    job = project.door.all("job", Job)[-1]
    assert (job.status, job.version) == (JobStatus.REGISTERED, 1)


def as_another_version(project: Project) -> Version:
    return project.registry.versions("shop")[0]  # as its public tag says now


def as_other_bytes(project: Project) -> Version:
    return msgspec.structs.replace(project.registry.versions("shop")[-1], manifest_digest="e" * 64)


def as_nothing_it_takes(_: Project) -> Version:
    raise DataError("MLflow does not take the version: Invalid value for parameter 'params[0].key'")


def as_nothing_that_can_be_read(_: Project) -> Version:
    raise ArtifactDamaged("the tags of version 3 in MLflow were changed")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (as_another_version, "version 1 of shop, which is of the run"),
        (as_other_bytes, "version 3 of shop, of the digest eeeeeeeeeeee…"),
        (as_nothing_it_takes, "MLflow does not take the version"),
    ],
)
def test_an_answer_that_nobody_judged_becomes_no_unit_and_ends_its_job(
    tmp_path: Path, told: Callable[[Project], Version], words: str
) -> None:
    project = Project(tmp_path)
    project.version(SAME)
    project.version(Model(run="others"))
    answer = project.registry.register

    def register(*arguments: Any) -> Version:
        answer(*arguments)
        return told(project)

    project.registry.register = register  # type: ignore[method-assign]
    trouble_of_another_run(project, Model(run="third"))
    job = project.door.all("job", Job)[-1]
    assert job.status is JobStatus.FAILED
    assert words in job.error
    assert {unit.version for unit in project.door.all("unit", Unit)} == {1, 2}
    project.registry.register = answer  # type: ignore[method-assign]
    project.version(Model(run="fourth"))
    assert project.door.all("job", Job)[-1].status is JobStatus.REGISTERED, "it keeps nobody waiting"


def test_a_new_ledger_beside_an_old_registry_registers_what_it_judged(tmp_path: Path) -> None:
    """Another clone of the project, a new machine of a CI: the same run, and other bytes, for a package holds what was measured."""
    theirs = Project(tmp_path / "theirs")
    theirs.version(SAME)
    project = Project(tmp_path / "ours")
    (version,) = theirs.registry.versions("shop")
    project.registry._versions["shop"] = [msgspec.structs.replace(version, manifest_digest="e" * 64)]
    project.version(SAME)
    job = project.door.all("job", Job)[-1]
    assert (job.status, job.version) == (JobStatus.REGISTERED, 2)


def test_who_trains_again_what_the_ledger_has_gets_the_version_of_then(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.version(SAME)
    before = project.door.all("version", Version)
    # Another job's directory: the same run, and other bytes.
    project.version(SAME)
    job = project.door.all("job", Job)[-1]
    assert (job.status, job.version) == (JobStatus.REGISTERED, 1)
    assert project.door.all("version", Version) == before
    project.holds()


def test_of_what_was_judged_the_tags_are_not_what_is_kept(tmp_path: Path) -> None:
    project = Project(tmp_path)
    answer = project.registry.register

    def register(*arguments: Any) -> Version:
        made = answer(*arguments)
        return msgspec.structs.replace(made, metrics={}, lineage=msgspec.structs.replace(made.lineage, seed=99))

    project.registry.register = register  # type: ignore[method-assign]
    project.version(SAME)
    (version,) = project.door.all("version", Version)
    assert (version.lineage.seed, version.lineage.mlflow_run) == (0, "memory-1")
    assert version.metrics == {"log_loss": 0.4}

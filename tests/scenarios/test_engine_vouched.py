"""A registry answers with what its tags say, and others may write them: only what was judged becomes a unit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_world import Model, Project

from flyball.control import commands
from flyball.control.loop import tick_once
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


@pytest.mark.parametrize(
    ("edited", "words"),
    [
        (of_a_stranger, "version 2 of shop, of the digest eeeeeeeeeeee…, that neither was judged nor is in the ledger"),
        (of_other_bytes, "version 1 of shop has the digest eeeeeeeeeeee… in the registry"),
        (of_other_rows, "version 1 of shop has another lineage in the registry than in the ledger"),
    ],
)
def test_an_answer_that_nobody_judged_becomes_no_unit(tmp_path: Path, edited: Callable[[Project], None], words: str) -> None:
    project = Project(tmp_path)
    unit = project.version(SAME)
    before = project.door.all("version", Version), project.door.all("unit", Unit)
    edited(project)
    assert words in trouble_of_another_run(project, SAME)
    assert (project.door.all("version", Version), project.door.all("unit", Unit)) == before
    assert project.answering() == unit
    assert project.door.all("job", Job)[-1].status is JobStatus.GATING


def test_another_runs_version_is_not_what_was_judged(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.version(SAME)
    project.version(Model(run="others"))
    answer = project.registry.register

    def register(*arguments: Any) -> Version:
        answer(*arguments)
        return project.registry.versions("shop")[0]  # as its public tag says now

    project.registry.register = register  # type: ignore[method-assign]
    assert "version 1 of shop, which is of the run" in trouble_of_another_run(project, Model(run="third"))
    assert {unit.version for unit in project.door.all("unit", Unit)} == {1, 2}


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

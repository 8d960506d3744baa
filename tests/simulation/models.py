"""Versions for simulated worlds: few packages, made once in a process and shared by all its worlds."""

import tempfile
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.scenarios.engine_models import Model, make_package

from flyball.adapters.executor import MemoryExecutor
from flyball.adapters.packages import LocalPackages
from flyball.control.ports import JobReport, StepRequest
from flyball.errors import ArtifactDamaged, NotFound, TrackingFailed, TrainingError
from flyball.records import codec
from flyball.records.jobs import Progress, StepResult
from flyball.records.unit import Lineage, Manifest, Version


class Kind(NamedTuple):
    """What comes of a run."""

    name: str
    model: Model
    fails: bool = False
    """It cannot answer a row."""

    @property
    def may_be_champion(self) -> bool:
        return self.name == "good"


GOOD = Kind("good", Model())
BAD = Kind("bad", Model(wrong=1.0))
BROKEN = Kind("broken", Model(run="broken"), fails=True)
REFUSED = Kind("refused", Model(run="refused", passes=False))
UNTRAINABLE = Kind("untrainable", Model(trains=False))
KINDS = (GOOD, GOOD, GOOD, GOOD, BAD, BAD, BROKEN, REFUSED, UNTRAINABLE)


@cache
def _shelf() -> tempfile.TemporaryDirectory[str]:
    """Gone with the process: what a run of the tests leaves behind adds up."""
    return tempfile.TemporaryDirectory(prefix="flyball-simulation-")


@cache
def package(job: str, kind: Kind) -> Path:
    """Made with the product's own functions."""
    model = kind.model._replace(run=f"{kind.model.run}{job}")
    return make_package(Path(_shelf().name), job, model)


class SharedPackages:
    """The port `Packages`: each file is read once in a process, since no world changes one."""

    def __init__(self) -> None:
        local = LocalPackages()
        for name in ("signature", "lineage", "manifest", "evaluation", "metrics", "monitored", "is_whole"):
            setattr(self, name, cache(getattr(local, name)))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Workshop:
    """Runs jobs: makes what the seed says that a job makes, however often it is run."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self.kinds: dict[str, Kind] = {}
        """Job → what comes of it, as far as anybody asked."""
        self.by_package: dict[Path, Kind] = {}

    def kind_of(self, job: str) -> Kind:
        """The first is good, so that most of a world has a champion."""
        if job not in self.kinds:
            self.kinds[job] = self._draw.choice(KINDS) if self.kinds else GOOD
        return self.kinds[job]

    def run(self, request: StepRequest, tell: Any) -> list[StepResult]:
        kind = self.kind_of(request.job.id)
        tell(Progress(step="train", status="started"))
        if not kind.model.trains:
            raise TrainingError("the label has a single class")
        made = package(request.job.id, kind)
        self.by_package[made] = kind
        return [StepResult(step="package", key=request.job.id, values={"package": str(made)}, seconds=0.0)]


class Bench(MemoryExecutor):
    """The port `Executor`: a launch may be lost, as by a kill, and a job may take its time."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop.run)
        self.lose_next = False
        self.looks = 0
        """At which a job is still running after its launch."""
        self._running: dict[str, int] = {}

    def launch(self, request: StepRequest) -> None:
        if self.lose_next:
            self.lose_next = False
            self.lost_launches.add(request.job.id)
        self._running.setdefault(request.job.id, self.looks)
        super().launch(request)

    def observe(self, job_id: str) -> JobReport:
        found = super().observe(job_id)
        left = self._running.get(job_id, 0)
        if found.state != "done" or left == 0:
            return found
        self._running[job_id] = left - 1
        return JobReport("running", (), (), "")


class RegistryBook:
    """The port `Registry`: keeps its promises, and is away or without a package when a fault says so."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._versions: list[Version] = []
        self._places: list[Path] = []
        self.away = False
        self.missing: set[int] = set()
        """Versions whose package somebody deleted."""
        self.marked: dict[str, int] = {}

    def register(
        self, model: str, package: Path, lineage: Lineage, manifest: Manifest, metrics: Mapping[str, float], at: datetime
    ) -> Version:
        self._reach()
        for version in self._versions:
            if version.lineage.run_key == lineage.run_key:
                return version
        number = len(self._versions) + 1
        version = Version(
            model=model, number=number, manifest_digest=codec.digest(manifest), format=manifest.format, created_at=at,
            lineage=msgspec.structs.replace(lineage, mlflow_run=f"memory-{number}"), metrics=dict(metrics),
        )  # fmt: skip
        self._versions.append(version)
        self._places.append(package)
        return version

    def versions(self, model: str) -> tuple[Version, ...]:
        self._reach()
        return tuple(self._versions)

    def fetch(self, model: str, number: int, manifest_digest: str | None = None) -> Path:
        self._reach()
        if number > len(self._versions):
            raise NotFound(f"the model {model!r} has no version {number}")
        if number in self.missing:
            raise ArtifactDamaged(f"the package of version {number} is gone")
        return self._places[number - 1]

    def mark(self, model: str, number: int, alias: str) -> None:
        self._reach()
        self.marked[alias] = number

    def kind_of(self, number: int) -> Kind:
        """What the version with this number really is."""
        return self._workshop.by_package[self._places[number - 1]]

    def _reach(self) -> None:
        if self.away:
            raise TrackingFailed("the tracking server does not answer")

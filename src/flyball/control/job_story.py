"""A job as a person asks for it: who wanted it, what it did, whom its tournament let compete, and what came of it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from flyball.control.jobs import observed
from flyball.control.telling_events import event_words
from flyball.control.world import World
from flyball.errors import NotFound
from flyball.records.jobs import FINISHED, Job, StepResult
from flyball.records.tournaments import Tournament
from flyball.records.unit import Version

AFTER = (
    "version.registered",
    "job.finished",
    "job.failed",
    "tournament.ended",
    "release.opened",
    "release.verified",
    "release.moved",
)
SHOWN = 12


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters that were tried (`train.tuning`), in order."""

    parameters: dict[str, Any]
    value: float | None
    """Of the story's `metric`; None: it failed."""
    words: str = ""
    """Why it failed."""


class JobStory(msgspec.Struct, frozen=True, kw_only=True):
    job: Job
    tournament: Tournament | None
    """None: it held none, or none that is over."""
    afterwards: tuple[str, ...]
    parameters: dict[str, Any] | None = None
    """That its model was trained with; None: nothing was trained in it, or what it left is not here any more."""
    metric: str = ""
    """By which trials were compared."""
    trials: tuple[Trial, ...] = ()
    """Empty: no parameters were sought."""


def story(world: World, job_id: str) -> JobStory:
    """Raises NotFound."""
    job = world.get("job", job_id, Job)
    if job is None:
        raise NotFound(f"there is no job {job_id[:40]!r}", next_step="flyball decisions tells which jobs were asked for")
    subjects = {f"job:{job_id}"}
    found: list[str] = []
    for event in world.ports.ledger.events(kinds=AFTER):
        if event.kind == "release.opened" and event.payload.get("job") == job_id:
            subjects.add(event.subject)
        if event.subject in subjects or event.payload.get("job") == job_id:
            found.append(event_words(event))
    told = JobStory(job=job, tournament=world.get("tournament", job_id, Tournament), afterwards=tuple(found[:SHOWN]))
    return _with_training(world, told)


def _with_training(world: World, told: JobStory) -> JobStory:
    """What its steps left says what was tried; the ledger alone what the version was trained with."""
    # Who looks at a job that runs may end it, being beyond its limit: that is the loop's.
    results = observed(world, told.job).results if told.job.status in FINISHED else ()
    trained: StepResult | None = next((each for each in reversed(results) if each.step == "train"), None)
    if trained is not None:
        metric, trials = _trials(trained.values.get("trials", ()))
        return msgspec.structs.replace(told, parameters=trained.values["parameters"], metric=metric, trials=trials)
    if told.job.version is None or (told.tournament is not None and told.tournament.unit is not None):
        return told  # a unit of a version that was there
    version = next((each for each in world.all("version", Version) if each.number == told.job.version), None)
    return told if version is None else msgspec.structs.replace(told, parameters=version.lineage.parameters)


def _trials(kept: Iterable[Mapping[str, Any]]) -> tuple[str, tuple[Trial, ...]]:
    """(metric, trials)"""
    metric, found = "", []
    for each in kept:
        metric = next(name for name in each if name not in ("parameters", "failed"))
        found.append(Trial(parameters=each["parameters"], value=each[metric], words=each.get("failed", "")))
    return metric, tuple(found)

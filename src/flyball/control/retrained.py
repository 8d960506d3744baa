"""What the champion was learned from, and when somebody was trained: what policies that go by age are told."""

from collections.abc import Sequence
from datetime import datetime

from flyball.autopilot.entrants import Strategy
from flyball.control.jobs import PERSONS
from flyball.control.tournaments import order_of, trains
from flyball.control.world import World
from flyball.records.jobs import Job, JobStatus
from flyball.records.tournaments import Tournament
from flyball.records.unit import Unit, Version


def data_until(world: World, unit: Unit, version: Version | None) -> datetime | None:
    """The newest row that the unit was trained on or judged by, its map and its threshold included, which may be younger than its version; None: unknown."""
    of_version = version.lineage.snapshot.until if version is not None else None
    of_map = unit.calibration.until if unit.calibration is not None else None
    won = (each for each in world.all("tournament", Tournament) if each.unit == unit.id)
    # One that was there before, and is only back, was made of no row that it won on.
    made = (each.standings.until for each in won if not (each.winner or "").startswith(f"{Strategy.EARLIER.value}:"))
    return max((until for until in (of_version, of_map, *made) if until is not None), default=None)


def retrainings(world: World) -> tuple[datetime, ...]:
    """When each was started, whoever asked for it and whatever it came to. The one that gave the first version, and those that failed to before it, trained
    nobody anew; nor did a person's plain run that came to a version that was there. (A policy's has looked: not counted, it would be ordered at every window.)"""
    started = sorted((job for job in world.all("job", Job) if trains(job)), key=lambda job: (len(job.id), job.id))
    first = next((place for place, job in enumerate(started) if job.status is JobStatus.REGISTERED), len(started))
    return tuple(job.requested_at for place, job in enumerate(started) if place > first and not _is_again(job, started[:place]))


def _is_again(job: Job, before: Sequence[Job]) -> bool:
    """Of a tournament whose winner was there before models were trained all the same."""
    plain = job.status is JobStatus.REGISTERED and order_of(job) is None and job.cause.startswith(PERSONS)
    return plain and job.version is not None and any(each.version == job.version for each in before)

"""A job as a person asks for it: who wanted it, what it did, whom its tournament let compete, and what came of it."""

import msgspec

from flyball.control.telling_events import event_words
from flyball.control.world import World
from flyball.errors import NotFound
from flyball.records.jobs import Job
from flyball.records.tournaments import Tournament

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


class JobStory(msgspec.Struct, frozen=True, kw_only=True):
    job: Job
    tournament: Tournament | None
    """None: it held none, or none that is over."""
    afterwards: tuple[str, ...]


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
    return JobStory(job=job, tournament=world.get("tournament", job_id, Tournament), afterwards=tuple(found[:SHOWN]))

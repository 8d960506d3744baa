"""Pipeline runs as durable work: observe, else launch, else wait. A child does the steps; the gate and the registration happen here."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from flyball.control import decisions, tournaments
from flyball.control.ports import JobReport, StepRequest
from flyball.control.units import UnitShelf, policy_plain, threshold_of
from flyball.control.world import World, draft, put
from flyball.errors import ArtifactDamaged, DataError, NotFound, TrackingFailed
from flyball.gates.decide import GateSituation
from flyball.gates.decide import policy_of as gate_policy_of
from flyball.records import codec
from flyball.records.evidence import Outcome
from flyball.records.jobs import FINISHED, Job, JobStatus
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.records.unit import Unit, Version
from flyball.registry.unit import unit_of

MAX_ATTEMPTS = 3
"""Children launched for one job before it is set aside: two deaths may be the machine's, a third is the job's own."""


def request(world: World, cause: str, *, overrides: dict[str, Any] | None = None, key: str | None = None) -> Job:
    """Ask for a run of the pipeline on what is known now. With a `key` asked twice it is one job."""
    now = world.now()
    number, counter = world.number("job")
    job = Job(
        id=f"j-{number:04d}", model=world.model, status=JobStatus.REQUESTED,
        requested_at=now, as_of=now, cause=cause, overrides=overrides or {}, spec_digest=world.spec_digest,
    )  # fmt: skip
    event = world.record(
        draft(now, "job.requested", f"job:{job.id}", codec.plain(job), (counter, put("job", job.id, job)), key=key)
    )[0]
    return codec.revive(event.payload, Job)


def active(world: World) -> tuple[Job, ...]:
    """Jobs that are not finished, oldest first."""
    return tuple(job for job in world.all("job", Job) if job.status not in FINISHED)


def advance(world: World, shelf: UnitShelf, job: Job) -> Job:
    """One step of reconciling: what the job is now."""
    if job.status in FINISHED:
        return job
    report = world.ports.executor.observe(job.id)
    if not _is_of(report, job):
        world.say(
            "bad",
            f"job {job.id}: another one's result lies in .flyball/jobs/{job.id}, of before a backup was restored; it is set aside",
        )
        world.ports.executor.set_aside(job.id)
        report = world.ports.executor.observe(job.id)
    if report.recalled:
        # Not recorded by itself: the mark is gone with the next launch, so that a controller that dies before it gives nothing back twice.
        job = _moved(job, attempt=max(job.attempt - 1, 0))
    if _package_is_gone(world, report):
        # Else it would be asked for at every tick, for ever: it is made again, which is an attempt like another.
        world.say("bad", f"job {job.id}: the package that it made is gone or damaged; it is made again")
        world.ports.executor.forget(job.id)
        report = world.ports.executor.observe(job.id)
    if report.state == "done":
        return (_register if job.status is JobStatus.GATING else _gate)(world, shelf, job, report)
    # Also where somebody cleaned the job's directory away: the steps are made again, from the cache if it is there.
    return _wait_or_launch(world, shelf, job, report)


def observed(world: World, job: Job) -> JobReport:
    """What is seen of this very job."""
    report = world.ports.executor.observe(job.id)
    return report if _is_of(report, job) else JobReport("new", (), (), "")


def _is_of(report: JobReport, job: Job) -> bool:
    """And not of another one with its number: a restored ledger counts from where the backup was, and what has been made since lies there still."""
    other = report.job
    return other is None or codec.digest(_asked_of(other)) == codec.digest(_asked_of(job))


def _asked_of(job: Job) -> tuple[Any, ...]:
    """What of a job never changes."""
    return job.model, job.requested_at, job.as_of, job.cause, job.overrides, job.spec_digest


def _wait_or_launch(world: World, shelf: UnitShelf, job: Job, report: JobReport) -> Job:
    if report.state == "failed":
        return _finish(world, job, JobStatus.FAILED, "job.failed", error=report.error)
    if report.state == "running":
        return job
    if report.state == "new" and job.status is JobStatus.RUNNING:
        # Whoever recorded it died before the launch: this attempt is still to be made.
        world.ports.executor.launch(step_request(world, shelf, job))
        return job
    if job.attempt >= MAX_ATTEMPTS:
        how = f" (the last one {report.error})" if report.error else ""
        words = f"{job.attempt} children died without a result{how}; the log lies in .flyball/jobs/{job.id}/log"
        return _finish(world, job, JobStatus.FAILED, "job.failed", error=words)
    if report.error:
        world.say("bad", f"job {job.id}: its process was {report.error}; it is started again")
    running = _moved(job, status=JobStatus.RUNNING, attempt=job.attempt + 1)
    # Made first: it may fetch the champion's package for seconds, and a controller that dies in them has launched nothing that should count.
    asked = step_request(world, shelf, running)
    # Recorded before the launch: a crash in between is seen as `absent` and launched again, never as a run nobody knows of.
    world.record(
        draft(world.now(), "job.launched", f"job:{job.id}", {"attempt": running.attempt}, (put("job", job.id, running),))
    )
    world.ports.executor.launch(asked)
    return running


def step_request(world: World, shelf: UnitShelf, job: Job) -> StepRequest:
    """What the child may use."""
    beside = _beside(world, shelf)
    place, served = world.place, shelf.served(beside) if beside else None
    waits = beside is not None and world.get("champion", job.model, Champion) is None
    request = StepRequest(job, world.spec, place.project_dir, place.steps_dir, served, schema_file=place.own_schema, waits=waits)
    if tournaments.order_of(job) is None:
        return request
    return request._replace(earlier=tournaments.competitors(shelf, job), tried=tournaments.remembered(world, job))


def _gate(world: World, shelf: UnitShelf, job: Job, report: JobReport) -> Job:
    """Decide on the evidence; the decision and the job's new status are one transaction."""
    if tournaments.order_of(job) is not None and (concluded := tournaments.conclude(world, job, report)).status in FINISHED:
        return concluded
    if all(
        result.step != "package" for result in report.results
    ):  # recorded, then held anew, its package being gone: another one won
        return _finish(
            world,
            job,
            JobStatus.FAILED,
            "job.failed",
            error="the tournament was held again after it was decided, and nobody was fitted",
        )
    beside = _beside(world, shelf)
    if _is_of_another(report, beside):
        return _judged_again(world, shelf, job)
    package = package_of(world, report)
    lineage = world.ports.packages.lineage(package)
    situation = GateSituation(
        candidate=lineage.run_key,
        challenger=f"run {lineage.run_key[:12]} of job {job.id}",
        champion=beside,
        evidence=world.ports.packages.evaluation(package),
        requested_by=job.cause,
        waits=beside is not None and world.get("champion", job.model, Champion) is None,
    )
    policy = gate_policy_of(world.spec)
    now = world.now()
    plan = decisions.decide("gates", situation, policy, now)
    passed = plan.outcome is Outcome.PASS
    status = JobStatus.GATING if passed else JobStatus.REFUSED
    unsure = plan.outcome is Outcome.INCONCLUSIVE
    moved = _moved(job, status=status, run_key=lineage.run_key, error="" if passed else plan.rationale, inconclusive=unsure)
    made = decisions.prepare(world, "gates", (situation, policy, now), plan, (put("job", job.id, moved),))
    world.record(made.draft)
    world.say("decision", f"{made.decision.id} gates: {plan.rationale}")
    return _register(world, shelf, moved, report) if passed else moved


def _beside(world: World, shelf: UnitShelf) -> str | None:
    """The unit that a run is judged beside: the champion, or, where there is none, who waits to be the first and would have to give way."""
    champion = world.get("champion", world.model, Champion)
    if champion is not None:
        return champion.unit
    first = waits_to_be_first(world)
    with suppress(ArtifactDamaged, NotFound, TrackingFailed):  # what cannot be served keeps nobody from its place
        return shelf.served(first.id).unit.id if first is not None else None
    return None


def waits_to_be_first(world: World) -> Unit | None:
    """Who becomes champion, as things stand; None: there is one, or nobody waits."""
    last = last_registered(world)
    if last is None or world.get("champion", world.model, Champion) is not None:
        return None
    release = release_of(last, world.all("release", ReleaseState))
    return None if release is not None and release.phase in TAKEN_BACK else unit_of_job(world, last)


def last_registered(world: World) -> Job | None:
    """The last to come, though asked for before another, and whatever the clock said then."""
    registered = [job for job in world.by_last_event("job", Job) if job.status is JobStatus.REGISTERED]
    return registered[-1] if registered else None


def _is_of_another(report: JobReport, beside: str | None) -> bool:
    """Whether it was judged beside another than it would be now; a run of an earlier release does not say."""
    values = next((result.values for result in reversed(report.results) if result.step == "evaluate"), {})
    return "champion" in values and values["champion"] != beside


def _judged_again(world: World, shelf: UnitShelf, job: Job) -> Job:
    """Beside who answers now, or waits to: a child is started once more, and finds in the cache what does not depend on it."""
    world.say("plain", f"job {job.id}: the champion has changed since its model was judged; it is judged again")
    world.ports.executor.forget(job.id)
    # No child has died, so this is no further attempt.
    return _wait_or_launch(world, shelf, _moved(job, attempt=max(job.attempt - 1, 0)), world.ports.executor.observe(job.id))


def _register(world: World, shelf: UnitShelf, job: Job, report: JobReport) -> Job:
    """Idempotent by the run key: what the ledger holds of the same run is the version; trained again its bytes may differ, and those of then were judged then.
    After a crash before the ledger had it the registry answers with what is there of the very bytes."""
    package = package_of(world, report)
    packages = world.ports.packages
    lineage, manifest, metrics = packages.lineage(package), packages.manifest(package), packages.metrics(package)
    now = world.now()
    version = _held(world, job.model, lineage.run_key)
    if version is None:
        try:
            answered = world.ports.registry.register(job.model, package, lineage, manifest, metrics, now)
            _refuse_another(world, answered, codec.digest(manifest))
        except (ArtifactDamaged, DataError) as error:  # asked again, it would answer the same
            return _finish(world, job, JobStatus.FAILED, "job.failed", error=error.message)
        version = msgspec.structs.replace(
            answered, manifest_digest=codec.digest(manifest), format=manifest.format, metrics=metrics,
            lineage=msgspec.structs.replace(lineage, mlflow_run=answered.lineage.mlflow_run),
        )  # fmt: skip
    unit = unit_of(
        version, threshold_of(world, binary=packages.signature(package).task == "binary"), codec.digest(policy_plain(world))
    )
    anew = was_replaced(world, job, unit.id)
    finished = _moved(job, status=JobStatus.REGISTERED, version=version.number, unit=unit.id, anew=anew)
    world.record(
        draft(
            now, "version.registered", f"version:{version.number}", {"unit": unit.id, "job": job.id, "run_key": lineage.run_key},
            version_puts(version, unit), key=f"version:{job.model}:{version.number}:{unit.id}",
        ),
        draft(now, "job.finished", f"job:{job.id}", {"version": version.number, "unit": unit.id}, (put("job", job.id, finished),)),
    )  # fmt: skip
    shelf.served(unit.id)
    return finished


PERSONS = "user:"
"""How the cause begins of what a person asked for."""
TAKEN_BACK = (Phase.ROLLING_BACK, Phase.ROLLED_BACK)


def was_replaced(world: World, job: Job, unit: str) -> bool:
    """Whether a person's run came to what had settled and a person's run has replaced: who goes back in the code wants that to serve. What a release took
    back is not meant, nor what a policy has replaced: who changes nothing does not undo that."""
    champion, releases = world.get("champion", job.model, Champion), world.all("release", ReleaseState)
    before = [each for each in releases if each.challenger == unit]
    if champion is None or champion.unit == unit or not before or before[-1].phase is not Phase.SETTLED:
        return False
    return all(cause.startswith(PERSONS) for cause in (job.cause, who_released(champion.unit, releases)))


def who_released(unit: str, releases: Sequence[ReleaseState]) -> str:
    """The cause of its last release that was not taken back; empty: there was none."""
    return next((each.cause for each in reversed(releases) if each.challenger == unit and each.phase not in TAKEN_BACK), "")


def _held(world: World, model: str, run_key: str) -> Version | None:
    """The version that the ledger has of a run: its word goes before a registry's, whose tags others may change."""
    return next((each for each in world.all("version", Version) if each.model == model and each.lineage.run_key == run_key), None)


def _refuse_another(world: World, answered: Version, judged: str) -> None:
    """A registry answers with what its tags say. Raises ArtifactDamaged unless that is of the digest that was `judged` just now, and no version of the ledger's."""
    name, advice = (
        f"version {answered.number} of {answered.model}",
        "flyball verify, and look into MLflow who changed its versions",
    )
    held = world.get("version", version_key(answered.model, answered.number), Version)
    if held is not None:
        found = f"the registry answers with {name}, which is of the run {held.lineage.run_key[:12]}… in the ledger"
        raise ArtifactDamaged(found, expected="a version of the run that was judged", next_step=advice)
    if answered.manifest_digest != judged:
        found = f"the registry answers with {name}, of the digest {answered.manifest_digest[:12]}…"
        raise ArtifactDamaged(found, expected=f"{judged[:12]}…, which was judged", next_step=advice)


def version_key(model: str, number: int) -> str:
    return f"{model}|{number:06d}"


def version_puts(version: Version, unit: Unit) -> tuple[Any, ...]:
    return put("version", version_key(version.model, version.number), version), put("unit", unit.id, unit)


def unit_of_job(world: World, job: Job) -> Unit | None:
    """The unit that a registered job made."""
    return world.get("unit", job.unit, Unit) if job.unit else None


def release_of(job: Job, releases: Sequence[ReleaseState]) -> ReleaseState | None:
    """The release of a job's result. A version is released once, whichever job made it again; who won a tournament without a training is released
    anew, though it was before, and so is what a person's run goes back to, unless it was taken back meanwhile."""
    anew = tournaments.order_of(job) is not None and job.run_key is None

    def counts(each: ReleaseState) -> bool:
        return not anew and not each.superseded and each.challenger == job.unit and (not job.anew or each.phase in TAKEN_BACK)

    mine = (each for each in releases if each.job == job.id or counts(each))
    return next(reversed([*mine]), None)


def package_of(world: World, report: JobReport) -> Path:
    """The package directory that the last step left."""
    place = next(result.values["package"] for result in reversed(report.results) if result.step == "package")
    return world.place.steps_dir / str(place)


def _package_is_gone(world: World, report: JobReport) -> bool:
    """Or not whole any more, of a job that is done and made one."""
    made = next((result for result in reversed(report.results) if result.step == "package"), None)
    if report.state != "done" or made is None:
        return False
    packages, place = world.ports.packages, package_of(world, report)
    try:
        digest = made.values.get("manifest_digest") or codec.digest(packages.manifest(place))
    except (NotFound, ArtifactDamaged):
        return True
    return not packages.is_whole(place, str(digest))


def supersede_outdated(world: World, but: str = "") -> None:
    """End what people asked for under another flyball.yaml, except the job `but`: its result would be of a file that is no more, and a model that it makes
    later would be released after the newer one."""
    for job in active(world):
        if job.id != but and job.cause.startswith("user:") and job.spec_digest != world.spec_digest:
            _supersede(world, job)


def _supersede(world: World, job: Job) -> Job:
    world.ports.executor.cancel(job.id)
    return _finish(world, job, JobStatus.FAILED, "job.failed", error="flyball.yaml has changed since: a new run takes its place")


def _finish(world: World, job: Job, status: JobStatus, kind: str, *, error: str) -> Job:
    finished = _moved(job, status=status, error=error)
    world.record(draft(world.now(), kind, f"job:{job.id}", {"error": error}, (put("job", job.id, finished),)))
    world.say("bad", f"job {job.id}: {error}")
    return finished


def _moved(job: Job, **changes: Any) -> Job:
    return msgspec.structs.replace(job, **changes)

"""`flyball run`: one pipeline run, followed to its end wherever it is worked on: in this process, or by the controller that is up."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from flyball.control import binding, commands, decisions, jobs, openings, queries
from flyball.control.engine import Engine
from flyball.control.reports import RunReport
from flyball.control.trouble import Trouble
from flyball.control.world import World
from flyball.errors import Conflict, FlyballError
from flyball.records.decisions import Decision
from flyball.records.evidence import Outcome
from flyball.records.jobs import FINISHED, Job, JobStatus, Progress
from flyball.records.release import TERMINAL, Champion, Phase, ReleaseState
from flyball.records.unit import Unit

Pause = Callable[[float], None]
LOOK_SECONDS = 0.2


class Follower:
    """Tells each line of a job's progress once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told = 0

    def look(self, job: Job) -> None:
        """Say what is new."""
        lines = jobs.observed(self._world, job).progress
        for line in lines[self._told :]:
            self._world.say("step", progress_words(line))
        self._told = max(self._told, len(lines))


def progress_words(line: Progress) -> str:
    """`train: done in 3.1 s`."""
    share = f" {line.fraction:.0%}" if line.fraction is not None else ""
    # Why a step failed is the job's own sentence, and comes with its end.
    return f"{line.step}: {line.status}{share}" + (f" ({line.words})" if line.words and line.status != "failed" else "")


class Elsewhere(NamedTuple):
    """A job on which another controller works."""

    world: World
    job_id: str
    follower: Follower


class _HandedOver(Exception):
    """Nothing of the run is lost: what trains is a process of its own."""


def run_here(engine: Engine, actor: str, pause: Pause, is_awaited: Callable[[], bool]) -> RunReport | Elsewhere:
    """This process controls the project. An unfinished job of an earlier, killed call is gone on with, whoever made it, and not started again.

    `is_awaited`: whether a control process wants its place; the job is left to that one as soon as it trains.
    """
    world = engine.world
    jobs.supersede_outdated(world)
    unfinished = [job for job in jobs.active(world) if job.cause.startswith("user:")]
    job = unfinished[0] if unfinished else jobs.request(world, actor)
    follower = Follower(world)
    if unfinished:
        world.say("plain", f"Going on with job {job.id} of {job.requested_at:%Y-%m-%d %H:%M:%S}")

    def each(standing: Job) -> None:
        follower.look(standing)
        if standing.status is JobStatus.RUNNING and is_awaited():
            raise _HandedOver

    try:
        finished = engine.run_job(job, pause, each)
    except _HandedOver:
        return Elsewhere(world, job.id, follower)
    follower.look(finished)
    try:
        engine.tick()
    except Exception as error:  # noqa: BLE001 - of any stage, foreseen or not: what came of the run stands, and is the answer
        world.say("bad", f"The run is over; the look at the project after it failed: {words_of(error)}")
    return report_of(world, finished)


def words_of(error: Exception) -> str:
    """What is told of a tick that failed."""
    return error.message if isinstance(error, FlyballError) else f"{type(error).__name__}: {error}"


def run_there(world: World, actor: str, pause: Pause, is_attended: Callable[[], bool]) -> RunReport:
    """Another process controls the project: order the run and watch. Raises Conflict when that process has ended and none is on its way."""
    command = commands.order(world, "run", actor, "")
    settled = await_command(world, command.id, pause)
    job_id = settled.subject.removeprefix("job:")
    if world.get("job", job_id, Job) is None:
        raise Conflict(f"the run was {settled.status}: {settled.words}")
    return watch(Elsewhere(world, job_id, Follower(world)), pause, is_attended)


def watch(elsewhere: Elsewhere, pause: Pause, is_attended: Callable[[], bool]) -> RunReport:
    """To the job's end. Raises Conflict when the process that works on it has ended and none is on its way."""
    world, job_id, follower = elsewhere
    trouble = ""
    while True:
        job = world.get("job", job_id, Job)
        if job is None:
            raise Conflict(f"job {job_id} is not in the ledger any more", next_step="flyball verify")
        follower.look(job)
        trouble = _tell_trouble(world, trouble)
        if job.status in FINISHED:
            if job.status is JobStatus.FAILED:  # as the one who works on it says it
                world.say("bad", f"job {job.id}: {job.error}")
            return report_of(world, job)
        if not is_attended():
            raise Conflict(
                f"job {job_id} is {job.status}, and the process that worked on it has ended",
                next_step="flyball run, which goes on with it",
            )
        pause(LOOK_SECONDS)


def _tell_trouble(world: World, told: str) -> str:
    """What keeps the other process's ticks from being whole, once for as long as it lasts: a job may wait for nothing else."""
    standing = world.get("trouble", world.model, Trouble)
    if standing is None:
        return ""
    if standing.words != told:
        world.say("bad", f"The controller's ticks fail since {standing.since:%Y-%m-%d %H:%M:%S}: {standing.words}")
    return standing.words


def await_command(world: World, command_id: str, pause: Pause, patience_seconds: float = 30.0) -> commands.Command:
    """Until the controller has answered. Raises Conflict when it does not: the order stands and is carried out when it comes back; one that lets more
    happen, when that is soon."""
    waited = 0.0
    while waited < patience_seconds:
        command = world.get("command", command_id, commands.Command)
        if command is not None and command.status != "open":
            return command
        pause(LOOK_SECONDS)
        waited += LOOK_SECONDS
    command = world.get("command", command_id, commands.Command)
    stands = " for an hour" if command is not None and command.kind in binding.FREEING else ""
    raise Conflict(
        f"the controller has not taken order {command_id} in {patience_seconds:.0f} s", next_step=f"flyball status; the order stands{stands}"
    )  # fmt: skip


def report_of(world: World, job: Job) -> RunReport:
    """What came of a finished job."""
    gate, seen = _gate_of(world, job), jobs.observed(world, job)
    registered = [
        event for event in world.ports.ledger.events(kinds=("version.registered",)) if job.version and event.subject == f"version:{job.version}"
    ]  # fmt: skip
    new = any(event.payload["job"] == job.id for event in registered)
    outcome = gate.plan.outcome if gate is not None and gate.plan.outcome is not None else Outcome.ERROR
    return RunReport(
        job=job,
        steps=seen.results,
        verdicts=gate.plan.verdicts if gate is not None else (),
        outcome=Outcome.ERROR if job.status is JobStatus.FAILED else outcome,
        version=job.version,
        new=new,
        words=outcome_words(world, job, new=new),
        detail=seen.detail,
    )


def _gate_of(world: World, job: Job) -> Decision | None:
    """The last judgement of this job's run."""
    found = [
        decision for decision in decisions.recorded(world)
        if decision.room == "gates" and decision.situation.get("candidate") == job.run_key
    ]  # fmt: skip
    return found[-1] if found else None


def outcome_words(world: World, job: Job, *, new: bool) -> str:
    """What came of it in a sentence, or two."""
    if job.status is not JobStatus.REGISTERED:
        return job.error or f"The run ended as {job.status}."
    if new:
        return f"Version {job.version} is registered.{_waits(world, job)}"
    same = f"Nothing has changed: this run is version {job.version} already."
    releases = world.all("release", ReleaseState)
    release = jobs.release_of(job, releases)
    if release is None or release.phase not in jobs.TAKEN_BACK:
        anew = f"This run is version {job.version} again, which another has replaced: it is released anew.{_waits(world, job)}"
        # One without a release has its turn still to come.
        return anew if job.anew else same + (_who_serves(world, job, releases) if release is not None else "")
    return f"{same} {release.id} took it back ({release.reason or 'no reason is kept'}), and {queries.STAYS_BACK}."


def _waits(world: World, job: Job) -> str:
    """For what its version waits; empty: for nothing but the next look."""
    words, of_it = openings.waits(world), f"version {job.version} "
    return f" It {words.removeprefix(of_it)}." if words.startswith(of_it) else ""


def _who_serves(world: World, job: Job, releases: Sequence[ReleaseState]) -> str:
    """Where that is not what the run came to, or will not be for long, and what to do; empty: it is."""
    champion = world.get("champion", job.model, Champion)
    active = next((each for each in reversed(releases) if each.phase not in TERMINAL), None)
    if champion is None or (active is not None and (active.challenger == job.unit or active.phase is Phase.ROLLING_BACK)):
        return ""
    if active is not None:
        goes_on = (
            f" {active.id} goes on with {_named(world, active.challenger)} all the same. Next: flyball rollback takes that back."
        )
        return goes_on if champion.unit == job.unit else f" Its unit {job.unit} does not serve.{goes_on}"
    if champion.unit == job.unit:
        return ""
    by = jobs.who_released(champion.unit, releases) or "a rollback"
    return (
        f" Its unit {job.unit} does not serve: {_named(world, champion.unit)} took its place, by {by}, and stays. Next: flyball rollback goes back to"
        " who served before that."
    )


def _named(world: World, unit: str) -> str:
    known = world.get("unit", unit, Unit)
    return f"version {known.version} ({unit})" if known is not None else unit

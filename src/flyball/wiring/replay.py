"""A replay's wiring: a state directory of its own, a simulated clock, a real gateway on a free port."""

import gc
import time
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from flyball import __version__
from flyball.adapters.clock import SimulatedClock
from flyball.adapters.durable import project_mode, replace_file
from flyball.adapters.engine_lock import EngineLock
from flyball.adapters.environment import surroundings
from flyball.adapters.executor import ProcessExecutor
from flyball.adapters.gateway_limits import limit_arguments
from flyball.adapters.heartbeat import Heartbeat
from flyball.adapters.replay_files import Begun, ReplayFiles, rewind
from flyball.adapters.report_page import refuse_unwritable, write_reports
from flyball.adapters.schema_file import read_schema
from flyball.adapters.scorer_child import ChildScorer
from flyball.adapters.snapshots_delta import content_digest
from flyball.adapters.sources import LABEL_KNOWN, SourceHistory, known_at
from flyball.adapters.supervisor import GatewayProcess, end_leftover
from flyball.adapters.traffic_http import HttpTraffic
from flyball.adapters.validation_pandera import as_trained, kept_schema
from flyball.control.engine import Engine
from flyball.control.ports import SCHEMA, Say
from flyball.control.replay import TICK, Columns, History, Replay, Work, plan_history, refuse_unanswerable
from flyball.control.replay_diary import Diary
from flyball.control.replay_metrics import measured, metric_of
from flyball.control.replay_position import Position, Stage
from flyball.control.replay_report import ReplayReport
from flyball.control.replay_result import Lived, report_of
from flyball.errors import Conflict, UserError
from flyball.records import codec
from flyball.records.jobs import Job
from flyball.spec import ProjectSpec, ReplaySpec, words
from flyball.wiring.environment import plain_environment, secret_of
from flyball.wiring.worlds import Home, replayed_world

LEAST_REPLAYED_DEADLINE = timedelta(seconds=5)
"""Of a model's call: what this machine has to do beside a replay is no matter of the history."""
BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
FAR = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def replay_of(home: Home, since: datetime | None, until: datetime | None) -> ReplaySpec:
    """What flyball.yaml says, with the command line's own on top. Raises UserError when nothing says when to begin, or it would end before."""
    declared = home.spec.replay
    if declared is None and since is None:
        raise UserError(
            "nothing says when the replay begins",
            expected="`replay:` in flyball.yaml, or --since",
            next_step="flyball replay --since 2024-03-01",
        )
    changes = {"since": since, "until": until} if declared is not None else {"train_until": since, "until": until}
    base = declared.model_dump() if declared is not None else {}
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return ReplaySpec.model_validate({**base, **given})
    except ValidationError as error:
        expected, _, found = words.expected(error.errors()[0]).partition(", found ")
        raise UserError(
            f"the replay's times do not fit: {found}",
            expected=expected,
            next_step="look at --since, --until and `replay:` in flyball.yaml",
        ) from error


def replay(home: Home, plan: ReplaySpec, say: Say, output: Path, *, fresh: bool) -> ReplayReport:
    """Live it, or go on with one that was interrupted. Raises Conflict when that one was lived from something else, and UserError, before anything is lived,
    when reports cannot be written to `output`. `fresh`: begin anew."""
    refuse_unwritable(output)
    home.keep_private()
    with EngineLock(replays_dir(home), replays=True):
        report = lived_report(home._replace(state_dir=home.state_dir / "replay"), plan, say, replays_dir(home), fresh=fresh)
    for path in write_reports(report, output, project_mode(home.project_dir)):
        say("good", f"Written: {path}")
    return report


def replays_dir(home: Home) -> Path:
    """What replays of a project share: steps that were done, so that the same training is done once; and those side by side."""
    return home.state_dir / "replays"


def lived_report(home: Home, plan: ReplaySpec, say: Say, shared_steps: Path, *, fresh: bool) -> ReplayReport:
    """In `home`'s own state directory, which nobody else may use meanwhile."""
    began = time.monotonic()
    refuse_unanswerable(home.spec, plan)
    home = home._replace(spec=as_lived(home.spec))
    files = ReplayFiles(home.state_dir, lambda: time.monotonic() - began)
    say("step", "Reading the history")
    frame = SourceHistory(home.spec.data, home.project_dir, secret_of, home.spec.task).rows(BEGINNING, plan.until or FAR)
    # What cannot be lived is refused before the replay that was lived is taken away.
    history = planned(home, plan, frame)
    begun = Begun(parts=parts_of(home, plan, frame))
    known = None if fresh else standing(files, begun, say)
    if known is not None and (report := files.report()) is not None:
        return report
    end_leftover(home.state_dir)
    if known is None:
        begin_anew(home, files, begun, Position(at=plan.train_until))
    if history.never:
        say(
            "plain",
            f"{history.never:,} labels are said to come a century after the last row, or later: they are taken for labels that never come.",
        )
    lived = _live(home, plan, history, say, files, shared_steps)
    with ChildScorer(home.state_dir / "alone", plain_environment()) as scorer:
        report = report_of(lived, plan, scorer)
    told = files.finish(report)
    files.close()
    return told


def planned(home: Home, plan: ReplaySpec, frame: pl.DataFrame) -> History:
    """When what is sent. Raises DataError when there is nothing to send, or nothing to train the first version on."""
    data = home.spec.data
    if not frame.is_empty():  # else there is nothing to send either, and that says why
        known_at(frame, data, plan.train_until, home.spec.train.history)
    return plan_history(frame.filter(pl.col(data.time) >= plan.start), columns_of(home), plan)


def begin_anew(home: Home, files: ReplayFiles, begun: Begun, position: Position) -> None:
    """In an empty directory. Raises StoreUnavailable when what was there does not go away."""
    # A child outlives the command that was killed, by design: it would write its result into the directory of this replay's job of the same number.
    ProcessExecutor(home.state_dir, home.clock.now).cancel_all()
    files.clear()
    if (schema := home.project_dir / SCHEMA).exists():
        replace_file(home.state_dir / SCHEMA, schema.read_bytes())
    files.begin(begun, position)


def parts_of(home: Home, plan: ReplaySpec, frame: pl.DataFrame) -> dict[str, str]:
    """All that decides what a replay finds, part by part, by names that a person knows."""
    spec = home.spec.model_dump(mode="json", by_alias=True, exclude={"replay"})
    around = surroundings(home.project_dir, home.spec.data)
    sections = {f"{name}: of flyball.yaml": codec.digest(value) for name, value in spec.items()}
    return {
        **sections, "the span or the labels' untidiness of the replay": codec.digest(plan.model_dump(mode="json")), "the data": content_digest(frame),
        **schema_part(home.project_dir / SCHEMA), "the project's code": around.code_digest, "the installed packages": around.environment_digest, "Flyball": __version__,
    }  # fmt: skip


def schema_part(path: Path) -> dict[str, str]:
    """What schema.yaml says: its comments and order are nobody's part. Empty where there is none: the first training infers one for the replay alone, and
    what the project gets later is not lived from."""
    if not path.exists():
        return {}
    schema = read_schema(path)
    # As words, since .inf may stand there.
    return {SCHEMA: codec.digest(repr((schema.unknown, schema.outside, schema.extra, sorted(schema.features.items()))))}


def standing(files: ReplayFiles, begun: Begun, say: Say) -> Begun | None:
    """The replay that is there, if it is to be gone on with or told again. None: a new one begins. Raises Conflict."""
    before = files.begun()
    if before is None:
        return None
    changed, over = before.changed(begun.parts), files.report() is not None
    if not changed:
        if over:
            say("plain", "Nothing has changed since this replay was lived to its end: its report again. --fresh lives it anew.")
        return before
    if over:
        say("plain", f"Since this replay was lived to its end this changed: {', '.join(changed)}. It is lived anew.")
        return None
    position = files.take_up()
    first = position.stage is Stage.FIRST
    where = "was interrupted at its first training" if first else f"stands at {position.at:%Y-%m-%d %H:%M}"
    raise Conflict(
        f"the replay that {where} was begun before this changed: {', '.join(changed)}",
        next_step="flyball replay --fresh begins anew; or change it back, and it goes on",
    )


def as_lived(spec: ProjectSpec) -> ProjectSpec:
    """One worker keeps the order of requests; more would answer the same. And everything is kept: at its end a replay is told from all answers."""
    changes = {"serve": spec.serve.model_copy(update={"workers": 1}), "capture": spec.capture.model_copy(update={"keep": None})}
    return spec.model_copy(update=changes)


def columns_of(home: Home) -> Columns:
    data = home.spec.data
    return Columns(data.time, data.key, data.label, LABEL_KNOWN, data.feature_names)


def gateway_of(home: Home) -> GatewayProcess:
    """On a simulated clock; what it reads at once, and what a model may take, is as of the project's own, but for a short deadline."""
    return GatewayProcess(
        home.state_dir, arguments=("--clock", "request", *limit_arguments(home.spec.serve, LEAST_REPLAYED_DEADLINE))
    )


def _live(home: Home, plan: ReplaySpec, history: History, say: Say, files: ReplayFiles, shared_steps: Path) -> Lived:
    position = files.take_up()
    if position.stage is Stage.SENDING:
        rewind(home.state_dir / "capture", position.cursor)
    clock = SimulatedClock(position.at - (TICK if position.stage is Stage.TICKING else timedelta(0)))
    world = replayed_world(home, say, clock, shared_steps)
    engine = Engine(world, up_since=plan.train_until)
    clock.advance_to(position.at)  # only now: the engine that was killed knew what this turn of the loop was to look at anew
    engine.start("flyball replay")
    # The lease first: a gateway that finds a stale one would answer its first requests without the canary.
    with Heartbeat(world.ports.gateways, lambda: True), gateway_of(home) as gateway:
        traffic = HttpTraffic(gateway.url, home.token())
        lived = Replay(engine, traffic, columns_of(home), files, position, approve=plan.approve)
        work = _timed(files)
        if position.stage is Stage.FIRST:
            say("step", f"Training the first version on what was known on {plan.train_until:%Y-%m-%d}")
            lived.first_version(work)
            say("step", f"{history.frame.height:,} rows in {len(history.requests.at_us):,} requests to {gateway.url}")
        else:
            say("step", f"Going on at {position.at:%Y-%m-%d %H:%M}, where it was interrupted")
        # As the gateway's signature and the first version have them: a source's 0 and 1 are no true and false to anybody who is asked.
        schema = kept_schema(home.state_dir / SCHEMA, history.frame, home.spec.data)
        history = history._replace(frame=as_trained(history.frame, schema.of_data))
        # What was imported by now lives as long as the process: three quarters of all that the garbage collector would look through again and again.
        gc.freeze()
        declared = engine.world.spec
        told = measured(declared.task, metric_of(declared.task, declared.evaluate.primary))
        lived.live(history, work, Diary(engine, told).day)
        traffic.close()
    return Lived(engine, history, columns_of(home), lived.sent)


def _timed(files: ReplayFiles) -> Work:
    """Works on a job, and counts the time apart: how long a training takes is not the replay's doing."""

    def work(engine: Engine, job: Job) -> Job:
        began = time.monotonic()
        try:
            return engine.run_job(job, time.sleep)
        finally:
            files.training_seconds += time.monotonic() - began

    return work

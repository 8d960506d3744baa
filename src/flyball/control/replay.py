"""The loop over history on a simulated clock: real requests to a real gateway, labels as untidy as in life, and the same engine as in production."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
import polars as pl

from flyball.control import commands, jobs
from flyball.control.engine import Engine
from flyball.control.loop import tick_once
from flyball.control.observe import micros_of
from flyball.control.ports import Traffic
from flyball.control.replay_position import GOES_ON, Journal, Position, Sent, Stage
from flyball.control.replay_schedule import MOST_LABELS, LabelSchedule, Requests, schedule_labels, schedule_requests
from flyball.control.traffic import stop_of
from flyball.control.world import micros, moment
from flyball.errors import (
    DataError,
    Fenced,
    GatewayUnreachable,
    Outdated,
    StoreUnavailable,
    TrackingFailed,
    TrainingError,
    UserError,
)
from flyball.pipelines.keys import refuse_repeated
from flyball.pipelines.labels import class_name
from flyball.records.decisions import Approval
from flyball.records.jobs import Job, JobStatus
from flyball.spec import ProjectSpec, ReplaySpec

TICK = timedelta(hours=1)
"""Of simulated time. Requests of one hour share a tick; shorter ones would only look more often at the same."""


PERSON = "user:replay"
"""Who says yes to what releases ask."""
STARTER = "user:replay-start"
"""Who asks for the first run, and says yes to what policies ask: somebody else, so that `release.approval: another` can be lived through."""
HOPELESS = 20
"""Failed requests in a row after which a replay is not gone on with: its figures would be about nothing. Rows that the model does not take are no failure."""
LONGEST = timedelta(days=36_525)
"""After the last row: a label that is said to come later (9999-12-31, say) is one that never comes."""


class History(NamedTuple):
    """The rows of a replay, in order of time."""

    frame: pl.DataFrame
    requests: Requests
    labels: LabelSchedule
    never: int = 0
    """Labels that are left out, since they are said to be known a century after the last row."""


class Columns(NamedTuple):
    """What the frame's columns are called."""

    time: str
    key: str
    label: str
    label_time: str
    features: tuple[str, ...]


class Rows(NamedTuple):
    """A history's rows as they are sent: made once, since a slice of a frame for each request costs more than the request."""

    keys: list[str]
    labels: list[Any]
    features: pl.DataFrame

    @classmethod
    def of(cls, history: History, columns: Columns, task: str) -> Self:
        values = history.frame[columns.label].to_list()
        labels = values if task == "regression" else [class_name(value) for value in values]
        return cls(history.frame[columns.key].cast(pl.String).to_list(), labels, history.frame.select(columns.features))


Work = Callable[[Engine, Job], Job]
"""Works on a job until it is finished."""
EachDay = Callable[[datetime, Sent, Sent], None]
"""Told when a day is over, with what was sent before it and what by now."""


def refuse_unanswerable(spec: ProjectSpec, replay: ReplaySpec) -> None:
    """Raises UserError for a replay that could not begin: nobody is there to agree to its first release."""
    if spec.release.approval and not replay.approve:
        raise UserError(
            "release.approval wants a person's yes before the first version answers anybody, and replay.approve: false means that nobody gives it",
            expected="replay.approve: true (what is asked is answered with yes), or release.approval: false", next_step="change either in flyball.yaml",
        )  # fmt: skip


def plan_history(frame: pl.DataFrame, columns: Columns, replay: ReplaySpec) -> History:
    """When what is sent. Raises DataError when there is nothing to replay, or keys repeat: a prediction is told by the key of its row."""
    if frame.is_empty():
        raise DataError(
            f"no rows between {replay.start.isoformat()} and {replay.until.isoformat() if replay.until else 'the end of the data'}",
            next_step="see `replay:` in flyball.yaml",
        )
    refuse_repeated(frame, columns.key)
    generator = np.random.default_rng(replay.seed)
    # A row may have a time at which its outcome was to be known, and none: there is nothing to send of it, then or ever.
    said = pl.when(pl.col(columns.label).is_not_null()).then(pl.col(columns.label_time))
    known = frame.select(pl.when(said <= frame[columns.time][-1] + LONGEST).then(said)).to_series()
    labels = schedule_labels(known, replay, generator)
    never = known.null_count() - frame.select(said).to_series().null_count()
    return History(frame, schedule_requests(frame[columns.time]), labels, never)


class Replay:
    """Lives through a history; the driver of the clock, never of the decisions."""

    def __init__(
        self, engine: Engine, traffic: Traffic, columns: Columns, journal: Journal, position: Position, *, approve: bool = True
    ) -> None:
        """`position`: where to begin, or to go on; the engine's clock stands at its time. `approve`: what a person is asked is answered with yes."""
        self._engine = engine
        self._approve = approve
        self._world = engine.world
        self._traffic = traffic
        self._columns = columns
        self._journal = journal
        self.position = position
        self._sent = position.sent
        self._sent_before_today = position.sent_before_today
        self._failures_in_a_row = 0

    @property
    def sent(self) -> Sent:
        return self._sent

    def first_version(self, work: Work) -> None:
        """Train, gate, register and release the first version on what is known now. Raises TrainingError when the gates refuse it."""
        job = jobs.request(self._world, STARTER, key="replay:first")
        finished = work(self._engine, job)
        if finished.status is not JobStatus.REGISTERED:
            raise TrainingError(
                f"the first version was not registered: {finished.error}", next_step="run `flyball run` and mend what it says"
            )
        self._engine.tick()
        if self._approve and self._engine.releases.champion() is None and self._answer():
            self._engine.tick()
        if self._engine.releases.champion() is None:
            raise TrainingError(f"the first version is not served: {self._engine.switch.words}", next_step="see .flyball/logs")
        self._keep(Stage.SENDING, 0, 0)

    def live(self, history: History, work: Work, each_day: EachDay) -> None:
        """Every request at its time, every label at its time, a tick every hour. Once the last request is sent nothing is decided any more and no window is
        judged: the silence after it is the history's end and no outage, and what was done about it could help nobody. Labels go on until the last has come.

        Raises StoreUnavailable and GatewayUnreachable before an hour of which something would be missing is noted as sent: it is sent again.
        """
        rows, sends, labels = Rows.of(history, self._columns, self._world.spec.task), history.requests, history.labels
        last_us = int(max(sends.at_us[-1], labels.send_us[-1])) if len(labels.send_us) else int(sends.at_us[-1])
        lost = self._lost()
        while self.position.stage is not Stage.LIVED:
            if self.position.stage is Stage.SENDING:
                if self.position.request == len(sends.at_us):
                    self._pass_silence(labels, each_day)
                self._send_hour(rows, history, lost)
            if self.position.request < len(sends.at_us):
                self._tick(work)
            else:
                self._engine.observation.ingest()
            now = self._world.now()
            over = micros(now) > last_us and self.position.label >= len(labels.send_us)
            if now.date() != (now - TICK).date():
                self._end_day(now, each_day)
            self._keep(Stage.LIVED if over else Stage.SENDING, self.position.request, self.position.label)
        # A process that takes up one that was lived already has looked at nothing of it.
        self._engine.observation.ingest()

    def _send_hour(self, rows: Rows, history: History, lost: int) -> None:
        sends, labels, until = history.requests, history.labels, self._world.now() + TICK
        stop = int(np.searchsorted(sends.at_us, micros(until), side="left"))
        label_stop = int(np.searchsorted(labels.send_us, micros(until), side="left"))
        for number in range(self.position.request, stop):
            self._predict(rows, sends, number)
        self._label(rows, labels, (self.position.label, label_stop), until)
        if (stop, label_stop) != (self.position.request, self.position.label) and (more := self._lost() - lost):
            raise StoreUnavailable(
                f"the gateway could not keep {more} records of what it answered or was told", next_step=GOES_ON
            )
        self._world.ports.clock.sleep(TICK)
        self._keep(Stage.TICKING, stop, label_stop)

    def _lost(self) -> int:
        """Records that were answered and not captured, since the gateway was started."""
        self._world.ports.gateways.observe()
        return self._world.ports.capture.lost()

    def _pass_silence(self, labels: LabelSchedule, each_day: EachDay) -> None:
        """After the last request, on to the hour of the next label, which may be years off. The end of a day in which something was sent is told before."""
        if self.position.label == len(labels.send_us):
            return
        now, spoke = self._world.now(), self._sent != self._sent_before_today
        hours = (int(labels.send_us[self.position.label]) - micros(now)) // micros_of(TICK)
        if spoke:
            midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
            hours = min(hours, -((now - midnight) // TICK))
        if hours < 1:
            return
        self._world.ports.clock.sleep(hours * TICK)
        if spoke and self._world.now().date() != now.date():
            self._end_day(self._world.now(), each_day)
        self._keep(Stage.SENDING, self.position.request, self.position.label)

    def _end_day(self, now: datetime, each_day: EachDay) -> None:
        # Before it is noted: told twice after a kill, rather than not at all.
        each_day(now, self._sent_before_today, self._sent)
        self._sent_before_today = self._sent

    def _keep(self, stage: Stage, request: int, label: int) -> None:
        self.position = Position(
            stage=stage, at=self._world.now(), request=request, label=label, sent=self._sent, sent_before_today=self._sent_before_today,
            cursor=self._engine.observation.cursor,
        )  # fmt: skip
        self._journal.keep(self.position)

    def _tick(self, work: Work) -> None:
        """One turn of the loop; simulated time stands still while a training runs. What production would survive is survived: it is noted by the tick that
        meets it, and the next one looks anew."""
        if self._approve:
            self._answer()
        self._turn()
        while active := jobs.active(self._world):
            worked = _worked(work, self._engine, active[0])
            self._turn()
            if not worked:
                return

    def _turn(self) -> None:
        # A ledger, a registry or a disk that is away now is not to be lived through: a replay that ends here goes on from here.
        tick_once(self._engine, passing=(StoreUnavailable, TrackingFailed))

    def _answer(self) -> int:
        """Yes to all that a person is asked; how much that was."""
        asked = [each for each in self._world.all("approval", Approval) if each.answer is None]
        for each in asked:
            who = PERSON if each.requested_by == "release" else STARTER
            commands.answer(self._world, each.id, yes=True, actor=who, reason="replay.approve")
        return len(asked)

    def _predict(self, rows: Rows, requests: Requests, number: int) -> None:
        start, stop = int(requests.start[number]), int(requests.stop[number])
        keys = rows.keys[start:stop]
        features = rows.features.slice(start, stop - start).to_dicts()
        refused = self._traffic.predict(self._world.model, features, ids=keys, keys=keys, at=moment(int(requests.at_us[number])))
        good = refused is not None
        # A model that a policy has stopped refuses: that is what is to be seen, and no fault of the gateway.
        self._failures_in_a_row = 0 if good or stop_of(self._world) is not None else self._failures_in_a_row + 1
        if self._failures_in_a_row >= HOPELESS:
            raise GatewayUnreachable(f"{HOPELESS} requests in a row failed: {self._traffic.last_error}", next_step=GOES_ON)
        if refused and not self._sent.refused_rows:
            self._world.say("bad", f"The first rows that the model does not take: {self._traffic.last_error}")
        self._sent = msgspec.structs.replace(
            self._sent,
            requests=self._sent.requests + 1,
            predictions=self._sent.predictions + (len(keys) - refused if refused is not None else 0),
            refused_rows=self._sent.refused_rows + (refused or 0),
            failed_requests=self._sent.failed_requests + (not good),
        )

    def _label(self, rows: Rows, schedule: LabelSchedule, span: tuple[int, int], at: datetime) -> None:
        for start in range(span[0], span[1], MOST_LABELS):
            stop = min(start + MOST_LABELS, span[1])
            which = schedule.row[start:stop].tolist()
            refused = self._traffic.label(
                self._world.model,
                [rows.keys[row] for row in which],
                [rows.labels[row] for row in which],
                [moment(us) for us in schedule.observed_us[start:stop].tolist()],
                at=at,
            )
            self._sent = msgspec.structs.replace(
                self._sent,
                label_requests=self._sent.label_requests + 1,
                labels=self._sent.labels + (stop - start - refused if refused is not None else 0),
                failed_label_requests=self._sent.failed_label_requests + (refused is None),
                refused_labels=self._sent.refused_labels + (refused or 0),
            )


def _worked(work: Work, engine: Engine, job: Job) -> bool:
    """Whether it could be worked on to its end. What goes wrong goes wrong in the next tick as well, which notes it."""
    try:
        work(engine, job)
    except (Fenced, Outdated, StoreUnavailable, TrackingFailed):
        raise
    except Exception:  # noqa: BLE001 - met again by the tick that follows, where it becomes a recorded event
        return False
    return True

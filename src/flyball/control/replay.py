"""The loop over history on a simulated clock: real requests to a real gateway, labels as untidy as in life, and the same engine as in production."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from flyball.control import jobs
from flyball.control.engine import Engine
from flyball.control.ports import Traffic
from flyball.control.replay_schedule import LabelSchedule, Requests, schedule_labels, schedule_requests
from flyball.control.world import micros, moment
from flyball.errors import DataError, GatewayUnreachable, TrainingError
from flyball.pipelines.labels import class_name
from flyball.records.jobs import JobStatus
from flyball.spec import ReplaySpec

TICK = timedelta(hours=1)
"""Of simulated time. Requests of one hour share a tick; shorter ones would only look more often at the same."""


HOPELESS = 20
"""Failed requests in a row after which a replay is not gone on with: its figures would be about nothing."""


class Sent(NamedTuple):
    """What the client counted, apart from what the gateway says."""

    requests: int = 0
    predictions: int = 0
    failed_requests: int = 0
    label_requests: int = 0
    labels: int = 0
    failed_label_requests: int = 0


class History(NamedTuple):
    """The rows of a replay, in order of time."""

    frame: pl.DataFrame
    requests: Requests
    labels: LabelSchedule


class Columns(NamedTuple):
    """What the frame's columns are called."""

    time: str
    key: str
    label: str
    label_time: str
    features: tuple[str, ...]


def plan_history(frame: pl.DataFrame, columns: Columns, replay: ReplaySpec) -> History:
    """When what is sent. Raises DataError when there is nothing to replay."""
    if frame.is_empty():
        raise DataError(
            f"no rows between {replay.start.isoformat()} and {replay.until.isoformat() if replay.until else 'the end of the data'}",
            next_step="see `replay:` in flyball.yaml",
        )
    generator = np.random.default_rng(replay.seed)
    return History(frame, schedule_requests(frame[columns.time]), schedule_labels(frame[columns.label_time], replay, generator))


class Replay:
    """Lives through a history; the driver of the clock, never of the decisions."""

    def __init__(self, engine: Engine, traffic: Traffic, columns: Columns, pause: Callable[[float], None]) -> None:
        self._engine = engine
        self._world = engine.world
        self._traffic = traffic
        self._columns = columns
        self._pause = pause
        self.sent = Sent()
        self._failures_in_a_row = 0

    def first_version(self) -> None:
        """Train, gate, register and release the first version on what is known now. Raises TrainingError when the gates refuse it."""
        job = jobs.request(self._world, "user:replay", key="replay:first")
        finished = self._engine.run_job(job, self._pause)
        if finished.status is not JobStatus.REGISTERED:
            raise TrainingError(
                f"the first version was not registered: {finished.error}", next_step="run `flyball run` and mend what it says"
            )
        self._engine.tick()
        if self._engine.releases.champion() is None:
            raise TrainingError(f"the first version is not served: {self._engine.switch.words}", next_step="see .flyball/logs")

    def live(self, history: History, each_day: Callable[[datetime], None]) -> None:
        """Every request at its time, every label at its time, a tick every hour; afterwards on until the last label has come."""
        request, label = 0, 0
        sends, labels = history.requests, history.labels
        last_us = int(max(sends.at_us[-1], labels.send_us[-1])) if len(labels.send_us) else int(sends.at_us[-1])
        day = self._world.now().date()
        while True:
            until = self._world.now() + TICK
            until_us = micros(until)
            stop = int(np.searchsorted(sends.at_us, until_us, side="left"))
            label_stop = int(np.searchsorted(labels.send_us, until_us, side="left"))
            for number in range(request, stop):
                self._predict(history, number)
            self._label(history, label, label_stop, until)
            request, label = stop, label_stop
            self._world.ports.clock.sleep(TICK)
            self._tick()
            if self._world.now().date() != day:
                each_day(self._world.now())
                day = self._world.now().date()
            if until_us > last_us and label >= len(labels.send_us):
                return

    def _tick(self) -> None:
        """One turn of the loop; simulated time stands still while a training runs."""
        self._engine.tick()
        while active := jobs.active(self._world):
            self._engine.run_job(active[0], self._pause)
            self._engine.tick()

    def _predict(self, history: History, number: int) -> None:
        requests, columns = history.requests, self._columns
        rows = history.frame[int(requests.start[number]) : int(requests.stop[number])]
        keys = rows[columns.key].cast(pl.String).to_list()
        features: list[dict[str, Any]] = rows.select(columns.features).to_dicts()
        good = self._traffic.predict(self._world.model, features, ids=keys, keys=keys, at=moment(int(requests.at_us[number])))
        self._failures_in_a_row = 0 if good else self._failures_in_a_row + 1
        if self._failures_in_a_row >= HOPELESS:
            raise GatewayUnreachable(
                f"{HOPELESS} requests in a row failed: {self._traffic.last_error}", next_step="look into .flyball/replay/logs"
            )
        self.sent = self.sent._replace(
            requests=self.sent.requests + 1,
            predictions=self.sent.predictions + (len(keys) if good else 0),
            failed_requests=self.sent.failed_requests + (not good),
        )

    def _label(self, history: History, start: int, stop: int, at: datetime) -> None:
        if start == stop:
            return
        schedule, columns = history.labels, self._columns
        rows = history.frame[schedule.row[start:stop].tolist()]
        good = self._traffic.label(
            self._world.model,
            rows[columns.key].cast(pl.String).to_list(),
            [value if self._world.spec.task == "regression" else class_name(value) for value in rows[columns.label].to_list()],
            [moment(int(us)) for us in schedule.observed_us[start:stop]],
            at=at,
        )
        self.sent = self.sent._replace(
            label_requests=self.sent.label_requests + 1,
            labels=self.sent.labels + (stop - start if good else 0),
            failed_label_requests=self.sent.failed_label_requests + (not good),
        )

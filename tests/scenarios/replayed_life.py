"""Histories lived through by the whole engine in memory, with traffic that goes nowhere else."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flyball.control import replay_result
from flyball.control.engine import Engine
from flyball.control.replay import Columns, History, Replay, plan_history, refuse_unanswerable
from flyball.control.replay_position import Position, Sent, Stage
from flyball.control.replay_report import ReplayReport
from flyball.control.world import World, micros
from flyball.errors import GatewayUnreachable
from flyball.records.captured import Captured, LabelBatch
from flyball.records.decisions import Approval
from flyball.records.jobs import Job
from flyball.spec import ReplaySpec

from engine_models import START, truth  # isort: skip
from engine_world import AT_ONCE, HOUR, Project, spec_of  # isort: skip

COLUMNS = Columns("at", "id", "y", "known", ("x",))
AGED = {"name": "aged", "when": "champion.age_days >= 1", "do": "retrain", "cooldown": "1d"}


class InMemory:
    """Traffic that goes where the table in memory says."""

    last_error = "rows[0].x: null"

    def __init__(self, project: Project) -> None:
        self.project = project
        self.asked: list[datetime] = []
        self.labelled: list[datetime] = []
        self.largest_labels = 0
        self.away: Callable[[datetime], bool] = lambda _now: False
        """At a time: whether nobody answers."""
        self.loses: Callable[[datetime], bool] = lambda _now: False
        """At a time: whether the gateway answers and cannot keep it."""

    def predict(
        self, model: str, rows: Sequence[Mapping[str, Any]], *, ids: Sequence[str], keys: Sequence[str], at: datetime
    ) -> int | None:
        table = self.project.gateways.served[min(self.project.gateways.served)]
        assert table is not None
        self._refuse_where_away()
        self.asked.append(self.project.clock.now())
        good = [place for place, row in enumerate(rows) if row["x"] is not None]
        if good:
            answers = self.project._answers(table, [ids[place] for place in good], np.array([rows[place]["x"] for place in good]))
            self._keep(answers)
        return len(rows) - len(good)

    def label(
        self, model: str, ids: Sequence[str], values: Sequence[Any], observed: Sequence[datetime], *, at: datetime
    ) -> int | None:
        self._refuse_where_away()
        self.labelled.append(self.project.clock.now())
        self.largest_labels = max(self.largest_labels, len(ids))
        good = [place for place, value in enumerate(values) if value in ("yes", "no")]
        batch = LabelBatch(
            at_us=micros(at), model=model, ids=[ids[place] for place in good], values=[values[place] for place in good],
            observed_us=[micros(observed[place]) for place in good],
        )  # fmt: skip
        self._keep([batch])
        return len(ids) - len(good)

    def _refuse_where_away(self) -> None:
        if self.away(self.project.clock.now()):
            raise GatewayUnreachable("nobody answers")

    def _keep(self, records: list[Captured]) -> None:
        if self.loses(self.project.clock.now()):
            self.project.capture.dropped += len(records)
        else:
            self.project.capture.hand_over(records)


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.positions: list[Position] = []

    def keep(self, position: Position) -> None:
        self.positions.append(position)


class Lived:
    """One replay over rows every half hour."""

    def __init__(
        self,
        root: Path,
        *,
        days: int = 4,
        approve: bool = True,
        label_after: timedelta = HOUR,
        timezone: str = "UTC",
        **more: Any,
    ) -> None:
        self.project = Project(root, spec_of(**{"release": AT_ONCE, **more}))
        self.plan = ReplaySpec.model_validate({"train_until": START, "approve": approve, "timezone": timezone})
        self.history = history_of(days, label_after)
        self.traffic, self.journal = InMemory(self.project), Kept()
        self.days: list[tuple[datetime, Sent]] = []
        self.replay = Replay(
            self.project.engine, self.traffic, COLUMNS, self.journal, Position(at=START), approve=self.plan.approve
        )  # fmt: skip

    def live(self) -> "Lived":
        refuse_unanswerable(self.project.spec, self.plan)
        self.replay.first_version(work)
        self.replay.live(self.history, work, self.day)
        return self

    def day(self, now: datetime, before: Sent, sent: Sent) -> None:
        """Of a day that is over, with what was sent in all."""
        self.days.append((now, sent))

    def again(self) -> None:
        """Another process takes it up where it stands, and lives it to its end."""
        position, project = self.journal.positions[-1], self.project
        if position.stage is Stage.SENDING:
            for name, records in project.capture._segments.items():
                del records[position.cursor.get(name, 0) :]
        project.engine = Engine(World(project.spec, project._place, project._ports, project._say), up_since=START)
        project.engine.start("again")
        self.replay = Replay(project.engine, self.traffic, COLUMNS, self.journal, position, approve=self.plan.approve)
        self.replay.live(self.history, work, self.day)

    def change(self, **columns: pl.Expr) -> None:
        """Other rows are sent than those that were planned."""
        self.history = self.history._replace(frame=self.history.frame.with_columns(**columns))

    def report(self) -> ReplayReport:
        lived = replay_result.Lived(self.project.engine, self.history, COLUMNS, self.replay.sent)
        return replay_result.report_of(lived, self.plan, self.project.scorer)

    def retrainings(self) -> list[Job]:
        return list(replay_result.retrainings_of(self.project.door))

    def approvals(self) -> list[Approval]:
        return list(self.project.approvals())


def work(engine: Engine, job: Job) -> Job:
    return engine.run_job(job, lambda _seconds: None)


def history_of(days: int, label_after: timedelta) -> History:
    draw, n = np.random.default_rng(5), days * 48
    x = draw.uniform(-2, 2, n)
    at = [START + timedelta(minutes=30 * place + 5) for place in range(n)]
    y = ["yes" if each else "no" for each in draw.uniform(size=n) < truth(x)]
    frame = pl.DataFrame(
        {"at": at, "id": [f"r{place}" for place in range(n)], "x": x, "y": y, "known": [each + label_after for each in at]}
    )
    plan = ReplaySpec.model_validate({"train_until": START})
    return plan_history(frame.with_columns(pl.col("at", "known").cast(pl.Datetime("us", "UTC"))), COLUMNS, plan)

"""A history lived through by the whole engine in memory: what a replay adds to it, when it ends, and what it survives."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from engine_models import START, truth
from engine_world import AT_ONCE, DAY, Project, spec_of

from flyball.control import replay_result
from flyball.control.engine import Engine
from flyball.control.loop import Trouble
from flyball.control.replay import PERSON, Columns, History, Replay, plan_history, refuse_unanswerable
from flyball.control.replay_position import Position, Sent, Stage
from flyball.control.world import micros
from flyball.errors import ModelFailed, StoreUnavailable, UserError
from flyball.records.captured import LabelBatch
from flyball.records.decisions import Approval
from flyball.records.jobs import Job
from flyball.spec import ReplaySpec

COLUMNS = Columns("at", "id", "y", "known", ("x",))
AGED = {"name": "aged", "when": "champion.age_days >= 1", "do": "retrain", "cooldown": "1d"}


class InMemory:
    """Traffic that goes where the table in memory says."""

    last_error = ""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.asked: list[datetime] = []
        self.largest_labels = 0

    def predict(
        self, model: str, rows: Sequence[Mapping[str, Any]], *, ids: Sequence[str], keys: Sequence[str], at: datetime
    ) -> bool:
        table = self.project.gateways.served[min(self.project.gateways.served)]
        assert table is not None
        self.asked.append(self.project.clock.now())
        self.project.capture.hand_over(self.project._answers(table, list(ids), np.array([row["x"] for row in rows])))
        return True

    def label(
        self, model: str, ids: Sequence[str], values: Sequence[Any], observed: Sequence[datetime], *, at: datetime
    ) -> int | None:
        self.largest_labels = max(self.largest_labels, len(ids))
        good = [place for place, value in enumerate(values) if value in ("yes", "no")]
        batch = LabelBatch(
            at_us=micros(at), model=model, ids=[ids[place] for place in good], values=[values[place] for place in good],
            observed_us=[micros(observed[place]) for place in good],
        )  # fmt: skip
        self.project.capture.hand_over([batch])
        return len(ids) - len(good)


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.positions: list[Position] = []

    def keep(self, position: Position) -> None:
        self.positions.append(position)


class Lived:
    """One replay over rows every half hour."""

    def __init__(
        self, root: Path, *, days: int = 4, approve: bool = True, label_after: timedelta = timedelta(hours=1), **more: Any
    ) -> None:
        self.project = Project(root, spec_of(**{"release": AT_ONCE, **more}))
        self.plan = ReplaySpec.model_validate({"train_until": START, "approve": approve})
        self.history = history_of(days, label_after)
        self.traffic, self.journal = InMemory(self.project), Kept()
        self.replay = Replay(
            self.project.engine, self.traffic, COLUMNS, self.journal, Position(at=START), approve=self.plan.approve
        )  # fmt: skip

    def live(self) -> "Lived":
        refuse_unanswerable(self.project.spec, self.plan)
        self.replay.first_version(work)
        self.replay.live(self.history, work, self.day)
        return self

    def day(self, now: datetime, before: Sent, sent: Sent) -> None:
        """Nobody listens."""

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


def test_what_a_person_is_asked_is_answered_an_hour_later_and_recorded(tmp_path: Path) -> None:
    lived = Lived(tmp_path, release={**AT_ONCE, "approval": True}, policies=[{**AGED, "needs": "approval"}]).live()
    assert lived.project.champion() is not None
    assert lived.retrainings(), "the policy was agreed to"
    answered = lived.approvals()
    assert {(each.answer, each.answered_by, each.reason) for each in answered} == {("approved", PERSON, "replay.approve")}
    assert all(each.answered_at - each.requested_at == timedelta(hours=1) for each in answered[1:])
    assert len(lived.project.ledger.events(kinds=("approval.answered",))) == len(answered)
    assert replay_result.open_questions(lived.project.door) == ()
    lived.project.holds()


def test_what_nobody_answers_stays_open_and_is_told(tmp_path: Path) -> None:
    lived = Lived(tmp_path, approve=False, policies=[{**AGED, "needs": "approval"}]).live()
    assert lived.retrainings() == []
    told = replay_result.open_questions(lived.project.door)
    assert len(told) == len(lived.approvals()) >= 1
    assert "ask retrain model:shop" in told[0]


def test_a_replay_whose_first_release_nobody_would_agree_to_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"release\.approval wants a person's yes before .*replay\.approve: true"):
        Lived(tmp_path, approve=False, release={**AT_ONCE, "approval": True}).live()


def test_after_the_last_request_only_labels_come(tmp_path: Path) -> None:
    """For ten days: an age policy had retrained in each of them, and windows in which nobody asked were found to be silent."""
    lived = Lived(
        tmp_path, policies=[AGED], label_after=10 * DAY, monitor={"min_rows": 20, "mature_share": 0.99, "window": "1d"}
    ).live()
    project, last = lived.project, max(lived.traffic.asked)
    assert project.clock.now() >= START + 13 * DAY
    assert 1 <= len(lived.retrainings()) <= 4
    assert max(job.requested_at for job in lived.retrainings()) <= last
    assert all(event.at <= last for event in project.ledger.events(kinds=("decision.made", "finding.raised")))
    assert project.engine.observation.join.counts().labels_joined == 4 * 48
    assert lived.journal.positions[-1].stage is Stage.LIVED
    project.holds()


def test_labels_that_can_be_none_are_counted_and_take_no_other_with_them(tmp_path: Path) -> None:
    lived = Lived(tmp_path, days=1)
    frame = lived.history.frame.with_columns(
        y=pl.when(pl.int_range(pl.len()) % 8 == 0).then(pl.lit("maybe")).otherwise(pl.col("y"))
    )
    lived.history = lived.history._replace(frame=frame)
    lived.live()
    assert (lived.replay.sent.refused_labels, lived.replay.sent.labels, lived.replay.sent.failed_label_requests) == (6, 42, 0)


def test_labels_of_an_hour_go_out_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flyball.control.replay.MOST_LABELS", 5)
    lived = Lived(tmp_path, days=1)
    labels = lived.history.labels
    lived.history = lived.history._replace(labels=labels._replace(send_us=np.full_like(labels.send_us, labels.send_us.max())))
    lived.live()
    assert lived.traffic.largest_labels == 5
    assert (lived.replay.sent.label_requests, lived.replay.sent.labels) == (10, 48)


def test_a_look_that_fails_is_survived_as_in_production_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lived, failing = Lived(tmp_path, days=2), [ModelFailed("the registry is busy"), KeyError("x")]
    project = lived.project
    look = project.engine.effects.look

    def fails() -> None:
        if project.clock.now() > START + DAY and failing:
            raise failing.pop(0)
        look()

    monkeypatch.setattr(project.engine.effects, "look", fails)
    lived.live()
    assert failing == []
    assert project.door.get("trouble", "shop", Trouble) is None
    told = replay_result.failed_ticks(project.door)
    assert ["the registry is busy" in told[0], "KeyError" in told[1], len(told)] == [True, True, 2]


def test_a_job_that_cannot_be_worked_on_now_is_worked_on_an_hour_later(tmp_path: Path) -> None:
    lived, failing = Lived(tmp_path, policies=[AGED]), [ModelFailed("not now")]

    def sometimes(engine: Engine, job: Job) -> Job:
        if failing:
            raise failing.pop()
        return work(engine, job)

    lived.replay.first_version(work)
    lived.replay.live(lived.history, sometimes, lived.day)
    assert failing == []
    assert lived.retrainings()
    lived.project.holds()


def test_a_ledger_that_is_away_ends_it_for_it_goes_on_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lived = Lived(tmp_path, days=1)
    lived.replay.first_version(work)

    def away() -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(lived.project.engine.effects, "look", away)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        lived.replay.live(lived.history, work, lived.day)

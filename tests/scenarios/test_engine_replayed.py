"""A history lived through by the whole engine in memory: what a replay adds to it, when it ends, and what it survives."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from engine_models import START
from engine_world import AT_ONCE, DAY
from replayed_life import AGED, Lived, work

from flyball.control import replay_result
from flyball.control.engine import Engine
from flyball.control.loop import Trouble
from flyball.control.replay import PERSON, STARTER
from flyball.control.replay_position import Stage
from flyball.errors import ModelFailed, StoreUnavailable, UserError
from flyball.records.jobs import Job


@pytest.mark.parametrize("approval", [True, "another"])
def test_what_a_person_is_asked_is_answered_an_hour_later_and_recorded(tmp_path: Path, approval: bool | str) -> None:
    lived = Lived(tmp_path, release={**AT_ONCE, "approval": approval}, policies=[{**AGED, "needs": "approval"}]).live()
    assert lived.project.champion() is not None
    assert lived.retrainings(), "the policy was agreed to"
    answered = lived.approvals()
    assert {(each.answer, each.reason) for each in answered} == {("approved", "replay.approve")}
    assert {(each.requested_by, each.answered_by) for each in answered} == {("release", PERSON), ("autopilot", STARTER)}
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
    lived.change(y=pl.when(pl.int_range(pl.len()) % 8 == 0).then(pl.lit("maybe")).otherwise(pl.col("y")))
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

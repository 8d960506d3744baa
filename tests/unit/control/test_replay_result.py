"""What a replay's report counts, from its own ledger."""

from datetime import UTC, datetime, timedelta

import pytest
from ledger_world import world_at

from flyball.autopilot.entrants import Strategy
from flyball.control.ports import JobReport
from flyball.control.replay_result import first_unit, job_seconds, retrainings_of, step_seconds
from flyball.control.world import World, draft, put
from flyball.records import codec
from flyball.records.jobs import Job, JobStatus, Progress, StepResult
from flyball.records.tournaments import TournamentOrder
from flyball.records.unit import Unit

AT = datetime(2026, 1, 9, tzinfo=UTC)
SPEC = {
    "project": "shop", "model": "shop", "task": "binary",
    "data": {"source": {"files": "rows.parquet"}, "time": "at", "key": "id", "label": "late", "label_delay": "1h", "features": {"hour": "number"}},
    "train": {"entrypoint": "pipeline:train"},
}  # fmt: skip


@pytest.fixture
def world() -> World:
    return world_at(AT, SPEC)


def job(world: World, number: int, cause: str, *strategies: Strategy) -> Job:
    order = TournamentOrder(champion="u1", strategies=tuple(each.value for each in strategies))
    made = Job(
        id=f"j-{number:04d}", model="shop", status=JobStatus.REGISTERED, requested_at=AT + timedelta(days=number), as_of=AT, cause=cause,
        overrides={"tournament": codec.plain(order)} if strategies else {},
    )  # fmt: skip
    world.record(draft(AT, "job.requested", f"job:{made.id}", {}, (put("job", made.id, made),)))
    return made


def test_a_retraining_is_a_job_of_the_loop_in_which_a_model_may_be_trained(world: World) -> None:
    job(world, 1, "user:replay")
    plain = job(world, 2, "d-000001")
    job(world, 3, "d-000002", Strategy.RECALIBRATE, Strategy.EARLIER)
    contest = job(world, 4, "d-000003", Strategy.RECALIBRATE, Strategy.RECENT)
    assert [each.id for each in retrainings_of(world)] == [plain.id, contest.id]


def result(step: str, key: str, seconds: float, **values: object) -> StepResult:
    return StepResult(step=step, key=key, values=values, seconds=seconds)


def test_each_training_of_a_tournament_counts_once_wherever_it_was_done() -> None:
    trained = [{"entrant": "all", "key": "a", "seconds": 60.0}, {"entrant": "recent:9d", "key": "b", "seconds": 40.0}]
    winner = [result("train", "a", 60.0), result("evaluate", "e", 5.0), result("refit", "r", 70.0), result("package", "p", 10.0)]
    there = result("tournament", "t", 2.0, trained=trained, waited_seconds=0.5)
    here = result("tournament", "t", 101.5, trained=trained, waited_seconds=100.0)
    assert step_seconds([result("snapshot", "s", 1.0), there, *winner]) == pytest.approx(1.0 + 1.5 + 100.0 + 85.0)
    assert step_seconds([result("snapshot", "s", 1.0), here, *winner]) == pytest.approx(1.0 + 1.5 + 100.0 + 85.0)
    assert step_seconds([there]) == pytest.approx(101.5), "nobody won, and the trainings were paid for"
    assert step_seconds(winner) == pytest.approx(145.0), "a plain run: no tournament"


def test_a_run_that_failed_cost_what_it_had_worked_by_then() -> None:
    told = (Progress(step="train", status="started"), Progress(step="train", status="failed", seconds=90.0))
    assert job_seconds(JobReport("failed", (), told, "no")) == pytest.approx(90.0)
    assert job_seconds(JobReport("done", (result("train", "a", 60.0),), told[:1], "")) == pytest.approx(60.0)


def test_the_first_version_is_that_of_this_ledger(world: World) -> None:
    for version in (12, 7, 9):
        unit = Unit(id=f"u{version}", model="shop", version=version, manifest_digest="d", threshold=0.5, policy_digest="p")
        world.record(draft(AT, "unit.registered", f"unit:{unit.id}", {}, (put("unit", unit.id, unit),)))
    assert first_unit(world).version == 7

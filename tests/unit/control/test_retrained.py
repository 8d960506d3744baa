"""What policies that go by age are told: of the newest row that made the champion, and of trainings, whoever asked for them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from ledger_world import world_at

from flyball.control.retrained import data_until, retrainings
from flyball.control.world import World, draft, put
from flyball.records import codec
from flyball.records.jobs import Job, JobStatus
from flyball.records.maps import ScoreMap
from flyball.records.tournaments import Standings, Tournament, TournamentOrder
from flyball.records.unit import Format, Lineage, SnapshotRef, Unit, Version

AT = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
UNIT = Unit(id="u1", model="shop", version=1, manifest_digest="m", threshold=0.5, policy_digest="p")
SNAPSHOT = SnapshotRef(table="shop", version=0, content_digest="c", schema_digest="s", rows=9, since=None, until=AT)
LINEAGE = Lineage(
    run_key="k", mlflow_run="", git_commit=None, git_dirty=False, code_digest="", environment_digest="", snapshot=SNAPSHOT, parameters={}, seed=0,
)  # fmt: skip
VERSION = Version(
    model="shop", number=1, manifest_digest="m", format=Format.ONNX, created_at=AT, lineage=LINEAGE, metrics={}
)  # fmt: skip
MAP = ScoreMap(method="platt", scores=(0.0, 1.0), answers=(0.1, 0.9), rows=100, until=AT + 9 * DAY)


@pytest.fixture
def world() -> World:
    return world_at(AT + 30 * DAY)


def won(world: World, winner: str, unit: str, day: int) -> None:
    standings = Standings(champion="u0", champion_loss=0.2, rows=9, since=AT, until=AT + day * DAY, alpha=0.1, entrants=())
    over = Tournament(
        job=f"j-{day:04d}", decision="d", cause="d", model="shop", at=AT, standings=standings, winner=winner, unit=unit, words=""
    )
    world.record(draft(AT, "tournament.ended", f"job:{over.job}", {}, (put("tournament", over.job, over),)))


def test_the_data_of_a_champion_are_as_old_as_its_newest_part(world: World) -> None:
    assert data_until(world, UNIT, None) is None
    assert data_until(world, UNIT, VERSION) == AT
    mapped = msgspec.structs.replace(UNIT, calibration=MAP)
    assert data_until(world, mapped, VERSION) == data_until(world, mapped, None) == AT + 9 * DAY
    assert data_until(world, msgspec.structs.replace(UNIT, calibration=msgspec.structs.replace(MAP, until=None)), VERSION) == AT
    won(world, "rethreshold", "u1", 12)
    won(world, "rethreshold", "u2", 20)
    assert data_until(world, UNIT, VERSION) == AT + 12 * DAY
    won(world, "earlier:u1", "u1", 15)
    assert data_until(world, UNIT, VERSION) == AT + 12 * DAY, "it is back, and learned nothing since"


def test_whoever_asks_for_a_training_after_the_first_version_retrains(world: World) -> None:
    def job(number: int, cause: str, status: JobStatus = JobStatus.REGISTERED, *strategies: str) -> datetime:
        order = {"tournament": codec.plain(TournamentOrder(champion="u1", strategies=strategies))} if strategies else {}
        made = Job(
            id=f"j-{number:04d}",
            model="shop",
            status=status,
            requested_at=AT + number * DAY,
            as_of=AT,
            cause=cause,
            overrides=order,
        )
        world.record(draft(AT, "job.requested", f"job:{made.id}", {}, (put("job", made.id, made),)))
        return made.requested_at

    job(1, "user:me", JobStatus.FAILED)
    assert retrainings(world) == ()
    job(2, "user:me")
    assert retrainings(world) == ()
    mine = [job(3, "user:me"), job(4, "d-000001"), job(5, "user:me", JobStatus.REFUSED), job(6, "d-000002", JobStatus.RUNNING)]
    job(7, "d-000003", JobStatus.REGISTERED, "recalibrate")
    last = job(10_000, "user:me", JobStatus.REQUESTED, "recalibrate", "all")
    assert retrainings(world) == (*mine, last)


def test_a_run_that_comes_to_a_version_that_is_there_trains_nobody_anew(world: World) -> None:
    def registered(number: int, version: int, **more: object) -> datetime:
        at = AT + number * DAY
        made = Job(
            id=f"j-{number:04d}", model="shop", status=JobStatus.REGISTERED, requested_at=at, as_of=AT, cause="user:me", version=version, **more
        )  # fmt: skip
        world.record(draft(AT, "job.requested", f"job:{made.id}", {}, (put("job", made.id, made),)))
        return at

    registered(1, 1)
    registered(2, 1)
    trained = registered(3, 2)
    registered(4, 2)
    registered(5, 1)
    assert retrainings(world) == (trained,)
    order = codec.plain(TournamentOrder(champion="u1", strategies=("all", "earlier")))
    # Models were trained, and one that was there before did better.
    held = registered(6, 1, overrides={"tournament": order})
    assert retrainings(world) == (trained, held)

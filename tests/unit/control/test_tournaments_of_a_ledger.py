"""What a tournament's job is told of those before it, in a ledger."""

from datetime import UTC, datetime, timedelta

from ledger_world import world_at

from flyball.control import jobs, tournaments
from flyball.control.world import World, draft, put
from flyball.records.effects import Effect
from flyball.records.evidence import Evidence
from flyball.records.release import Phase, ReleaseState
from flyball.records.tournaments import Entrant, Standings, Tournament

AT = datetime(2026, 11, 27, tzinfo=UTC)
GAIN = Evidence(name="loss_gain", value=0.02, lower=0.01, upper=0.03, alpha=0.1, n=900)


def ended(world: World, job: str) -> None:
    entrants = (Entrant(name="all", fitted=True, gain=GAIN),)
    standings = Standings(champion="u1", champion_loss=0.2, rows=900, since=AT, until=AT, alpha=0.3, entrants=entrants)
    over = Tournament(job=job, decision="d-1", cause="d-0", model="shop", at=AT, standings=standings, winner="all", words="")
    world.record(draft(AT, "tournament.ended", f"job:{job}", {}, (put("tournament", job, over),)))


def measured(world: World, release: str, job: str, old_loss: float | None = None) -> None:
    state = ReleaseState(
        id=release, model="shop", challenger="u2", champion="u1", phase=Phase.SETTLED, opened_at=AT, entered_at=AT, cause="d-1", job=job
    )  # fmt: skip
    effect = Effect(
        release=release, decision="d-1", action="improve", new="u2", old="u1", at=AT, predicted=GAIN,
        realised=Evidence(name="loss", value=-0.05, lower=-0.1, upper=0.0, n=900), old_loss=old_loss,
    )  # fmt: skip
    puts = (put("release", release, state), put("effect", release, effect))
    world.record(draft(AT, "effect.measured", f"release:{release}", {}, puts))


def test_a_job_that_is_launched_again_knows_what_it_knew_when_it_was_asked_for() -> None:
    """Else another one is tried, and a run that was killed begins anew."""
    world = world_at(AT + timedelta(days=9))
    first, second = (jobs.request(world, "d-000001").id for _ in range(2))
    ended(world, first)
    ended(world, second)
    measured(world, "r-0001", first)
    job = jobs.request(world, "d-000002")
    known = tournaments.remembered(world, job)
    assert [(each.job, each.realised) for each in known] == [(first, 0.25), (second, None)]
    measured(world, "r-0002", second)
    ended(world, job.id)
    assert tournaments.remembered(world, job) == known
    assert [each.realised for each in tournaments.remembered(world)] == [0.25, 0.25, None]
    assert tournaments.remembered(world, jobs.request(world, "d-000003")) == tournaments.remembered(world)


def test_what_a_winner_brought_is_relative_to_what_the_old_champion_lost_on_the_same_rows() -> None:
    """Of a number the standings count losses by the labels of then, effects by those that the old unit was trained on: 0.05 of 0.1 is a half."""
    world = world_at(AT + timedelta(days=9))
    first, second, third = (jobs.request(world, "d-000001").id for _ in range(3))
    for job, release, loss in ((first, "r-0001", 0.1), (second, "r-0002", None), (third, "r-0003", 0.0)):
        ended(world, job)
        measured(world, release, job, loss)
    assert [each.realised for each in tournaments.remembered(world)] == [0.5, 0.25, None]

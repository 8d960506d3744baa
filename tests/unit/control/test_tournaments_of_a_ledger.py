"""What a tournament's job is told of those before it, in a ledger."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from ledger_world import SPEC, world_at

from flyball.control import jobs, tournaments
from flyball.control.world import World, draft, put
from flyball.records.effects import Effect
from flyball.records.evidence import Evidence
from flyball.records.jobs import Job, JobStatus
from flyball.records.maps import ScoreMap
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.records.tournaments import Entrant, Standings, Tournament
from flyball.records.unit import Unit

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


def moved(world: World, release: str, job: str, phase: Phase, event: str = "release.opened") -> None:
    state = ReleaseState(
        id=release, model="shop", challenger="u2", champion="u1", phase=phase, opened_at=AT, entered_at=AT, cause="d-1", job=job
    )  # fmt: skip
    world.record(draft(AT, event, f"release:{release}", {}, (put("release", release, state),)))


def over(world: World, status: JobStatus) -> Job:
    """A tournament that `all` won, and what its job came to."""
    asked = jobs.request(world, "d-000001")
    ended(world, asked.id)
    job = msgspec.structs.replace(asked, status=status, unit="u2" if status is JobStatus.REGISTERED else None, run_key="k")
    world.record(draft(AT, "test", f"job:{job.id}", {}, (put("job", job.id, job),)))
    return job


@pytest.mark.parametrize(
    ("status", "phase", "in_vain"),
    [
        (JobStatus.GATING, None, False),
        (JobStatus.REFUSED, None, True),
        (JobStatus.FAILED, None, True),
        (JobStatus.REGISTERED, None, True),  # no route holds it beside the champion
        (JobStatus.REGISTERED, Phase.CANARY, False),
        (JobStatus.REGISTERED, Phase.HELD, False),
        (JobStatus.REGISTERED, Phase.ROLLING_BACK, False),
        (JobStatus.REGISTERED, Phase.ROLLED_BACK, True),
        (JobStatus.REGISTERED, Phase.SETTLED, False),
    ],
)
def test_what_became_of_a_winner_is_known(status: JobStatus, phase: Phase | None, in_vain: bool) -> None:
    world = world_at(AT + timedelta(days=9))
    job = over(world, status)
    if phase is not None:
        moved(world, "r-0001", job.id, phase)
    assert [each.in_vain for each in tournaments.remembered(world)] == [in_vain]


def test_a_winner_that_was_taken_back_after_it_settled_brought_what_was_measured_of_it() -> None:
    world = world_at(AT + timedelta(days=9))
    first, second = over(world, JobStatus.REGISTERED), over(world, JobStatus.REGISTERED)
    moved(world, "r-0001", first.id, Phase.SETTLED)
    measured(world, "r-0002", second.id)
    moved(world, "r-0003", "", Phase.ROLLED_BACK, "release.moved")
    assert [(each.in_vain, each.realised) for each in tournaments.remembered(world)] == [(False, None), (False, 0.25)]
    world = world_at(AT + timedelta(days=9))
    moved(world, "r-0001", over(world, JobStatus.REGISTERED).id, Phase.SETTLED)
    moved(world, "r-0002", "", Phase.ROLLED_BACK, "release.moved")
    assert [each.in_vain for each in tournaments.remembered(world)] == [True]


def test_a_job_that_is_launched_again_knows_no_more_of_what_became_of_winners() -> None:
    world = world_at(AT + timedelta(days=9))
    first, second = over(world, JobStatus.REGISTERED), over(world, JobStatus.GATING)
    moved(world, "r-0001", first.id, Phase.CANARY)
    job = jobs.request(world, "d-000002")
    known = tournaments.remembered(world, job)
    assert [each.in_vain for each in known] == [False, False]
    moved(world, "r-0001", first.id, Phase.ROLLED_BACK, "release.moved")
    refused = msgspec.structs.replace(second, status=JobStatus.REFUSED)
    world.record(draft(AT, "test", f"job:{second.id}", {}, (put("job", second.id, refused),)))
    assert tournaments.remembered(world, job) == known
    assert [each.in_vain for each in tournaments.remembered(world)] == [True, True]


def test_what_a_winner_brought_is_relative_to_what_the_old_champion_lost_on_the_same_rows() -> None:
    """Of a number the standings count losses by the labels of then, effects by those that the old unit was trained on: 0.05 of 0.1 is a half.
    Of a champion that never erred it is told by the least loss that counts."""
    world = world_at(AT + timedelta(days=9))
    first, second, third = (jobs.request(world, "d-000001").id for _ in range(3))
    for job, release, loss in ((first, "r-0001", 0.1), (second, "r-0002", None), (third, "r-0003", 0.0)):
        ended(world, job)
        measured(world, release, job, loss)
    assert [each.realised for each in tournaments.remembered(world)] == [0.5, 0.25, 50.0]


def test_tournaments_that_trained_and_nobody_won_count_since_the_last_that_somebody_won_and_under_one_version() -> None:
    world = world_at(AT + timedelta(days=99))
    units = [
        Unit(id=f"u{number}", model="shop", version=max(number, 2), manifest_digest="d", threshold=None, policy_digest="p")
        for number in (1, 2, 3)
    ]
    world.record(draft(AT, "test", "model:shop", {}, [put("unit", each.id, each) for each in units]))

    def held(
        day: int, champion: str, *, winner: str | None = None, fitted: bool = True, void: bool = False, barred: bool = False
    ) -> None:
        gain = GAIN if winner is not None or barred else msgspec.structs.replace(GAIN, lower=-0.1)
        entrants = (Entrant(name="all" if fitted else "recalibrate", fitted=fitted, gain=gain),)
        standings = Standings(champion=champion, champion_loss=0.2, rows=900, since=AT, until=AT, alpha=0.3, entrants=entrants)
        over = Tournament(
            job=f"j-{day:04d}", decision="d-1", cause="d-0", model="shop", at=AT + timedelta(days=day), standings=standings,
            winner=winner, words="", void=void,
        )  # fmt: skip
        world.record(draft(AT, "tournament.ended", f"job:{over.job}", {}, (put("tournament", over.job, over),)))

    def lost(champion: str = "u1") -> int:
        return tournaments.lost_in_a_row(world, Champion(model="shop", unit=champion, since=AT, release="r-0001"))

    assert lost() == 0
    held(1, "u1")
    held(2, "u1", winner="all")
    assert lost() == 0
    held(3, "u1")
    held(4, "u1", fitted=False)
    held(5, "u1", void=True)
    assert lost() == 1
    held(6, "u2")  # another map of the same version
    assert lost() == lost("u2") == 2
    assert lost("u3") == 0, "another version"
    held(7, "u3")
    assert (lost("u3"), lost()) == (1, 0)
    held(8, "u1", barred=True)
    assert lost() == 0, "somebody was better, and not released by itself"
    held(9, "u1", winner="all")
    refused = Job(id="j-0009", model="shop", requested_at=AT, as_of=AT, cause="d-0", status=JobStatus.REFUSED)
    world.record(draft(AT, "job.refused", "job:j-0009", {}, (put("job", "j-0009", refused),)))
    assert lost() == 1, "its winner came to nothing"


def test_of_a_version_the_unit_at_the_declared_threshold_comes_back_and_not_the_one_of_the_changed_world() -> None:
    """Newest first, the threshold that was chosen for the world of then came back with the version, and the version as declared was never asked."""
    world = world_at(AT + timedelta(days=9), {**SPEC, "serve": {"threshold": 0.4}})
    declared = Unit(id="u1", model="shop", version=1, manifest_digest="one", threshold=0.4, policy_digest="p")
    chosen = msgspec.structs.replace(declared, id="u1t", threshold=0.89)
    a_map = ScoreMap(method="platt", scores=(0.0, 1.0), answers=(0.0, 1.0), rows=200)
    maps = [
        msgspec.structs.replace(
            declared, id=f"u1m{number}", calibration=msgspec.structs.replace(a_map, until=AT + timedelta(number))
        )
        for number in (1, 2)
    ]
    other = msgspec.structs.replace(
        declared, id="u2", version=2, manifest_digest="two", threshold=0.7
    )  # another one was declared then
    units = (declared, chosen, *maps, other)
    puts = [put("unit", each.id, each) for each in units]
    for place, each in enumerate(units):
        state = ReleaseState(
            id=f"r-000{place}", model="shop", challenger=each.id, champion="u0", phase=Phase.SETTLED, opened_at=AT, entered_at=AT, cause="d-1"
        )  # fmt: skip
        puts.append(put("release", state.id, state))
    world.record(draft(AT, "test", "model:shop", {}, puts))

    def competing(champion: str) -> tuple[str, ...]:
        verified = tuple(each.id for each in units if each.id != champion)
        now = Champion(model="shop", unit=champion, since=AT, release="r-0001", verified=(*verified, champion))
        return tournaments.earlier_units(world, now)

    assert competing("u2") == ("u1", "u1m2")
    assert competing("u1m2") == ("u1", "u2")
    # No score of it is another: whose threshold it should be is `rethreshold`'s to say.
    assert competing("u1t") == ("u1m2", "u2")

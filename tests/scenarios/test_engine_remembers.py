"""What tournaments that trained have taught is not forgotten for those that train nobody, however many come after them."""

from datetime import timedelta
from pathlib import Path

import msgspec
from engine_world import DAY, Model, Project, spec_of
from test_engine_tournaments import MONITOR, RELEASE

from flyball.autopilot.entrants import Strategy
from flyball.control import improving, jobs, tournaments
from flyball.control.world import draft, put
from flyball.records import codec
from flyball.records.evidence import Evidence
from flyball.records.findings import WindowSummary
from flyball.records.jobs import Job, JobStatus
from flyball.records.tournaments import Entrant, Tournament, TournamentOrder

IMPROVE = {"name": "better", "when": "improvement.worthwhile", "do": "improve"}


def lost(project: Project) -> Tournament:
    """An `improve` that trained and that nobody won."""
    project.turned = 1.0
    project.live(12 * DAY, rows=60, until=lambda: any(each.winner is None for each in held(project)))
    return held(project)[-1]


def held(project: Project) -> list[Tournament]:
    return sorted(project.door.all("tournament", Tournament), key=lambda each: each.at)


def recalibrations(project: Project, after: Tournament, count: int) -> None:
    """Tournaments in which no model was trained, one at the end of each window."""
    order = TournamentOrder(champion=after.standings.champion, strategies=(Strategy.RECALIBRATE.value,))
    gain = Evidence(name="loss_gain", value=0.0, lower=-0.1, upper=0.1, alpha=0.05, n=200)
    for number in range(count):
        at = after.at + timedelta(hours=number + 1)
        job = Job(
            id=f"j-9{number:03d}", model="shop", status=JobStatus.REFUSED, requested_at=at, as_of=after.at, cause="d-000001",
            overrides={"tournament": codec.plain(order)},
        )  # fmt: skip
        free = msgspec.structs.replace(
            after, job=job.id, at=at, winner=None, excess=0.0,
            standings=msgspec.structs.replace(after.standings, entrants=(Entrant(name="recalibrate", fitted=False, gain=gain),)),
        )  # fmt: skip
        puts = (put("job", job.id, job), put("tournament", job.id, free))
        project.engine.world.record(draft(at, "tournament.ended", f"job:{job.id}", {}, puts, key=f"tournament:{job.id}"))


def worth_now(project: Project) -> improving.Worth:
    champion = project.champion()
    baseline = project.engine.observation.files.reference(champion.unit).baseline
    windows = sorted((each for each in project.windows() if each.mature and each.loss is not None), key=window_start)
    found = improving.assess(project.engine.world, champion, baseline, windows, ())
    assert found is not None
    return found


def window_start(window: WindowSummary) -> object:
    return window.start


def test_thirty_recalibrations_after_a_lost_tournament_leave_it_remembered(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(RELEASE, [IMPROVE], monitor=MONITOR))
    project.version(Model(wrong=0.2))
    project.live(6 * DAY, rows=60)
    last = lost(project)
    known, before = tournaments.remembered(project.door), worth_now(project)
    assert known[-1].job == last.job
    recalibrations(project, last, 30)
    assert tournaments.remembered(project.door) == known, "they neither push it out nor make it older"
    assert worth_now(project) == before, "it is not tried again, and what trainings gain here is still known"
    asked = Job(
        id="j-9999", model="shop", status=JobStatus.REQUESTED, requested_at=project.clock.now(), as_of=project.clock.now(), cause="d-000001",
        overrides={"tournament": codec.plain(TournamentOrder(champion=last.standings.champion, strategies=("all",)))},
    )  # fmt: skip
    request = jobs.step_request(project.engine.world, project.engine.shelf, asked)
    assert request.tried == known, "the child orders its entrants by the same past"


def test_of_those_that_trained_the_newest_are_remembered(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(RELEASE, [IMPROVE], monitor=MONITOR))
    project.version(Model(wrong=0.2))
    project.live(6 * DAY, rows=60)
    last = lost(project)
    for number in range(25):
        more = msgspec.structs.replace(last, job=f"j-8{number:03d}", at=last.at + timedelta(hours=number + 1))
        project.engine.world.record(
            draft(more.at, "tournament.ended", f"job:{more.job}", {}, (put("tournament", more.job, more),))
        )
    assert [each.job for each in tournaments.remembered(project.door)] == [f"j-8{number:03d}" for number in range(5, 25)]

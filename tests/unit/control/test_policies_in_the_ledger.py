"""What the ledger says of incidents, and of what policies did, whatever their numbers have become and whatever a clock said then."""

from datetime import UTC, datetime, timedelta

import ledger_world
import msgspec
import pytest

from flyball.adapters.ledger import MemoryLedger
from flyball.autopilot.breaker import BreakerPolicy
from flyball.control import bounds, decisions, diagnoses, happenings, jobs, queries, remedies, running, way_back
from flyball.control.windows import SignalsAt
from flyball.control.world import World, draft, put
from flyball.records import codec
from flyball.records.bounds import Breaker
from flyball.records.decisions import Action, Approval, Decision, Plan
from flyball.records.diagnosis import Diagnosis
from flyball.records.findings import FindingKind, Incident, IncidentKind
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Champion, Phase, ReleaseState
from flyball.spec import ProjectSpec

NOW, DAY = datetime(2026, 6, 1, tzinfo=UTC), timedelta(days=1)
SPEC = {**ledger_world.SPEC, "project": "m", "model": "m"}


@pytest.fixture
def world() -> World:
    return ledger_world.world_at(NOW, SPEC)


def write(world: World, kind: str, key: str, value: msgspec.Struct, *, event: str = "test", subject: str = "test") -> None:
    world.record(draft(world.now(), event, subject, {}, (put(kind, key, value),)))


def taken_for(number: int, kind: IncidentKind, days: int) -> Diagnosis:
    return Diagnosis(incident=number, model="m", unit="u", at=NOW + days * DAY, kind=kind, score=1.0, hypotheses=(), words="")


def incident(*findings: int) -> Incident:
    return Incident(
        number=findings[0], model="m", unit="u", began=NOW, ended=None, owner="", findings=findings,
        standing=(FindingKind.PERFORMANCE,), subjects=(), harm=None, words="",
    )  # fmt: skip


def test_what_an_incident_was_taken_for_is_known_when_it_has_grown_together_with_an_earlier_one(world: World) -> None:
    for number, kind, days in ((2, IncidentKind.DATA_FAULT, 0), (4, IncidentKind.CONCEPT_SHIFT, 1)):
        write(world, "diagnosis", str(number), taken_for(number, kind, days))
    known = diagnoses.known(world)
    told = [diagnoses.of(known, incident(*numbers)) for numbers in ((2, 4), (1, 2, 4), (1, 3))]
    assert [each and each.kind for each in told] == [IncidentKind.DATA_FAULT, IncidentKind.CONCEPT_SHIFT, None]


def job(world: World, number: int, *, days: float = 0, unit: str | None = None) -> Job:
    """Of the decision d-1; without a unit its gate refused it."""
    made = Job(
        id=f"j-{number:04d}", model="m", status=JobStatus.REGISTERED if unit else JobStatus.REFUSED, requested_at=NOW + days * DAY,
        as_of=NOW + days * DAY, cause="d-1", unit=unit,
    )  # fmt: skip
    write(world, "job", made.id, made, event="job.requested", subject=f"job:{made.id}")
    return made


def release(world: World, number: int, unit: str, phase: Phase, **more: str) -> None:
    made = ReleaseState(
        id=f"r-{number:04d}", model="m", challenger=unit, champion="u0", phase=phase, opened_at=NOW, entered_at=NOW, **more
    )
    write(world, "release", made.id, made)


def ended(world: World) -> list[tuple[bool, str]]:
    return [(act.failed, act.words) for act in bounds.ended_acts(world, {"d-1": "retrain"})]


def test_a_retraining_that_came_to_a_version_that_was_there_counts_neither_way(world: World) -> None:
    release(world, 1, "u1", Phase.SETTLED, job="j-0001", cause="user:me")
    release(world, 2, "u2", Phase.ROLLED_BACK, job="j-0002", cause="d-1")
    for number, unit in ((2, "u2"), (3, "u2"), (4, "u1"), (5, "u2")):
        job(world, number, unit=unit)
    assert ended(world) == [(True, "r-0002 was rolled back")]


def test_what_took_back_a_settled_release_is_of_its_job_and_what_released_the_version_again_is_not(world: World) -> None:
    # Of a Flyball that did not say whose result it releases.
    release(world, 1, "u1", Phase.SETTLED, cause="d-1")
    job(world, 1, unit="u1")
    assert ended(world) == [(False, "r-0001 settled")]
    release(world, 2, "u1", Phase.ROLLED_BACK, cause="user:me")
    assert ended(world) == [(True, "r-0002 was rolled back")]
    release(world, 3, "u1", Phase.SETTLED, job="j-0009", cause="user:me")
    assert ended(world) == [(True, "r-0002 was rolled back")]


def test_a_breaker_counts_anew_since_it_was_closed_whatever_the_clock_said_then(world: World) -> None:
    breaker = Breaker(opened_at=NOW + 300 * DAY, decision="d-9", actions=("retrain",), words="")
    job(world, 1, days=299)
    write(world, "breaker", "m", breaker)
    write(world, "breaker", "m", msgspec.structs.replace(breaker, closed_at=NOW + 300 * DAY))
    assert ended(world) == []
    job(world, 2)
    assert ended(world) == [(True, "j-0002 was refused by its gate")]


def test_moves_of_the_champion_are_counted_since_the_breaker_was_closed_whatever_the_clock_said_then(world: World) -> None:
    def moved(number: int, days: int) -> None:
        made = ReleaseState(
            id=f"r-{number:04d}", model="m", challenger=f"u{number}", champion="u0", phase=Phase.SETTLED, opened_at=NOW,
            entered_at=NOW + days * DAY, cause="d-1",
        )  # fmt: skip
        states = (put("release", made.id, made),)
        world.record(draft(made.entered_at, "release.verified", f"release:{made.id}", {"phase": Phase.FULL.value}, states))

    moved(1, 299)
    shut = Breaker(opened_at=NOW, decision="d-9", actions=("retrain",), words="", closed_at=NOW + 300 * DAY)
    write(world, "breaker", "m", shut)
    moved(2, 0)
    moves = bounds.champion_moves(world, {"d-1": "retrain"}, BreakerPolicy(), NOW + DAY)
    assert [move.after for move in moves] == ["u2"]


@pytest.mark.parametrize(("full", "moves"), [(True, ["u1 u2", "u2 u0"]), (False, ["u1 u0"])])
def test_a_rollback_that_goes_past_a_lost_unit_says_who_was_champion(world: World, full: bool, moves: list[str]) -> None:
    made = ReleaseState(
        id="r-0001", model="m", challenger="u2", champion="u1", phase=Phase.FULL, opened_at=NOW, entered_at=NOW, cause="user:me"
    )  # fmt: skip
    back = way_back.turned(made, ("u0", "u1"), "worse")
    assert back is not None
    told = codec.plain(way_back.order(back, back.reason, "u1"))
    ended = msgspec.structs.replace(back, phase=Phase.ROLLED_BACK)
    subject = f"release:{made.id}"
    world.record(draft(NOW, "release.opened", subject, {}, (put("release", made.id, made),)))
    if full:
        world.record(draft(NOW, "release.verified", subject, {"phase": Phase.FULL.value}, ()))
    world.record(draft(NOW, "release.moved", subject, {"action": told}, (put("release", made.id, ended),)))
    assert [f"{move.before} {move.after}" for move in bounds.champion_moves(world, {}, BreakerPolicy(), NOW)] == moves
    assert [tenure.unit for tenure in bounds.tenures(world)] == [move.split()[1] for move in moves]


def test_windows_before_a_pause_are_not_in_a_row_with_those_after_it(world: World) -> None:
    def known(*days: int) -> list[SignalsAt]:
        return [SignalsAt(unit="u", window=(NOW + day * DAY).isoformat(), signals={}) for day in days]

    seen = known(0, 1, 7, 8, 9)
    assert remedies._in_a_row(world, seen) == seen[2:]
    assert remedies._in_a_row(world, seen[:2]) == seen[:2]
    assert remedies._in_a_row(world, known(0, 7)) == known(7)
    assert remedies._in_a_row(world, []) == []
    assert remedies._in_a_row(world, known(400, 401, 1)) == known(1)  # a clock was ahead
    assert remedies._in_a_row(world, known(1, 1)) == known(1)


@pytest.mark.parametrize("minutes", [25, 35, 40, 60, 90])
def test_windows_of_a_replay_that_looks_once_an_hour_are_in_a_row_however_long_they_are(world: World, minutes: int) -> None:
    world.spec = ProjectSpec.model_validate({**SPEC, "monitor": {"window": f"{minutes}m"}})
    window, looks = timedelta(minutes=minutes), [NOW + hour * timedelta(hours=1) for hour in range(1, 25)]
    starts = sorted({look - (look - NOW) % window - window for look in looks} - {NOW - window})
    seen = [SignalsAt(unit="u", window=start.isoformat(), signals={}) for start in starts]
    assert remedies._in_a_row(world, seen) == seen
    assert remedies._in_a_row(world, [*seen[:3], *seen[8:]]) == seen[8:]


def question(world: World, number: int, answer: str | None = None) -> None:
    """`do: ask`, with nothing to be done after the answer."""
    ask = Action(kind="ask", subject="model:m", arguments={"policy": "p", "message": "look"})
    plan = Plan(actions=(ask,), rule="p", rationale="")
    made = Decision(id=f"d-{number:06d}", room="autopilot", now=NOW, policy={}, situation={}, plan=plan)
    asked = Approval(
        id=made.id, decision=made.id, action_digest=codec.digest(ask), requested_at=NOW, requested_by="autopilot", expires_at=None,
        answer=answer, answered_by="user:me",
    )  # fmt: skip
    payload = codec.plain(made)
    world.record(draft(NOW, "decision.made", f"decision:{made.id}", payload, (put("approval", asked.id, asked),)))


def test_an_answer_that_nothing_follows_from_is_looked_up_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    question(world, 1, "approved")
    turn, found, looked_up = remedies.Remedies(world, None, None), decisions.find, []  # type: ignore[arg-type]
    monkeypatch.setattr(decisions, "find", lambda of, which: looked_up.append(which) or found(of, which))
    turn.consider(None)
    turn.consider(None)
    assert looked_up == ["d-000001"]


def test_a_question_of_a_policy_that_is_gone_is_closed_and_none_that_an_answer_still_means_something_to(world: World) -> None:
    question(world, 1)
    spec = {**SPEC, "policies": [{"name": "p", "when": "drift.alarm", "do": "ask"}]}
    there = ledger_world.world_at(NOW, spec, ledger=world.ports.ledger)
    remedies.Remedies(there, None, None).consider(None)  # type: ignore[arg-type]
    assert there.get("approval", "d-000001", Approval).answer is None
    world.take_over("without the policy")
    remedies.Remedies(world, None, None).consider(None)  # type: ignore[arg-type]
    closed = world.get("approval", "d-000001", Approval)
    assert (closed.answer, closed.answered_by, closed.reason) == ("void", "autopilot", "flyball.yaml has no policy 'p' any more")


def test_of_what_waits_nothing_else_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, answer in ((3, None), (1, "approved"), (2, None)):
        question(world, number, answer)
    monkeypatch.delattr(decisions, "recorded")
    assert [row.id for row in queries.decision_rows(world, open_only=True)] == ["d-000002", "d-000003"]


DAYS_OF_A_CHAMPION = [  # days on which the ledger was written, in its order; the take-over; the present clock; what it makes of the take-over
    ((0, 1, 400, 401), 401, 2, 2),
    ((0, 1, 400, 401, 402), 402, 10, 10),  # the champion before it is of the same clock
    ((0, 1, 400, 2, 3, 500, 501), 501, 4, 4),  # for the second time
    ((0, 1, 2, 3), 3, -362, 3),  # it is the present clock that is behind
    ((0, 1, 2, -362, 3, 4), 4, -361, 4),  # for the second time
    ((0, *range(1, 500)), 499, 134.5, 499),
    ((400, 401), 401, 1, 401),  # nobody can tell
]


@pytest.mark.parametrize(("written", "since", "clock", "dated"), DAYS_OF_A_CHAMPION)
def test_a_champion_is_dated_anew_where_a_clock_was_ahead_and_not_where_the_present_one_is_behind(
    written: tuple[int, ...], since: int, clock: float, dated: int
) -> None:
    def at(day: float) -> World:
        return ledger_world.world_at(NOW + day * DAY, SPEC, ledger=ledger)

    ledger, champion = MemoryLedger(), Champion(model="m", unit="u2", since=NOW + since * DAY, release="r-0002")
    for day in written:
        write(at(day), "champion", "m", champion)
    happenings.note_clock(at(clock))
    assert at(since).get("champion", "m", Champion) == msgspec.structs.replace(champion, since=NOW + dated * DAY)


def released(number: int, unit: str, cause: str, phase: Phase = Phase.SETTLED) -> ReleaseState:
    return ReleaseState(
        id=f"r-{number:04d}", model="m", challenger=unit, champion=None, phase=phase, opened_at=NOW, entered_at=NOW, cause=cause
    )  # fmt: skip


ANEW, STAYS, GOES_ON = (
    "it is released anew",
    "Its unit u1 does not serve: u2 took its place, by d-3, and stays.",
    "r-0002 goes on with u2",
)
SAME_RUN = [
    ("u2", (released(1, "u1", "user:me"), released(2, "u2", "user:me")), ANEW),
    ("u2", (released(1, "u1", "user:me"), released(2, "u2", "d-3")), STAYS),  # recalibrated, another threshold, retrained
    ("u2", (released(1, "u2", "user:me"), released(2, "u1", "user:me"), released(3, "u2", "d-3")), STAYS),  # reactivated
    ("u1", (released(1, "u1", "user:me"), released(2, "u2", "user:me", Phase.SHADOW)), GOES_ON),
    ("u1", (released(1, "u1", "user:me"),), "already."),
    ("u3", (released(1, "u1", "user:me", Phase.CANARY),), "already."),
]


@pytest.mark.parametrize(("serves", "releases", "said"), SAME_RUN)
def test_a_run_that_came_to_what_was_there_is_released_anew_only_in_place_of_what_a_person_released(
    world: World, serves: str, releases: tuple[ReleaseState, ...], said: str
) -> None:
    write(world, "champion", "m", Champion(model="m", unit=serves, since=NOW, release="r-0001"))
    for each in releases:
        write(world, "release", each.id, each)
    job = Job(
        id="j-0009", model="m", status=JobStatus.REGISTERED, requested_at=NOW, as_of=NOW, cause="user:me", unit="u1", version=1
    )
    anew = jobs.was_replaced(world, job, "u1")
    words = running.outcome_words(world, msgspec.structs.replace(job, anew=anew), new=False)
    assert anew == (said == ANEW)
    assert (words.endswith if said == "already." else words.__contains__)(said)

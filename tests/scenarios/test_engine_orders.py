"""Orders, damage and changed files: what is asked for is done or refused, and nothing keeps the rest waiting."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, RELEASE, Project, spec_of

from flyball.control import commands, findings, ordering, queries, release_report, running
from flyball.control.loop import Trouble, pause_seconds, tick_once
from flyball.control.reports import CommandReport, RunReport
from flyball.control.traffic import STUCK_LOOKS
from flyball.errors import Conflict, Outdated, RequestError, TrackingFailed
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Phase
from flyball.records.unit import Unit
from flyball.spec import ProjectSpec


def package_of(project: Project, unit_id: str) -> Path:
    unit = project.door.get("unit", unit_id, Unit)
    assert unit is not None
    return project.registry.fetch(unit.model, unit.version)


def change_file(project: Project, spec: ProjectSpec) -> None:
    """flyball.yaml is edited: the next door and the next process read it."""
    project.spec = spec
    fresh = project.new_engine()
    project.door.spec, project.door.spec_digest = spec, fresh.world.spec_digest
    project.engine = fresh


def test_a_version_under_new_policies_is_released_with_those_and_no_older_ones(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.version(Model(run="the same"))
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    for number, windows in enumerate((91, 92, 93, 94), start=2):
        project.workshop.plans[f"j-{number:04d}"] = Model(run="the same")
        change_file(project, spec_of(AT_ONCE, monitor={"min_rows": 20, "false_alarms": {"windows": windows}}))
        commands.order(project.door, "run", "user:me", "")
        project.tick()
        job = project.door.get("job", f"j-{number:04d}", Job)
        assert job is not None
        assert project.release().challenger == job.unit
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert len(project.door.all("unit", Unit)) == 5
    assert [row.role for row in queries.versions(project.door)] == ["champion"]  # one version, five units
    project.holds()


def test_a_damaged_first_version_is_given_up_and_a_good_second_one_is_served(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.gateways.on_publish = lambda table: project.gateways.wrong_bytes.update(
        route.champion.unit.id for route in table.routes if route.champion.unit.version == 1
    )
    project.version()
    for _ in range(STUCK_LOOKS + 2):
        project.engine.tick()
    assert project.champion() is None
    assert project.release().phase is Phase.ROLLED_BACK
    second = project.version()
    project.live(DAY)
    assert project.answering() == second


def test_a_first_version_that_no_gateway_serves_can_be_taken_back_by_a_person(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.gateways.unreachable.add("0")
    project.version()
    assert project.release().phase is Phase.FULL
    assert project.roll_back().status == "done"
    project.gateways.unreachable.clear()
    project.gateways.restart("0")
    project.tick()
    assert project.release().phase is Phase.ROLLED_BACK
    assert project.mentioned() == set()


def test_a_rollback_goes_past_a_unit_whose_bytes_are_gone(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    units = []
    for _ in range(3):
        units.append(project.version())
        project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    shutil.rmtree(package_of(project, units[1]) / "model")
    assert project.roll_back().status == "done"
    assert project.answering() == units[0]


def test_an_order_that_cannot_be_done_is_refused_and_the_next_one_is_not_kept_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    project.first_champion()

    def away(*_arguments: object, **_more: object) -> None:
        raise TrackingFailed("the registry is away")

    first = commands.order(project.door, "roll_back", "user:me", "")
    second = commands.order(project.door, "run", "user:me", "")
    monkeypatch.setattr(project.engine.releases, "roll_back", away)
    project.tick()
    settled = [project.door.get("command", order.id, commands.Command) for order in (first, second)]
    assert [order.status for order in settled if order] == ["refused", "done"]
    assert "the registry is away" in (settled[0].words if settled[0] else "")


def test_who_does_not_look_after_traffic_says_so_and_lets_the_lease_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    project.first_champion()
    assert project.engine.supervises()

    def away() -> None:
        raise TrackingFailed("no gateway can be asked")

    monkeypatch.setattr(project.engine.releases, "active", away)
    renewed = project.gateways.leases
    for _ in range(4):
        project.clock.sleep(timedelta(minutes=1))
        assert tick_once(project.engine) == "no gateway can be asked."
    assert not project.engine.supervises()
    assert project.gateways.leases == renewed
    assert len(project.ledger.events(kinds=("tick.failed",))) == 1
    assert queries.status(project.door, controller_alive=True).trouble == "no gateway can be asked."
    monkeypatch.undo()
    assert tick_once(project.engine) == ""
    assert project.engine.supervises()
    assert project.gateways.leases > renewed
    assert project.door.get("trouble", "shop", Trouble) is None


def test_a_run_ordered_under_a_changed_file_waits_for_a_controller_that_has_read_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.first_champion()
    project.clock.sleep(timedelta(minutes=1))
    changed = spec_of({**RELEASE, "watch": "3d"})
    project.door.spec_digest = Project(tmp_path / "other", changed).door.spec_digest
    order = commands.order(project.door, "run", "user:me", "")
    with pytest.raises(Outdated):
        project.engine.tick()
    project.spec = changed
    project.restart()
    project.tick()
    done = project.door.get("command", order.id, commands.Command)
    assert done is not None
    assert done.status == "done"


def test_a_file_that_changed_back_does_not_keep_the_controller_starting(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.first_champion()
    project.door.spec_digest = "of a file that is no more"
    order = commands.order(project.door, "run", "user:me", "")
    project.clock.sleep(timedelta(seconds=1))
    project.restart()
    project.tick()
    done = project.door.get("command", order.id, commands.Command)
    assert done is not None
    assert done.status == "done"


def test_without_a_shadow_no_label_never_makes_a_champion(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**RELEASE, "shadow": None}))
    first = project.first_champion()
    project.unlabelled = True
    project.version()
    project.live(10 * DAY)
    assert project.release().phase is Phase.ROLLED_BACK
    assert project.answering() == first


def ordered(project: Project, kind: str, reason: str) -> CommandReport:
    command = commands.order(project.door, kind, "user:me", reason)
    return ordering.carried_out(project.door, project.engine, command, lambda _seconds: None)


def test_a_reason_that_would_fill_every_screen_is_refused_and_nothing_is_ordered(tmp_path: Path) -> None:
    project = Project(tmp_path)
    before = project.door.ports.ledger.head()
    most = "x" * commands.LONGEST_REASON
    for order in (commands.order, commands.answer):
        with pytest.raises(RequestError, match="reason: found 501 characters, expected at most 500") as refused:
            order(project.door, "hold", actor="user:me", reason=f"{most}x", **({"yes": True} if order is commands.answer else {}))  # type: ignore[operator]
        assert (refused.value.exit_code, refused.value.http_status) == (2, 422)
    with pytest.raises(RequestError):
        findings.acknowledge(project.door, "1", "user:me", f"{most}x", as_normal=False)
    assert project.door.ports.ledger.head() == before
    assert commands.order(project.door, "hold", "user:me", most).reason == most


@pytest.mark.parametrize(("reason", "words"), [("too slow", "ordered by user:me: too slow"), ("", "ordered by user:me")])
@pytest.mark.parametrize("settled", [True, False])
def test_who_rolls_back_is_told_with_why(tmp_path: Path, settled: bool, reason: str, words: str) -> None:
    project = Project(tmp_path)
    project.first_champion()
    project.version()
    until = Phase.SETTLED if settled else Phase.CANARY
    project.live(20 * DAY, rows=150, until=lambda: project.release().phase is until)
    assert ordered(project, "roll_back", reason).accepted
    release = project.release()
    assert release.reason.startswith(words)
    (moved,) = project.door.ports.ledger.events(kinds=("release.moved",), subject=f"release:{release.id}")
    assert (moved.actor, moved.payload["reason"]) == ("user:me", words)
    assert any(line.endswith(f"moved: {words}") for line in release_report.report(project.door, release.id).history)


def test_a_person_holds_a_release_and_lets_it_start_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    champion = project.first_champion()
    challenger = project.version()
    project.live(4 * DAY, rows=150, until=lambda: project.release().phase is Phase.CANARY)
    held = ordered(project, "hold", "the sale begins")
    assert (held.accepted, project.release().phase, project.release().reason) == (
        True,
        Phase.HELD,
        "held by user:me: the sale begins",
    )
    project.tick()
    assert project.mentioned() == {champion}
    project.live(20 * DAY, rows=10)
    assert project.release().phase is Phase.HELD, "until a person says otherwise"
    again = ordered(project, "hold", "")
    assert (again.accepted, "is held already" in again.words) == (False, True)
    assert ordered(project, "resume", "").accepted
    told = release_report.report(project.door, None).history
    assert [each[17:] for each in told if " by user:me" in each] == [
        "release:r-0002 moved: held by user:me: the sale begins", "release:r-0002 moved: let start again by user:me",
    ]  # fmt: skip
    moved = project.door.ports.ledger.events(kinds=("release.moved",), subject="release:r-0002")
    assert [each.actor for each in moved] == ["user:me", "user:me"]
    twice = ordered(project, "resume", "")
    assert (twice.accepted, "is not held: it is in " in twice.words) == (False, True)
    assert project.release().phase is Phase.SHADOW
    project.live(6 * DAY, rows=150, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.answering() == challenger
    project.holds()


def test_without_a_release_there_is_nothing_to_hold(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.first_champion()
    refused = ordered(project, "hold", "")
    assert (refused.accepted, "no release is under way" in refused.words) == (False, True)


def test_who_watches_a_run_does_not_wait_for_a_process_that_has_ended(tmp_path: Path) -> None:
    project = Project(tmp_path)

    def one_tick_and_then_dead(_seconds: float) -> None:
        project.engine.tick()

    with pytest.raises(Conflict, match="job j-0001 is requested, and the process that worked on it has ended"):
        running.run_there(project.door, "user:me", one_tick_and_then_dead, lambda: False)
    project.tick()
    assert project.door.all("job", Job)[0].status is JobStatus.REGISTERED, "whoever comes next goes on with it"


def failing(*_arguments: object, **_more: object) -> None:
    raise TrackingFailed("the registry is away")


def in_shadow(root: Path) -> Project:
    project = Project(root)
    project.first_champion()
    project.version()
    project.live(2 * DAY, rows=150, until=lambda: project.release().phase is Phase.SHADOW)
    return project


def unforeseen(*_arguments: object, **_more: object) -> None:
    raise ZeroDivisionError("a look of nothing")


def test_what_nobody_foresaw_in_a_look_keeps_no_order_and_no_run_from_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_shadow(tmp_path)
    monkeypatch.setattr(project.engine.windows, "close", unforeseen)
    back = ordering.roll_back(project.door, project.engine, "user:me", "", lambda _seconds: None)
    assert (back.accepted, "failed: ZeroDivisionError: a look of nothing)" in back.words) == (True, True)
    done = running.run_here(project.engine, "user:me", lambda _seconds: None, lambda: False)
    assert isinstance(done, RunReport)
    assert (
        "bad",
        "The run is over; the look at the project after it failed: ZeroDivisionError: a look of nothing",
    ) in project.said
    monkeypatch.setattr(commands, "open_commands", unforeseen)
    with pytest.raises(Conflict, match="is not carried out yet: ZeroDivisionError: a look of nothing"):
        ordered(project, "hold", "")


def test_an_order_that_is_carried_out_is_not_answered_with_the_error_of_another_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_shadow(tmp_path)
    monkeypatch.setattr(project.engine.windows, "close", failing)
    held = ordered(project, "hold", "the sale begins")
    assert (held.accepted, project.release().phase) == (True, Phase.HELD)
    assert "is held: the champion answers alone (beside it, a look at the project failed: the registry is away)" in held.words
    back = ordering.roll_back(project.door, project.engine, "user:me", "", lambda _seconds: None)
    assert (back.accepted, "the registry is away" in back.words) == (True, True)


def test_an_order_that_was_kept_from_being_carried_out_is_answered_with_what_kept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    project.first_champion()
    monkeypatch.setattr(commands, "open_commands", failing)
    with pytest.raises(TrackingFailed, match="the registry is away"):
        ordered(project, "hold", "")


def test_a_run_that_is_over_is_reported_whatever_fails_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    monkeypatch.setattr(project.engine.windows, "close", failing)
    done = running.run_here(project.engine, "user:me", lambda _seconds: None, lambda: False)
    assert isinstance(done, RunReport)
    assert done.version == 1
    assert ("bad", "The run is over; the look at the project after it failed: the registry is away.") in project.said


def test_who_watches_a_run_is_told_what_keeps_the_controller_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    looks: list[float] = []

    def look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) > 5:
            monkeypatch.undo()
        tick_once(project.engine)

    monkeypatch.setattr(project.registry, "register", failing)
    done = running.run_there(project.door, "user:me", look, lambda: True)
    assert done.version == 1
    assert [words for kind, words in project.said if kind == "bad" and words.startswith("The controller's ticks fail since")] == [
        f"The controller's ticks fail since {project.clock.now():%Y-%m-%d %H:%M:%S}: the registry is away."
    ]


def test_a_run_leaves_its_job_to_a_controller_that_comes_while_it_trains(tmp_path: Path) -> None:
    project = Project(tmp_path)
    handed = running.run_here(project.engine, "user:me", lambda _seconds: None, lambda: True)
    assert isinstance(handed, running.Elsewhere)
    assert project.door.all("job", Job)[0].status is JobStatus.RUNNING
    project.restart()  # the control process
    project.tick()
    done = running.watch(handed, lambda _seconds: None, lambda: True)
    assert (done.version, done.job.id) == (1, handed.job_id)
    assert project.executor.launches == 1
    project.holds()


def test_a_run_goes_on_with_what_another_person_began_and_the_job_says_who_that_was(tmp_path: Path) -> None:
    project = Project(tmp_path)
    running.run_here(project.engine, "user:ann", lambda _seconds: None, lambda: True)
    project.restart()
    done = running.run_here(project.engine, "user:bob", lambda _seconds: None, lambda: False)
    assert isinstance(done, RunReport)
    assert [job.cause for job in project.door.all("job", Job)] == ["user:ann"]
    assert (done.version, project.release().cause) == (1, "user:ann")
    project.holds()


def test_ticks_that_fail_for_days_come_no_slower_and_do_not_end() -> None:
    assert [pause_seconds(1.0, failures) for failures in (0, 1, 2, 3, 4, 1_023, 1_024, 10**6)] == [1, 2, 4, 8, 10, 10, 10, 10]
    assert pause_seconds(30.0, 0) == 30.0
    assert [pause_seconds(0.0, failures) for failures in (1, 2, 6)] == [1, 2, 10]

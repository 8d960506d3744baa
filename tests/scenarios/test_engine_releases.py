"""Releases of the whole engine, in memory: who becomes champion, and who never answers."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from engine_world import AT_ONCE, DAY, HOUR, Model, Project, spec_of

from flyball.control import openings, release_report
from flyball.control.queries import status
from flyball.control.running import report_of
from flyball.control.world import draft, put
from flyball.errors import StoreUnavailable
from flyball.records.jobs import Job
from flyball.records.release import Phase

WORSE = Model(wrong=0.6)
SECOND = HOUR / 3600


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.holds()


def test_the_first_version_is_champion_only_after_the_gateways_were_seen_to_serve_it(project: Project) -> None:
    project.gateways.unreachable.add("0")
    unit = project.version()
    project.live(DAY)
    assert (project.release().phase, project.release().verified_at) == (Phase.FULL, None)
    assert project.champion() is None
    project.gateways.restart("0")
    project.tick()
    assert project.champion().unit == unit == project.answering()
    project.live(2 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.phases("r-0001") == ["proposed", "full", "watching", "settled"]
    assert project.champion().verified == (unit,)
    assert project.registry.marked("shop", "champion") == 1


def test_a_challenger_as_good_goes_all_the_way(project: Project) -> None:
    first = project.first_champion()
    second = project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.phases("r-0002") == ["proposed", "shadow", "canary 0", "canary 1", "full", "watching", "settled"]
    assert project.champion().unit == second == project.answering()
    assert project.champion().verified == (first, second)
    assert project.mentioned() == {second}
    assert project.registry.marked("shop", "champion") == 2


def test_a_worse_challenger_is_rolled_back_in_shadow_and_never_answers(project: Project) -> None:
    first = project.first_champion()
    second = project.version(WORSE)
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert project.phases("r-0002") == ["proposed", "shadow", "rolling_back", "rolled_back"]
    assert project.champion().unit == first == project.answering()
    assert project.champion().verified == (first,)
    assert project.engine.observation.join.answered(0, 2**62, second) == 0
    assert project.mentioned() == {first}


@pytest.mark.parametrize("phase", [Phase.CANARY, Phase.WATCHING])
def test_one_that_turns_bad_later_is_rolled_back_and_the_old_one_answers_again(project: Project, phase: Phase) -> None:
    first = project.first_champion()
    second = project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is phase)
    project.wrong[second] = 1.0
    project.live(3 * DAY, rows=300, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert project.phases("r-0002")[-2:] == ["rolling_back", "rolled_back"]
    assert project.champion().unit == first == project.answering()
    assert project.champion().verified == (first,)
    assert project.mentioned() == {first}
    assert project.registry.marked("shop", "champion") == 1
    project.live(DAY)
    assert len(project.releases()) == 2  # it is not proposed again


def test_a_challenger_that_cannot_answer_is_rolled_back(project: Project) -> None:
    first = project.first_champion()
    second = project.version()
    project.failing.add(second)
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert project.phases("r-0002") == ["proposed", "shadow", "rolling_back", "rolled_back"]
    assert project.champion().unit == first


@pytest.mark.parametrize("rows", [0, 60])
def test_without_traffic_or_labels_it_holds_and_gives_up_at_the_deadline(project: Project, rows: int) -> None:
    first = project.first_champion()
    project.unlabelled = True
    project.version()
    opened = project.clock.now()
    project.live(4 * DAY - 6 * HOUR, rows=rows)
    assert project.release().phase is Phase.SHADOW
    project.live(DAY, rows=rows)
    assert project.phases("r-0002") == ["proposed", "shadow", "rolling_back", "rolled_back"]
    assert "gave up" in project.release().reason
    assert project.release().entered_at - opened == 4 * DAY
    assert project.champion().unit == first


def test_when_nothing_of_what_is_asked_for_can_be_measured_it_gives_up_in_canary_too(project: Project) -> None:
    first = project.first_champion()
    project.version()
    project.live(6 * DAY, until=lambda: project.release().phase is Phase.CANARY)
    project.live(5 * DAY, rows=0)
    assert project.phases("r-0002") == ["proposed", "shadow", "canary 0", "rolling_back", "rolled_back"]
    assert project.champion().unit == first == project.answering()


def test_a_run_that_its_gate_refuses_or_that_fails_is_never_proposed(project: Project) -> None:
    first = project.first_champion()
    assert project.version(Model(passes=False)) == project.version(Model(trains=False)) == ""
    project.live(DAY)
    assert len(project.releases()) == 1
    assert project.mentioned() == {first}


def test_a_newer_version_settles_the_one_that_only_watches_and_waits_for_one_that_does_not(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "shadow": {"at_least": "6h", "at_most": "2d", "min_labels": 100}}))
    first = project.first_champion()
    second = project.version()
    assert project.release().phase is Phase.SHADOW
    third = project.version()
    assert (project.release().challenger, len(project.releases())) == (second, 2)
    project.live(4 * DAY, until=lambda: project.release().challenger == third and project.release().phase is Phase.SETTLED)
    assert project.phases("r-0002")[-1] == project.phases("r-0003")[-1] == "settled"
    assert project.champion().verified == (first, second, third)
    project.holds()


def test_a_newer_version_waits_until_the_watch_of_a_release_is_over(tmp_path: Path) -> None:
    """`release.watch` is how long harm still rolls back by itself: with another challenger nobody is there to go back to in an instant."""
    project = Project(tmp_path, spec_of(AT_ONCE))
    first = project.first_champion()
    second, third = project.version(), project.version(by="policy:weekly")
    words = report_of(project.door, project.door.all("job", Job)[-1]).words
    assert words.startswith("Version 3 is registered. It waits until r-0002 has been watched, at 2026-")
    assert "version 3 waits until r-0002 has been watched" in status(project.door, controller_alive=True).next_version
    project.live(5 * HOUR, step=HOUR)
    assert (project.release().challenger, project.release().phase) == (second, Phase.WATCHING)
    assert project.mentioned() == {first, second}
    project.live(HOUR, step=HOUR)
    watched = project.releases()[1]
    assert (watched.phase, project.release().challenger, project.champion().unit) == (Phase.SETTLED, third, third)
    assert "no harm was shown in 6 h of watch" in watched.reason
    assert openings.waits(project.door) == ""
    project.holds()


def test_a_version_that_a_person_made_ends_a_watch_and_the_release_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    project.version()
    project.live(HOUR, step=HOUR)
    third = project.version()
    project.tick()
    assert (project.release().challenger, project.releases()[1].phase) == (third, Phase.SETTLED)
    assert project.releases()[1].reason == "superseded by version 3, which user:me made, after 1h of 6h of watch"
    project.holds()


def test_a_newer_version_that_waits_is_released_once_harm_has_taken_the_watched_one_back(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.first_champion()
    project.version()
    third = project.version(by="policy:weekly")
    assert project.roll_back("harm").status == "done"
    project.live(DAY, until=lambda: project.release().challenger == third)
    assert project.releases()[1].phase is Phase.ROLLED_BACK
    assert project.champion().unit == third
    project.holds()


def test_a_shorter_watch_in_flyball_yaml_lets_the_next_version_go(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of({**AT_ONCE, "watch": "7d"}))
    project.first_champion()
    project.version()
    third = project.version(by="policy:weekly")
    project.live(HOUR)
    assert len(project.releases()) == 2
    project.spec = spec_of({**AT_ONCE, "watch": "10m"})
    project.restart()
    project.tick()
    assert project.release().challenger == third
    project.holds()


def test_identical_challengers_settle(tmp_path: Path) -> None:
    """A/A: eight releases in which nothing differs; the engine raises no alarm that its statistics did not."""
    project = Project(tmp_path)
    project.first_champion()
    for number in range(8):
        project.version()
        project.live(8 * DAY, until=lambda: project.release().phase in {Phase.SETTLED, Phase.ROLLED_BACK})
        assert project.release().phase is Phase.SETTLED, project.release().reason
        assert project.champion().unit == project.unit_of(number + 2)
    project.holds()


def in_a_step_of_a_day(root: Path) -> Project:
    """With a clock that goes on while nobody looks."""
    project = Project(
        root, spec_of({**AT_ONCE, "steps": [{"traffic": "50%", "at_least": "1d", "at_most": "4d", "min_requests": 0}]})
    )
    project.clock.simulated = False
    project.version()
    project.version()
    assert project.release().phase is Phase.CANARY
    return project


def test_a_step_is_not_served_while_no_controller_lives(tmp_path: Path) -> None:
    project = in_a_step_of_a_day(tmp_path)
    project.clock.sleep(HOUR)
    project.tick()
    project.clock.sleep(30 * HOUR)
    project.gateways.silent = 30 * HOUR
    project.restart()
    project.gateways.renew_lease()  # as its heartbeat does, before it looks
    project.tick()
    assert (project.release().phase, project.release().unwatched) == (Phase.CANARY, 30 * HOUR)
    project.clock.sleep(5 * DAY)
    project.gateways.silent = 5 * DAY  # the machine slept
    project.tick()
    assert (project.release().phase, project.release().unwatched) == (Phase.CANARY, 30 * HOUR + 5 * DAY)
    assert "nobody looked after it for" in release_report.report(project.door, None).history[-1]
    project.holds()


def test_time_in_which_nobody_looked_is_noted_once_wherever_its_controllers_die(tmp_path: Path) -> None:
    project = in_a_step_of_a_day(tmp_path)
    project.clock.sleep(HOUR)
    project.tick()
    for away, renewed in ((30 * HOUR, False), (30 * HOUR + SECOND, True), (SECOND, True)):  # no death leaves time for a look
        project.clock.sleep(30 * HOUR if away == 30 * HOUR else SECOND)
        project.gateways.silent = away
        project.restart()
        if renewed:
            project.gateways.renew_lease()
    project.tick()
    assert (project.release().phase, project.release().unwatched) == (Phase.CANARY, 30 * HOUR)


def test_time_before_the_first_look_is_watched_by_nobody(tmp_path: Path) -> None:
    """`flyball run` trains before its only tick, or a first look fails for hours."""
    project = in_a_step_of_a_day(tmp_path)
    project.gateways.silent = SECOND
    project.restart()
    project.clock.sleep(30 * HOUR)
    project.gateways.silent = 30 * HOUR
    project.tick()
    assert (project.release().phase, project.release().unwatched) == (Phase.CANARY, 30 * HOUR)


def test_a_canary_that_gateways_hold_at_0_goes_nowhere_and_was_not_served(tmp_path: Path) -> None:
    project = in_a_step_of_a_day(tmp_path)
    project.gateways.suspended = True
    for _ in range(3):
        project.clock.sleep(HOUR)
        project.tick()
    waits = "waits until every gateway is seen to serve canary step 1: a gateway holds the canary at 0"
    assert waits in project.engine.releases.waiting_for
    project.gateways.suspended = False
    project.tick()
    assert (project.release().withheld, project.release().unwatched) == (3 * HOUR, 0 * HOUR)


def test_a_release_that_was_opened_by_a_clock_that_was_ahead_counts_from_now_on(tmp_path: Path) -> None:
    project = in_a_step_of_a_day(tmp_path)
    now, release = project.clock.now(), project.release()
    ahead = msgspec.structs.replace(release, opened_at=now + 30 * DAY, entered_at=now + 30 * DAY, verified_at=now + 30 * DAY)
    project.engine.world.record(draft(now, "test.ahead", "release", {}, (put("release", release.id, ahead),)))
    project.restart()
    project.tick()
    seen = project.release()
    assert (seen.opened_at, seen.entered_at, seen.verified_at) == (now, now, now)


def test_a_look_that_cannot_read_what_was_captured_gives_nothing_up_for_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = in_a_step_of_a_day(tmp_path)

    def away(*_: object) -> None:
        raise StoreUnavailable("capture/ cannot be read")

    monkeypatch.setattr(project.capture, "read", away)
    project.clock.sleep(5 * DAY)
    for duration, phase in ((HOUR / 2, Phase.CANARY), (HOUR / 2, Phase.CANARY), (HOUR / 2, Phase.ROLLED_BACK)):
        with pytest.raises(StoreUnavailable):
            project.engine.tick()
        assert project.release().phase is phase
        project.clock.sleep(duration)


def test_another_share_in_flyball_yaml_reaches_the_step_under_way_which_begins_anew(tmp_path: Path) -> None:
    project = in_a_step_of_a_day(tmp_path)
    project.clock.sleep(HOUR)
    project.spec = spec_of({**AT_ONCE, "steps": [{"traffic": "1%", "at_least": "1d", "at_most": "4d", "min_requests": 0}]})
    project.restart()
    project.tick()
    table, now = project.gateways.served["0"], project.clock.now()
    assert (table.routes[0].canary_weight, project.release().entered_at, project.release().verified_at) == (0.01, now, now)
    assert release_report.report(project.door, None).place == "canary step 1 of 1, 1% of the keys"
    moved = msgspec.structs.replace(project.release(), weight=0.7, weighed_at=now)  # by a bandit that is asked for no more
    project.engine.world.record(draft(now, "test.weighed", "release", {}, (put("release", moved.id, moved),)))
    project.spec = spec_of({**AT_ONCE, "steps": [{"traffic": "2%", "at_least": "1d", "at_most": "4d", "min_requests": 0}]})
    project.restart()
    project.tick()
    assert (project.gateways.served["0"].routes[0].canary_weight, project.release().weight) == (0.02, None)
    project.restart()
    project.tick()
    assert project.ledger.events()[-1].kind == "control.claimed"


def test_what_a_release_waits_for_is_told_with_the_moment_of_which_it_is_true(tmp_path: Path) -> None:
    """A look in which nothing was new is not kept, so that what was waited for may have passed."""
    project = in_a_step_of_a_day(tmp_path)
    project.tick()
    looked = project.clock.now()
    project.clock.sleep(HOUR)
    words = release_report.report(project.door, None).words
    assert "waits until" in words
    assert words.endswith(f"(As of {looked:%Y-%m-%d %H:%M:%S} UTC.)"), words

"""What guards of a release rest on: mature rows, hours in which both were asked, phases that only some gateways serve, packages that are gone."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, RELEASE, START, Model, Project, spec_of

from flyball.control import commands, decisions
from flyball.control.world import draft, micros, put
from flyball.errors import FlyballError
from flyball.records.captured import Captured, PredictionBatch
from flyball.records.decisions import Approval
from flyball.records.release import Phase, ReleaseLook
from flyball.release import guards
from flyball.release.decide import policy_of

AB: dict[str, Any] = {
    "strategy": "ab",
    "shadow": None,
    "steps": [{"traffic": "50%", "at_least": "6h", "at_most": "12d", "min_requests": 100}],
    "labels": "never",
    "watch": "1d",
    "margin": 0.1,
    "guards": [{"metric": "reward", "between": [0, 1], "margin": 0.0}],
}
DATA = {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"}
MINUTE = timedelta(minutes=1)


def challenged(project: Project, model: Model = Model()) -> tuple[str, str]:  # noqa: B008 - frozen
    return project.first_champion(), project.version(model)


def ticks(project: Project, count: int) -> None:
    for _ in range(count):
        with suppress(FlyballError):
            project.engine.tick()


@pytest.mark.parametrize(
    "release", [AT_ONCE, {**AT_ONCE, "steps": [{"traffic": "50%", "at_most": "4d"}]}], ids=["full", "canary"]
)
def test_harm_at_the_one_worker_that_serves_a_phase_takes_it_back(tmp_path: Path, release: dict[str, Any]) -> None:
    project = Project(tmp_path, spec_of(release), workers=2)
    champion = project.first_champion()
    project.gateways.unreachable.add("1")
    challenger = project.version()
    assert project.release().verified_at is None
    project.failing.add(challenger)
    project.live(6 * HOUR, step=HOUR, until=lambda: project.release().phase is Phase.ROLLING_BACK)
    assert project.release().phase is Phase.ROLLING_BACK, project.engine.releases.waiting_for
    assert "harm is shown: failure_rate" in project.release().reason
    project.gateways.restart("1")
    project.tick()
    assert (project.release().phase, project.answering()) == (Phase.ROLLED_BACK, champion)
    project.holds()


def test_all_traffic_that_one_worker_never_takes_is_given_up(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE), workers=2)
    champion = project.first_champion()
    project.gateways.unreachable.add("1")
    project.version()
    project.live(6 * HOUR, step=HOUR)
    assert (project.release().phase, project.release().verified_at) == (Phase.FULL, None)
    project.live(DAY, step=HOUR)
    assert project.release().phase is Phase.ROLLING_BACK
    assert "gave up after 12 h" in project.release().reason
    assert project.champion().unit == champion


def test_failures_of_the_champion_while_the_release_was_held_are_no_baseline(tmp_path: Path) -> None:
    release = {**RELEASE, "shadow": {"at_least": "6h", "at_most": "30d", "min_labels": 50_000}}
    project = Project(tmp_path, spec_of(release))
    champion, challenger = challenged(project)
    project.live(DAY)
    commands.order(project.door, "hold", "user:me", "a storm comes")
    project.tick()
    project.failing.add(champion)
    project.live(3 * DAY)
    project.failing.clear()
    commands.order(project.door, "resume", "user:me", "it is over")
    project.tick()
    assert project.release().phase is Phase.SHADOW
    for _ in range(4):
        project.failing.add(challenger)
        project.live(6 * HOUR)
        project.failing.clear()
        project.live(12 * HOUR, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert project.release().phase is Phase.ROLLED_BACK, project.engine.releases.waiting_for
    assert "harm is shown: failure_rate" in project.release().reason
    project.holds()


def test_rewards_of_those_who_buy_at_once_decide_nothing(tmp_path: Path) -> None:
    """Every outcome is known after five days, as declared; these rewards come within the hour."""
    project = Project(tmp_path, spec_of(AB, data=DATA | {"label_delay": "5d"}))
    champion, challenger = challenged(project)
    project.earns = {champion: 0.5, challenger: 0.8}
    project.live(4 * DAY, rows=120, step=2 * HOUR)
    assert project.release().phase is Phase.CANARY
    assert "not both have a reward yet" in project.engine.releases.waiting_for
    project.live(6 * DAY, rows=120, step=2 * HOUR, until=lambda: project.release().phase is Phase.WATCHING)
    assert project.release().phase is Phase.WATCHING, project.engine.releases.waiting_for
    project.holds()


def test_an_absurd_reward_is_cut_for_the_bandit_as_for_its_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bandit = {**AB, "strategy": "bandit", "steps": [{"traffic": "10%", "at_least": "2d", "at_most": "6d", "min_requests": 50}]}
    project = Project(tmp_path, spec_of(bandit))
    champion, challenger = challenged(project)
    project.earns = {champion: 0.5, challenger: 0.8}
    plain = project._rewards

    def rewards(ids: list[str], answers: list[Captured]) -> list[float | None]:
        return [1e200, *plain(ids, answers)[1:]]

    monkeypatch.setattr(project, "_rewards", rewards)
    project.live(2 * DAY, rows=120, step=HOUR, until=lambda: (project.release().weight or 0.0) > 0.5)
    assert (project.release().weight or 0.0) > 0.5
    project.holds()


YOUNG: dict[str, Any] = {**RELEASE, "shadow": {"at_least": "10m", "at_most": "20d", "min_labels": 100}}


def young_project(tmp_path: Path) -> tuple[Project, str]:
    """No label has ever come before the release began, and no delay is declared."""
    project = Project(tmp_path, spec_of(YOUNG, data=DATA))
    project.unlabelled = True
    project.first_champion()
    project.unlabelled, project.label_delay = False, timedelta(0)
    return project, project.version()


def test_before_it_is_known_how_long_labels_take_nothing_passes_by_those_that_came_at_once(tmp_path: Path) -> None:
    """`no` comes at once and `yes` after five days: on these rows a challenger that always says no is the better one."""
    project, challenger = young_project(tmp_path)
    project.slow_yes, project.constant[challenger] = 5 * DAY, 0.15
    project.live(50 * MINUTE, rows=200, step=10 * MINUTE)
    assert project.release().phase is Phase.SHADOW
    assert "waits for loss until it is known how long labels take (" in project.engine.releases.waiting_for
    assert "too few, or too young" in project.engine.releases.waiting_for
    project.holds()


def slow_project(tmp_path: Path, at_most: str) -> tuple[Project, str]:
    """Two days of traffic, and no delay is declared: `no` comes at once, `yes` after five days."""
    release = {**RELEASE, "shadow": {"at_least": "10m", "at_most": at_most, "min_labels": 100}}
    steps = [{**step, "at_most": at_most} for step in RELEASE["steps"]]
    project = Project(tmp_path, spec_of({**release, "steps": steps, "watch": "1h"}, data=DATA))
    project.slow_yes = 5 * DAY
    project.version()
    project.live(2 * DAY, rows=200, step=2 * HOUR)
    assert project.release().phase is Phase.SETTLED
    return project, project.version()


def test_labels_that_come_first_are_not_taken_for_nearly_all_and_an_age_learned_of_them_does_not_stay(tmp_path: Path) -> None:
    project, challenger = slow_project(tmp_path, "20d")
    project.constant[challenger] = 0.15
    project.live(2 * DAY, rows=200, step=2 * HOUR, until=lambda: project.release().phase is not Phase.SHADOW)
    assert (project.release().phase, project.release().passed) == (Phase.SHADOW, ("failure_rate",))
    assert "which may be those that come first" in project.engine.releases.waiting_for
    project.live(16 * DAY, rows=200, step=6 * HOUR, until=lambda: project.release().phase is not Phase.SHADOW)
    assert "harm is shown: loss" in project.release().reason
    project.holds()


def test_the_age_and_the_halved_error_rate_of_who_began_before_it_was_known_outlive_a_restart(tmp_path: Path) -> None:
    project, _ = slow_project(tmp_path, "20d")
    rule = next(each for each in policy_of(project.spec).guards if each.name == "loss")

    def alpha() -> float | None:
        look = project.door.get("release_look", project.release().id, ReleaseLook)
        assert look is not None
        return next(each.alpha for each in look.evidence if each.name == "loss" and each.n)

    project.live(DAY, rows=200, step=2 * HOUR)
    assert (project.release().began_young, project.release().ripe_us, alpha()) == (True, None, rule.alpha / 2.0)
    project.live(9 * DAY, rows=200, step=6 * HOUR, until=lambda: project.release().ripe_us is not None)
    known = project.release().ripe_us
    assert known is not None
    assert known > micros(START + 4 * DAY) - micros(START)
    project.slow_yes = 0 * DAY
    project.restart()
    project.live(3 * DAY, rows=200, step=6 * HOUR)
    assert project.release().phase is not Phase.SHADOW
    assert (project.release().ripe_us, alpha()) == (known, rule.alpha / 2.0)
    project.holds()


def test_where_labels_come_for_a_part_of_the_rows_for_good_no_release_waits_for_the_others(tmp_path: Path) -> None:
    """Ages are known as high as it waits: what comes later would come too late for it."""
    project, _ = slow_project(tmp_path, "4d")
    project.slow_yes = 400 * DAY
    project.late = [(at, batch) for at, batch in project.late if at <= project.clock.now()]
    project.live(DAY, rows=200, step=2 * HOUR)
    assert "until it is known how long labels take" in project.engine.releases.waiting_for
    project.live(3 * DAY, rows=200, step=2 * HOUR, until=lambda: project.release().phase is not Phase.SHADOW)
    assert project.release().phase is Phase.CANARY, project.engine.releases.waiting_for
    assert "loss" in project.release().passed
    project.holds()


def test_harm_is_shown_by_labels_before_it_is_known_how_long_they_take(tmp_path: Path) -> None:
    project, challenger = young_project(tmp_path)
    project.slow_yes, project.constant[challenger] = 5 * DAY, 0.99
    project.live(50 * MINUTE, rows=200, step=10 * MINUTE, until=lambda: project.release().phase is Phase.ROLLED_BACK)
    assert "harm is shown: loss" in project.release().reason


def test_where_labels_come_at_once_nobody_waits_until_that_is_learned(tmp_path: Path) -> None:
    project, _ = young_project(tmp_path)
    project.live(50 * MINUTE, rows=200, step=10 * MINUTE, until=lambda: project.release().phase is Phase.CANARY)
    assert project.release().phase is Phase.CANARY, project.engine.releases.waiting_for
    assert "loss" in project.release().passed
    project.holds()


def test_a_challenger_whose_package_is_gone_when_it_is_to_move_on_is_taken_back_and_blocks_nobody(tmp_path: Path) -> None:
    project = Project(tmp_path)
    champion, challenger = challenged(project)
    commands.order(project.door, "hold", "user:me", "wait")
    project.tick()
    (file,) = (tmp_path / "registry" / "shop" / "2").rglob("signature.json")
    whole = file.read_bytes()
    file.write_bytes(whole + b" ")
    project.restart()
    commands.order(project.door, "resume", "user:me", "go on")
    ticks(project, 4)
    assert (project.release().phase, project.release().challenger) == (Phase.ROLLED_BACK, challenger)
    assert f"the package of {challenger} is not whole" in project.release().reason
    file.write_bytes(whole)
    newer = project.version()
    assert (project.release().challenger, project.release().phase, project.answering()) == (newer, Phase.SHADOW, champion)
    project.holds()


LATENCY: dict[str, Any] = {
    **RELEASE,
    "shadow": None,
    "labels": "never",
    "steps": [{"traffic": "50%", "at_least": "12h", "at_most": "4d", "min_requests": 10}],
    "guards": [{"metric": "latency_p50_ms", "margin": 9, "must": "pass"}, {"metric": "loss", "slice": "high", "margin": 0.9}],
}
SLICED: dict[str, Any] = {"monitor": {"min_rows": 20, "mature_share": 0.99, "slices": [{"name": "high", "where": "x > 1.0"}]}}


def test_a_look_that_finds_nothing_new_reckons_nothing_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path, spec_of(LATENCY, **SLICED))
    challenged(project)
    project.live(2 * HOUR, rows=12, step=10 * MINUTE)
    asked: list[int] = []
    latency = guards.latency

    def counted(*arguments: Any) -> Any:
        asked.append(1)
        return latency(*arguments)

    monkeypatch.setattr(guards, "latency", counted)
    release, policy, measuring = project.release(), policy_of(project.spec), project.engine.releases._measuring
    first, again = measuring.look(release, policy), measuring.look(release, policy)
    assert (asked, first) == ([], again)
    assert {each.name: each.value for each in first.evidence}["latency_p50_ms"] is not None
    project.live(HOUR, rows=12, step=10 * MINUTE)
    assert asked


def test_nobody_looks_for_an_approval_where_none_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path)
    challenged(project)
    world = project.engine.world
    old = Approval(
        id="d-000001", decision="d-000001", action_digest="", requested_at=project.clock.now(), requested_by="release", expires_at=None, answer="approved"
    )  # fmt: skip
    world.record(draft(project.clock.now(), "test.began", "decision:d-000001", {}, (put("approval", "d-000001", old),)))

    def never(*_: object) -> None:
        raise AssertionError("the ledger is asked for a decision")

    monkeypatch.setattr(decisions, "find", never)
    project.live(DAY)
    assert project.release().phase is not Phase.PROPOSED


def test_what_is_compared_is_held_while_a_guard_asks_for_it_and_no_longer(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(LATENCY, **SLICED))
    challenged(project)
    project.live(HOUR, rows=60, step=10 * MINUTE)
    tally, members = project.engine.observation.release_tally, project.engine.observation.members
    assert tally.matched().ids
    assert members.of("high")
    project.roll_back()
    project.live(HOUR, rows=60, step=10 * MINUTE)
    assert (tally.matched().ids, tally._open, members.of("high")) == ((), {}, frozenset())
    plain = Project(tmp_path / "plain")
    challenged(plain)
    plain.live(HOUR, rows=60, step=10 * MINUTE)
    assert plain.engine.observation.release_tally._open == {}


def test_a_release_is_not_judged_by_what_was_counted_for_the_one_before(tmp_path: Path) -> None:
    step = {"traffic": "50%", "at_least": "1h", "at_most": "4d", "min_requests": 10}
    project = Project(tmp_path, spec_of({**AT_ONCE, "steps": [step], "guards": [{"metric": "latency_p95_ms", "margin": 1.0}]}))
    units = project.version(), project.version()
    counted = [
        PredictionBatch(
            at_us=micros(project.clock.now()), model="shop", unit=unit, role=role, revision=1, ids=[f"{unit}-{place}"], keys=[""],
            columns={"x": [0.5]}, scores=[[0.5]], latency_us=100,
        )
        for unit, role in zip(units, ("champion", "canary"), strict=True) for place in range(50)
    ]  # fmt: skip
    project.capture.hand_over(counted)
    project.clock.sleep(HOUR)
    project.tick()
    assert looks_of(project, "r-0002")[-1]["latency_p95_ms"] == 50
    assert project.release().phase is Phase.WATCHING, project.engine.releases.waiting_for
    project.version()
    assert {each["latency_p95_ms"] for each in looks_of(project, "r-0003")} == {0}


def looks_of(project: Project, release: str) -> list[dict[str, int]]:
    """Of each look that was kept: guard → rows."""
    looks = [event.payload for event in project.ledger.events(kinds=("release.looked",), subject=f"release:{release}")]
    return [{each["name"]: each["n"] for each in look["evidence"]} for look in looks]

"""Tournaments through the whole engine: who competes, who goes to release, what is told of it, and when nothing is tried at all."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from engine_models import START
from engine_world import AT_ONCE, DAY, Model, Project, spec_of

from flyball.control import bounds, commands, decisions, explaining, findings, job_story, queries, remedies, taken_back
from flyball.control import tournaments as job_tournaments
from flyball.control.remedies import Acts
from flyball.control.standing import puts_of
from flyball.control.windows import SignalHistory
from flyball.control.world import draft, micros, put
from flyball.errors import NotFound
from flyball.records.evidence import Evidence
from flyball.records.findings import Finding, FindingKind
from flyball.records.jobs import Job, JobStatus
from flyball.records.release import Phase, ReleaseState, Replayed
from flyball.records.tournaments import Entrant, Tournament
from flyball.records.unit import Unit
from flyball.registry.unit import altered

MONITOR = {"min_rows": 20, "mature_share": 0.99}
RELEASE: dict[str, Any] = {
    "shadow": {"at_least": "6h", "at_most": "4d", "min_labels": 100}, "steps": [], "watch": "6h", "margin": 0.05,
}  # fmt: skip
IMPROVE = {"name": "better", "when": "window.predictions > 30", "do": "improve", "cooldown": "300d"}


def policy(do: Any, **more: Any) -> dict[str, Any]:
    return {**IMPROVE, "do": do, **more}


def project_of(root: Path, *policies: dict[str, Any], release: dict[str, Any] = AT_ONCE, **more: Any) -> Project:
    return Project(root, spec_of(release, list(policies), **{"monitor": MONITOR, **more}))


def two_champions(project: Project, first: Model = Model(), second: Model = Model()) -> tuple[str, str]:  # noqa: B008 - frozen
    """Each settled; windows with so little traffic that no policy looks at them."""
    old = project.version(first)
    project.live(DAY, rows=5)
    new = project.version(second)
    project.live(DAY, rows=5)
    assert project.champion().unit == new
    return old, new


def tournaments(project: Project) -> list[Tournament]:
    return list(project.door.all("tournament", Tournament))


def made_by_policies(project: Project) -> list[Job]:
    return [job for job in project.door.all("job", Job) if job.cause.startswith("d-")]


def fault(project: Project, kind: FindingKind = FindingKind.DATA_QUALITY, since: datetime | None = None) -> Finding:
    """A finding on the champion, as a window's end raises it."""
    now, world = project.clock.now(), project.engine.world
    finding = Finding(
        id=f"f-{kind}-{len(project.findings())}", kind=kind, model="shop", unit=project.champion().unit, subject="x", window_start=now,
        window_end=now + DAY, effect=1.0, effect_unit="share", evidence=Evidence(name="share", value=1.0, n=100), share_of_budget=None,
        words="x is in another unit", changed_since=since,
    )  # fmt: skip
    world.record(draft(now, "finding.raised", f"finding:{finding.id}", {}, puts_of(world, (finding,)), key=finding.id))
    return project.findings()[-1]


def test_an_earlier_unit_that_fits_the_present_better_is_released_again_and_makes_no_version(tmp_path: Path) -> None:
    """Its first release was settled long ago: it has another one, with shadow and all, and not a blind rollback."""
    project = project_of(tmp_path, policy("reactivate"), release=RELEASE)
    old = project.version(Model(wrong=1.0))
    project.live(DAY, rows=5, until=lambda: project.release().phase is Phase.SETTLED)
    new = project.version(Model())
    project.live(6 * DAY, rows=25, until=lambda: project.release().phase is Phase.SETTLED)
    assert project.champion().unit == new
    project.turned = 1.0
    project.workshop.turned["j-0003"] = 1.0
    project.live(8 * DAY, rows=40)
    (held,) = tournaments(project)
    assert (held.winner, held.unit) == (f"earlier:{old}", old)
    assert [release.challenger for release in project.releases()] == [old, new, old]
    assert project.phases(project.release().id)[:2] == ["proposed", "shadow"]
    assert project.release().phase is Phase.SETTLED
    assert project.champion().unit == project.answering() == old
    assert project.champion().verified == (new, old)
    assert len(project.registry.versions("shop")) == 2
    assert [job.status for job in made_by_policies(project)] == [JobStatus.REGISTERED]
    (ended,) = bounds.ended_acts(project.door, {made_by_policies(project)[0].cause: "reactivate"})
    assert (ended.failed, ended.words) == (False, f"{project.release().id} settled")
    project.holds()


def test_a_rise_stands_under_an_earlier_unit_that_came_back_and_is_far_from_what_was_normal(tmp_path: Path) -> None:
    """Else nobody would learn from the rows since: beside its own windows it does as ever."""
    project = project_of(tmp_path, policy("reactivate", when="improvement.excess > 1.0"), release=RELEASE)
    old = project.version(Model(wrong=0.6))
    project.live(DAY, rows=5, until=lambda: project.release().phase is Phase.SETTLED)
    project.version(Model())
    project.live(9 * DAY, rows=40, until=lambda: project.release().phase is Phase.SETTLED)
    project.live(6 * DAY, rows=40)
    turned_at = project.clock.now()
    project.turned = project.workshop.turned["j-0003"] = 1.0
    project.live(10 * DAY, rows=40)
    assert project.champion().unit == old
    seen = project.door.get("signals", "shop", SignalHistory).recent[-1]
    assert seen.unit == old
    assert seen.signals["improvement.excess"] > 0.5
    assert abs(seen.risen_since - turned_at) <= DAY
    assert remedies._changed_since((), [seen]) == seen.risen_since  # what `since` learns from
    told = fault(project, FindingKind.PERFORMANCE, since=turned_at)
    assert remedies._changed_since((told,), [seen]) == turned_at
    project.holds()


def test_a_recalibrated_champion_is_another_unit_of_its_version_and_no_alarm_of_its_own_making(tmp_path: Path) -> None:
    declared = {"slices": [{"name": "far", "where": "x > 1.4"}]}
    project = project_of(tmp_path, policy("recalibrate"), release=RELEASE, monitor=MONITOR | declared)
    first = project.version(Model(wrong=0.35))
    project.live(DAY, rows=5)
    project.live(20 * DAY, rows=40)
    (held,) = tournaments(project)
    assert held.winner == "recalibrate"
    unit = project.door.get("unit", held.unit, Unit)
    assert (unit.version, unit.id == first, unit.calibration.method) == (1, False, "isotonic")
    assert project.champion().unit == project.answering() == unit.id
    assert project.release().phase is Phase.SETTLED
    assert [each.kind for each in project.findings() if each.unit == unit.id] == []
    assert len([each for each in project.windows() if each.unit == unit.id and each.mature]) > 8
    (far,) = queries.status(project.door, controller_alive=True).slices
    assert (
        far.note
        == "not judged: its answers are recalibrated, and nobody has seen how they go with labels; the next version is judged"
    )
    back = project.roll_back()
    assert back.status == "done"
    project.live(DAY, rows=5)
    assert project.champion().unit == project.answering() == first
    project.holds()


def test_a_map_is_not_judged_on_captured_requests_whose_labels_it_was_fitted_on(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("recalibrate"), release={**RELEASE, "replay": {"rows": 2000}})
    project.version(Model(wrong=0.35))
    project.live(DAY, rows=5)
    project.live(20 * DAY, rows=40, until=lambda: len(project.releases()) == 2)
    unit, replayed = (project.door.get(*each) for each in (
        ("unit", project.release().challenger, Unit), ("replayed", project.release().id, Replayed)
    ))  # fmt: skip
    join = project.engine.observation.join
    later = join.labelled(micros(unit.calibration.until) + 1, micros(project.clock.now()))
    assert join.labelled(0, micros(project.clock.now())) > later
    assert {each.name: each.n for each in replayed.evidence}["replay:loss"] <= later
    project.holds()


def test_another_threshold_goes_through_the_same_release(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("rethreshold"))
    first = project.version()
    project.live(4 * DAY, rows=40)
    unit = project.door.get("unit", project.champion().unit, Unit)
    assert (unit.version, unit.threshold, unit.calibration) == (1, 0.42, None)
    assert [release.challenger for release in project.releases()] == [first, unit.id]
    project.holds()


def test_a_threshold_that_was_sought_before_a_recalibration_is_not_kept_after_it(tmp_path: Path) -> None:
    few, many = "window.predictions > 100 && window.predictions < 200", "window.predictions > 200"
    policies = policy("rethreshold", name="threshold", when=few), policy("recalibrate", name="map", when=many)
    project = project_of(tmp_path, *policies, serve={"threshold": 0.3})
    project.version(Model(wrong=0.35))
    project.live(4 * DAY, rows=40)
    assert project.door.get("unit", project.champion().unit, Unit).threshold == 0.42
    project.live(4 * DAY, rows=60)
    unit = project.door.get("unit", project.champion().unit, Unit)
    assert unit.calibration is not None
    assert unit.threshold == 0.3
    project.holds()


def test_whoever_was_trained_and_wins_is_gated_and_becomes_a_version(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("improve"))
    old, new = two_champions(project, Model(wrong=0.2), Model())
    project.turned = project.workshop.turned["j-0003"] = 1.0
    project.workshop.plans["j-0003"] = Model(wrong=1.0)
    project.live(3 * DAY, rows=40)
    (held,) = tournaments(project)
    assert (held.winner, held.unit) == ("all", None)
    assert project.workshop.tried["j-0003"][:2] == [f"earlier:{old}", "all"]
    assert len(project.registry.versions("shop")) == 3
    assert project.champion().unit == project.unit_of(3) not in (old, new)
    rooms = [made.room for made in decisions.recorded(project.door) if made.room in ("tournament", "gates")]
    assert rooms == ["gates", "gates", "tournament", "gates"]
    project.holds()


def test_a_winner_that_its_gates_refuse_is_a_failure_and_a_tournament_that_nobody_wins_is_none(tmp_path: Path) -> None:
    every_day = policy({"action": "improve", "entrants": ["all", "earlier"]}, cooldown="1d")
    project = project_of(tmp_path, every_day, autopilot={"breaker": {"failures": 2}})
    two_champions(project, Model(wrong=0.3), Model())
    project.live(6 * DAY, rows=40, step=DAY)
    assert len(made_by_policies(project)) >= 4
    assert {job.status for job in made_by_policies(project)} == {JobStatus.REFUSED}
    assert all(each.winner is None for each in tournaments(project))
    assert all("Nobody is shown to be better" in job.error and "earlier:" in job.error for job in made_by_policies(project))
    assert bounds.breaker_of(project.door) is None
    for number in range(3, 40):
        project.workshop.turned[f"j-{number:04d}"] = 1.0
        project.workshop.plans[f"j-{number:04d}"] = Model(wrong=1.0, passes=False)
    project.live(4 * DAY, rows=40, step=DAY)
    assert "2 actions failed in a row" in bounds.breaker_of(project.door).words
    assert bounds.breaker_of(project.door).actions == ("improve",)
    assert bounds.levels(project.door)["improve"] == "propose"
    project.holds()


@pytest.mark.parametrize("do", ["improve", "retrain", "recalibrate", "rethreshold"])
def test_while_a_fault_of_the_data_stands_nothing_is_fitted_unless_the_policy_says_so(tmp_path: Path, do: str) -> None:
    project = project_of(tmp_path, policy(do))
    two_champions(project, Model(wrong=0.3), Model())
    found = fault(project)
    project.live(2 * DAY, rows=40)
    assert made_by_policies(project) == []
    nothing = [made for made in decisions.recorded(project.door) if made.room == "autopilot"]
    assert [action.kind for action in nothing[-1].plan.actions] == ["nothing"]
    assert "incident 1 is taken for a data fault, which is mended upstream and never trained" in nothing[-1].plan.rationale
    findings.acknowledge(project.door, str(found.number), "user:me", "mended", as_normal=False)
    project.live(2 * DAY, rows=40)
    assert len(made_by_policies(project)) == 1
    project.holds()
    learnt = project_of(tmp_path / "on", policy({"action": do, "on_faults": True}))
    two_champions(learnt, Model(wrong=0.3), Model())
    fault(learnt)
    learnt.live(2 * DAY, rows=40)
    assert len(made_by_policies(learnt)) == 1


@pytest.mark.parametrize("do", ["improve", "retrain"])
@pytest.mark.parametrize("on_faults", [False, True])
def test_a_yes_that_comes_when_the_data_are_faulty_fits_nothing_unless_the_policy_says_so(
    tmp_path: Path, do: str, on_faults: bool
) -> None:
    project = project_of(tmp_path, policy({"action": do, "on_faults": on_faults}, needs="approval"))
    two_champions(project, Model(wrong=0.3), Model())
    project.live(DAY, rows=40)
    (asked,) = [each for each in project.approvals() if each.answer is None]
    fault(project)
    commands.answer(project.door, asked.id, yes=True, actor="user:me", reason="")
    project.tick()
    words = project.ledger.events(kinds=("todo.done",))[-1].payload["words"]
    assert len(made_by_policies(project)) == on_faults
    assert ("is taken for a data fault" in words) is not on_faults
    project.holds()
    past = project.door.get("acts", project.door.model, Acts).past
    assert [act.action for act in past] == (
        ["ask"] if on_faults else []
    )  # else its cooldown would begin, and its incident be dealt with
    assert (words in [heard for _, heard in project.told.heard]) is not on_faults


def test_an_earlier_unit_may_come_back_while_the_data_are_faulty_for_nothing_is_fitted(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("reactivate"))
    old, _ = two_champions(project, Model(wrong=1.0), Model())
    fault(project)
    project.turned = project.workshop.turned["j-0003"] = 1.0
    project.live(2 * DAY, rows=40)
    assert project.champion().unit == old


def test_retraining_since_the_change_takes_the_newest_findings_change_and_waits_for_one(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy({"action": "retrain", "history": "since_change"}))
    project.version()
    project.live(2 * DAY, rows=40)
    assert made_by_policies(project) == []
    assert "no finding that stands says since when" in decisions.recorded(project.door)[-1].plan.rationale
    began = project.clock.now() - 5 * DAY
    fault(project, FindingKind.PERFORMANCE, since=began)
    project.live(2 * DAY, rows=40)
    (job,) = made_by_policies(project)
    assert job.overrides == {"since": began.isoformat()}
    project.holds()


def test_with_no_earlier_unit_there_is_nothing_to_reactivate_and_it_says_so(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("reactivate"))
    project.version()
    project.live(2 * DAY, rows=40)
    assert made_by_policies(project) == []
    assert "there is no earlier verified unit that answers otherwise" in decisions.recorded(project.door)[-1].plan.rationale


def test_a_tournament_that_a_person_agrees_to_when_the_champion_is_another_is_not_held(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("improve", needs="approval"))
    two_champions(project, Model(wrong=0.3), Model())
    project.live(DAY, rows=40)
    (asked,) = [each for each in project.approvals() if each.answer is None]
    assert "Try recalibrate, earlier:" in decisions.find(project.door, asked.decision).plan.rationale
    commands.order(project.door, "roll_back", "user:me", "at the same moment")
    commands.answer(project.door, asked.id, yes=True, actor="user:me", reason="")
    project.tick()
    assert made_by_policies(project) == []
    assert "is champion no more" in project.ledger.events(kinds=("todo.done",))[-1].payload["words"]
    project.holds()


def test_a_tournament_whose_champion_went_while_it_ran_releases_nobody(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("reactivate"))
    old, new = two_champions(project, Model(wrong=1.0), Model())
    project.turned = project.workshop.turned["j-0003"] = 1.0
    while not made_by_policies(project):  # one tick after the other, so that an order comes between its launch and its end
        project.send(60)
        project.clock.sleep(DAY)
        project.deliver()
        project.engine.tick()
    assert made_by_policies(project)[0].status is JobStatus.REQUESTED
    commands.order(project.door, "roll_back", "user:me", "a person says so")
    project.tick()
    (job,) = made_by_policies(project)
    assert job.status is JobStatus.REFUSED
    assert f"{new}, beside which everybody was judged, is champion no more" in job.error
    assert project.champion().unit == old
    project.holds()


def test_the_same_unit_may_be_reactivated_time_and_again_as_the_world_turns(tmp_path: Path) -> None:
    """Regimes that recur: A, B, A, B. Each time one release, and the breaker opens after the flip-flops that it was told to allow."""
    project = project_of(tmp_path, policy("reactivate", cooldown="5d"), autopilot={"breaker": {"flip_flops": 16, "within": "2d"}})
    old, new = two_champions(project, Model(wrong=1.0), Model())
    seen = []
    for turn in range(4):
        project.turned = float(turn % 2 == 0)
        for number in range(3, 30):
            project.workshop.turned[f"j-{number:04d}"] = project.turned
        project.live(6 * DAY, rows=40)
        seen.append(project.champion().unit)
    assert seen == [old, new, old, new]
    assert len(project.registry.versions("shop")) == 2
    assert np.all([release.phase is Phase.SETTLED for release in project.releases()])
    project.holds()


def mapped_again(project: Project, days: int = 3) -> Job:
    """The next tournament's job, once it is over."""
    number = len(made_by_policies(project))
    project.live(days * DAY, rows=40, until=lambda: len(made_by_policies(project)) > number)
    assert len(made_by_policies(project)) > number
    return made_by_policies(project)[-1]


@pytest.mark.parametrize("do", ["recalibrate", "rethreshold"])
@pytest.mark.parametrize("restarts", [False, True])
def test_what_a_person_took_back_no_policy_releases_again_but_what_newer_rows_show(
    tmp_path: Path, do: str, restarts: bool
) -> None:
    """The workshop fits another map once it is told of other rows, and its threshold is the same ever: rows from before are no reason for either."""
    project = project_of(tmp_path, policy(do, cooldown="1d"))
    first = project.version(Model(wrong=0.35))
    job = mapped_again(project)
    project.live(DAY, rows=5)
    assert project.champion().unit == job.unit != first
    assert project.roll_back("it is wrong").status == "done"
    project.live(DAY, rows=5)
    assert project.champion().unit == first
    back = project.releases()[-1]
    if restarts:
        project.restart()
    again = mapped_again(project)
    assert (again.status, again.unit) == (JobStatus.REFUSED, None)
    assert f"{do} did not compete (no row judges it)" in again.error
    assert [each.id for each in project.releases()][-1] == back.id
    assert tournaments(project)[-1].winner is None
    assert bounds.breaker_of(project.door) is None
    project.workshop.newer = DAY  # fitted on more rows, and still judged by those from before
    later = mapped_again(project)
    assert later.status is JobStatus.REFUSED
    assert f"{do} did not compete (no row judges it)" in later.error
    project.workshop.newer = 60 * DAY
    since = mapped_again(project)
    assert since.status is JobStatus.REGISTERED
    assert since.unit is not None
    assert all(decisions.replays_equal(made) for made in decisions.recorded(project.door))
    project.holds()


def test_what_was_taken_back_and_served_well_after_that_may_come_again(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    first = project.engine.shelf.unit(project.version())
    found = Evidence(name="cost_gain", value=0.1, lower=0.05, upper=0.15, alpha=0.05, n=900)
    won, at = Entrant(name="rethreshold", fitted=False, gain=found, threshold=0.42), project.clock.now()
    unit = altered(first, "p", threshold=0.42)

    def released(number: int, phase: Phase, **more: Any) -> str:
        other = altered(first, f"policy {number}", threshold=0.42)
        state = ReleaseState(
            id=f"r-{number:04d}", model="shop", challenger=other.id, champion=first.id, phase=phase, opened_at=at, entered_at=at, **more
        )  # fmt: skip
        puts = (put("unit", other.id, other), put("release", state.id, state))
        project.engine.world.record(draft(at, "test.moved", f"release:{state.id}", {}, puts))
        return taken_back.why_not(project.door, won, unit, at - DAY)

    assert released(11, Phase.ROLLED_BACK, superseded=True) == ""
    assert released(12, Phase.ROLLED_BACK).startswith("it would be what r-0012 took back (u")
    assert released(13, Phase.SETTLED) == ""
    assert released(14, Phase.ROLLING_BACK).startswith("it would be what r-0014 took back (u")
    newer = msgspec.structs.replace(won, threshold=0.43)
    assert taken_back.why_not(project.door, newer, altered(first, "p", threshold=0.43), None) == ""
    assert taken_back.why_not(project.door, won, unit, at) == "", "by rows that came since"
    assert taken_back.judged_from(project.door, first.id) == {"rethreshold": at}


@pytest.mark.parametrize("by", ["policy", "person"])
def test_a_unit_that_a_policy_rolled_back_with_its_world_comes_back_with_it(tmp_path: Path, by: str) -> None:
    """A, B, A, B: by a release, and where rows from after the rollback show it better. What a person took back stays away."""
    back = {"name": "back", "when": "window.predictions > 60 && champion.age_days > 1.0", "do": "roll_back", "cooldown": "300d"}
    policies = (*([back] if by == "policy" else []), policy("reactivate", when="window.predictions > 30", cooldown="2d"))
    project = project_of(tmp_path, *policies)
    first, second = two_champions(project, Model(), Model(wrong=1.0))
    project.turned = 1.0
    project.live(2 * DAY, rows=5)
    project.turned = 0.0
    if by == "policy":
        project.live(3 * DAY, rows=80, until=lambda: project.champion().unit == first)
    else:
        assert project.roll_back("it is wrong").status == "done"
    project.live(DAY, rows=5)
    gone_at = project.release().entered_at
    assert project.champion().verified == (first,)
    assert taken_back.by_policies(project.door) == ((second,) if by == "policy" else ())
    project.turned = 1.0
    project.workshop.turned = {f"j-{number:04d}": 1.0 for number in range(3, 6)}
    project.live(3 * DAY, rows=40, until=lambda: bool(made_by_policies(project)))
    if by == "person":
        assert made_by_policies(project) == []
        return
    (early,) = made_by_policies(project)
    assert early.status is JobStatus.REFUSED, "its rows are those that the policy saw"
    assert f"earlier:{second} did not compete (no row judges it)" in early.error
    project.workshop.newer = gone_at + DAY - START
    project.live(5 * DAY, rows=40, until=lambda: project.champion().unit == second)
    held = tournaments(project)[-1]
    assert (held.winner, held.unit) == (f"earlier:{second}", second)
    assert project.phases(project.release().id)[0] == "proposed"
    project.live(DAY, rows=5)
    assert project.champion().verified == (first, second)
    project.turned, project.workshop.turned = 0.0, {}
    project.live(5 * DAY, rows=40, until=lambda: project.champion().unit == first)
    assert project.champion().unit == first
    assert all(decisions.replays_equal(made) for made in decisions.recorded(project.door))
    project.holds()


def test_where_two_tournaments_that_trained_were_won_by_nobody_the_next_seeks_parameters_anew(tmp_path: Path) -> None:
    tuning = {"trials": 4, "space": {"C": [0.1, 10.0]}}
    project = project_of(tmp_path, policy("improve", cooldown="1d"), train={"entrypoint": "pipeline:train", "tuning": tuning})
    two_champions(project)
    project.live(12 * DAY, rows=40, until=lambda: len(made_by_policies(project)) > 4)
    asked = [job_tournaments.order_of(job).strategies for job in made_by_policies(project)]
    assert ["retune" in each for each in asked] == [False, False, True, False, True]
    assert [each.winner for each in tournaments(project)] == [None] * len(tournaments(project))
    seen = project.door.get("signals", "shop", SignalHistory).recent[-1]
    assert seen.signals["improvement.lost_in_a_row"] >= 3
    new = project.version(Model(wrong=0.1))
    project.live(2 * DAY, rows=5, until=lambda: project.champion().unit == new)
    project.live(DAY, rows=5)
    assert project.door.get("signals", "shop", SignalHistory).recent[-1].signals["improvement.lost_in_a_row"] == 0
    assert all(decisions.replays_equal(made) for made in decisions.recorded(project.door))
    project.holds()


def test_a_decision_and_what_came_of_its_tournament_are_told(tmp_path: Path) -> None:
    project = project_of(tmp_path, policy("improve"))
    two_champions(project, Model(wrong=0.3), Model())
    project.live(2 * DAY, rows=40)
    (job,) = made_by_policies(project)
    told = explaining.explain(project.door, job.cause)
    assert any("Nobody is shown to be better" in line for line in told.afterwards)
    found = job_story.story(project.door, job.id)
    assert (found.job.status, found.tournament.winner) == (JobStatus.REFUSED, None)
    assert [each.name.partition(":")[0] for each in found.tournament.standings.entrants if each.gain is not None]
    assert any("Nobody is shown to be better" in line for line in found.afterwards)
    with pytest.raises(NotFound, match="there is no job 'j-0099'"):
        job_story.story(project.door, "j-0099")
    project.holds()


def test_what_is_worth_trying_is_tried_and_what_helped_nobody_ever_less(tmp_path: Path) -> None:
    """The workshop's models of later jobs know nothing of the change: whatever is tried then, nobody is better."""
    project = project_of(tmp_path, {"name": "better", "when": "improvement.worthwhile", "do": "improve"}, release=RELEASE)
    project.version(Model(wrong=0.2))
    project.live(16 * DAY, rows=60, until=lambda: bool(tournaments(project)))
    project.live(3 * DAY, rows=60)  # of its release
    first = tournaments(project)[0]
    told = explaining.explain(project.door, first.cause)
    (words,) = [line for line in told.seen if "a tournament is expected to take" in line]
    assert words.endswith("; go")
    assert f"{words}. Try " in told.rationale
    assert told.replayed_equal
    ((option,), gain) = told.considered, told.decision.situation["signals_by_window"][-1]["improvement.gain"]
    assert option.predicted.value == pytest.approx(-gain)
    assert option.predicted.lower < -gain < option.predicted.upper, "as it was expected then, whatever was foretold of who won"
    assert option.predicted.note.startswith(f"loss -{100 * gain:.1f} % (")
    (history,) = [project.door.get("signals", "shop", SignalHistory)]
    assert [entry.foreseen is None for entry in history.recent] == [*[True] * (len(history.recent) - 1), False]
    assert (first.winner, first.kind, first.excess) == ("all", None, 0.0)
    assert 0.9 < first.growth < 1.4, "in a still world the first comes after about 2.3 times the rows"
    project.turned = 1.0
    project.live(12 * DAY, rows=60)
    later = [held for held in tournaments(project) if held.excess > 0.0]
    assert 1 <= len(later) <= 4
    assert [held.winner for held in later] == [None] * len(later)
    project.holds()

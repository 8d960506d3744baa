"""What acts of the autopilot were expected to bring and what they brought: measured on rows that both champions answered, and told where it is less."""

from pathlib import Path

import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, HOUR, RELEASE, Project, spec_of

from flyball.control import bounds, commands, explaining, queries
from flyball.records.effects import Effect, EffectTrack
from flyball.records.release import Phase

OLD = {"name": "old", "when": "champion.age_days >= 1", "do": "retrain", "cooldown": "8d"}
SLOW = RELEASE | {"watch": "2d", "margin": 0.3, "steps": []}


def project_of(root: Path, release: dict = SLOW) -> Project:
    project = Project(root, spec_of(release, [OLD], monitor={"min_rows": 20, "mature_share": 0.99}))
    project.version(Model(wrong=0.3))
    return project


def settles(project: Project, releases: int, *, days: int = 20) -> None:
    project.live(
        days * DAY,
        rows=90,
        until=lambda: len(project.releases()) == releases and project.release().phase in (Phase.SETTLED, Phase.ROLLED_BACK),
    )
    project.live(DAY, rows=90)


def effects(project: Project) -> list[Effect]:
    return list(project.door.all("effect", Effect))


def test_a_retraining_that_helped_brought_what_was_foretold(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    settles(project, 2)
    (effect,) = effects(project)
    assert effect.action == "retrain"
    assert (effect.old, effect.new) == (project.champion().verified[0], project.champion().unit)
    assert effect.predicted.value == pytest.approx(-0.044, abs=0.03)
    assert effect.predicted.upper < 0.0
    assert effect.realised.value == pytest.approx(-0.044, abs=0.03)
    assert effect.missed is False
    assert effect.words.endswith("was to be expected")
    track = project.door.get("effects", "retrain", EffectTrack)
    assert (track.judged, track.missed, track.worse) == (1, 0, 0)
    assert bounds.levels(project.door)["retrain"] == "act"
    told = explaining.explain(project.door, effect.decision)
    assert effect.words in told.afterwards[-1]
    assert [each.predicted for each in told.considered] == [None], "nobody had foretold it when the decision was made"
    status = queries.status(project.door, controller_alive=True)
    assert status.effects == "1 act measured, all within the 95 % interval that was foretold"
    project.holds()


def test_an_effect_is_foretold_and_measured_once_whoever_controls(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    settles(project, 2)
    told = project.ledger.events(kinds=("effect.foretold", "effect.measured"))
    assert [event.kind for event in told] == ["effect.foretold", "effect.measured"]
    for _ in range(3):
        project.restart()
        project.live(DAY / 4)
    assert project.ledger.events(kinds=("effect.foretold", "effect.measured")) == told


def disappoints(project: Project, releases: int) -> None:
    """A version that is right until it is champion, and wrong from then on."""
    settled = len(project.releases())
    project.live(20 * DAY, rows=90, until=lambda: len(project.releases()) > settled and project.release().phase is Phase.WATCHING)
    project.wrong[project.champion().unit] = 0.75
    settles(project, releases)
    project.wrong.clear()


def test_what_disappoints_time_and_again_loses_a_level_and_a_person_is_told_once(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    disappoints(project, 2)
    assert effects(project)[0].worse
    assert bounds.levels(project.door)["retrain"] == "act", "once is chance"
    disappoints(project, 3)
    assert [each.worse for each in effects(project)] == [True, True]
    assert bounds.levels(project.door)["retrain"] == "propose"
    heard = [words for _, words in project.told.heard if "brings less than was foretold" in words]
    assert len(heard) == 1
    assert "retrain falls from act to propose" in heard[0]
    assert "2 of 2 times it was worse than its interval" in heard[0]
    project.live(10 * DAY, rows=30)
    assert any(approval.answer is None for approval in project.approvals()), "the next one is asked about"
    order = commands.order(project.door, "raise_autonomy", "user:me", "seen", {"action": "retrain"})
    project.tick()
    assert project.door.get("command", order.id, commands.Command).words == "retrain is at act again"
    project.holds()


def test_a_release_without_labels_foretells_nothing_or_what_the_gate_saw(tmp_path: Path) -> None:
    project = project_of(tmp_path, AT_ONCE)
    settles(project, 2)
    (effect,) = effects(project)
    assert effect.predicted.value is None
    assert "no gate that compared their losses" in effect.predicted.note
    assert effect.expected is None
    assert effect.missed is None


def test_what_a_person_releases_is_no_act_of_the_autopilot(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    for _ in range(2):
        project.version()
        project.live(2 * DAY)
    project.roll_back()
    project.live(DAY)
    assert not effects(project)


def test_a_rollback_is_expected_to_take_back_what_the_unit_had_brought(tmp_path: Path) -> None:
    back = {"name": "back", "when": "champion.age_days > 6.0", "do": "roll_back", "cooldown": "30d"}
    project = Project(tmp_path, spec_of(SLOW, [{**OLD, "cooldown": "90d"}, back], monitor={"min_rows": 20, "mature_share": 0.99}))
    project.version(Model(wrong=0.3))
    settles(project, 2)
    brought = effects(project)[0]
    project.live(8 * DAY, rows=60, step=6 * HOUR, until=lambda: len(effects(project)) == 2)
    taken = effects(project)[1]
    assert taken.action == "roll_back"
    assert (taken.new, taken.old) == (brought.old, brought.new)
    assert taken.predicted.value == -brought.realised.value
    assert "after a rollback nobody answers" in taken.realised.note
    project.holds()


def test_what_was_taken_back_before_it_answered_alone_changed_nothing_and_is_foretold_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(RELEASE, [OLD]))
    project.version()
    project.workshop.plans["j-0002"] = Model(wrong=0.9)
    project.live(20 * DAY, rows=90, until=lambda: len(project.releases()) == 2 and project.release().phase is Phase.ROLLED_BACK)
    assert project.phases(project.release().id)[-1] == "rolled_back"
    assert "full" not in project.phases(project.release().id)
    project.live(DAY)
    assert not effects(project)

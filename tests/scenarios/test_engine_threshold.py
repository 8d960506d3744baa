"""What a window shows of the answers is of those that its unit gave, at the threshold that it has."""

from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, RELEASE, Model, Project, spec_of

from flyball.control import explaining
from flyball.control.comparing import Compared, Thresholds, thresholds_alone
from flyball.control.world import draft, put
from flyball.records.effects import Effect
from flyball.records.release import Phase, ReleaseLook
from flyball.records.unit import Unit
from flyball.registry.unit import altered

MONITOR = {"min_rows": 20, "mature_share": 0.99}


CHANGE = {"name": "better", "when": "window.predictions > 30", "do": "rethreshold", "cooldown": "300d"}
"""To 0.42."""
SHADOW = RELEASE | {"steps": [], "watch": "2d"}


def project_of(root: Path, *policies: dict[str, Any], release: dict[str, Any] = AT_ONCE, **more: Any) -> Project:
    return Project(root, spec_of(release, list(policies), monitor=MONITOR, **more))


def test_windows_measure_what_is_answered_at_the_declared_threshold_with_labels_and_without(tmp_path: Path) -> None:
    """Scores of 0.4 and 0.6, and every row is answered with yes: half of them rightly. At one half five of six would be."""
    project = project_of(tmp_path, serve={"threshold": 0.3})
    project.version(Model(wrong=0.35, estimates=True))
    project.live(6 * DAY, rows=100)
    judged = [window for window in project.windows() if window.mature]
    assert len(judged) >= 3
    for window in judged:
        for name in ("accuracy", "f1"):
            for told in (window.metrics[name], window.estimates[name]):
                assert told.method.endswith(", positive from 0.3 on")
        assert 0.4 < window.metrics["accuracy"].value < 0.6
        assert window.estimates["accuracy"].lower < window.metrics["accuracy"].value < window.estimates["accuracy"].upper
        assert "positive" not in window.metrics["brier"].method
    project.holds()


def test_each_units_windows_are_at_its_own_threshold(tmp_path: Path) -> None:
    project = project_of(tmp_path, CHANGE)
    project.version()
    project.live(6 * DAY, rows=40)
    assert project.door.get("unit", project.champion().unit, Unit).threshold == 0.42
    told = {window.unit: window.metrics["f1"].method.rpartition(", ")[2] for window in project.windows() if window.mature}
    assert sorted(told.values()) == ["positive from 0.42 on", "positive from 0.5 on"]
    assert told[project.champion().unit] == "positive from 0.42 on"
    project.holds()


def test_a_threshold_whose_answers_cost_more_is_taken_back_though_no_score_has_changed(tmp_path: Path) -> None:
    """A wrong yes costs 0.8. At 0.8 nobody is answered with yes, and a row costs 0.1; at 0.42 most answers are wrong, and it costs 0.43."""
    project = project_of(tmp_path, CHANGE, release=SHADOW, serve={"threshold": 0.8})
    first = project.version(Model(wrong=0.65))
    project.live(8 * DAY, rows=60, until=lambda: len(project.releases()) == 2 and project.release().phase is Phase.ROLLED_BACK)
    assert (project.release().phase, project.champion().unit) == (Phase.ROLLED_BACK, first)
    assert project.phases("r-0002") == ["proposed", "shadow", "rolling_back", "rolled_back"]
    look = project.door.get("release_look", "r-0002", ReleaseLook)
    (found,) = [each for each in look.evidence if each.name == "loss"]
    assert found.lower > 0.05
    assert found.value == pytest.approx(0.325, abs=0.08)
    assert found.note.endswith(
        "of what wrong answers cost (a wrong yes 0.8, a wrong no 0.2), since the threshold alone differs: 0.42, and 0.8 before"
    )
    project.holds()


def test_a_better_threshold_passes_and_what_it_brings_is_foretold_and_measured_in_what_wrong_answers_cost(tmp_path: Path) -> None:
    """A wrong yes costs 0.3. At 0.3 every row is answered with yes, and costs 0.15; at 0.42 half of them are, and it costs 0.075."""
    project = project_of(tmp_path, CHANGE, release=SHADOW, serve={"threshold": 0.3})
    project.version(Model(wrong=0.35))
    project.live(20 * DAY, rows=60, until=lambda: len(project.releases()) == 2 and project.release().phase is Phase.SETTLED)
    assert project.door.get("unit", project.champion().unit, Unit).threshold == 0.42
    project.live(2 * DAY)
    (effect,) = project.door.all("effect", Effect)
    for told in (effect.predicted, effect.realised):
        assert told.name == "cost_difference"
        assert told.lower < -0.075 < told.upper < 0.0
        assert "what wrong answers cost" in told.method
    assert effect.old_loss == pytest.approx(0.15, abs=0.03)
    assert effect.words.startswith("cost of wrong answers -0.0")
    lines = explaining.explain(project.door, effect.decision).afterwards
    assert any("rethreshold took effect, foretold: cost of wrong answers -0.0" in line for line in lines)
    project.holds()


def test_the_loss_of_the_scores_is_compared_unless_the_threshold_alone_differs(tmp_path: Path) -> None:
    project = project_of(tmp_path, serve={"threshold": 0.3})
    unit = project.engine.shelf.unit(project.version())
    others = {
        "policies": altered(unit, "other"),
        "threshold": altered(unit, "other", threshold=0.6),
        "bytes too": altered(unit, "other", threshold=0.6, manifest_digest="other"),
        "none": altered(unit, "other", threshold=None),
    }
    world = project.engine.world
    puts = tuple(put("unit", each.id, each) for each in others.values())
    world.record(draft(world.now(), "test.made", "x", {}, puts))
    found = {name: thresholds_alone(world, unit.id, each.id) for name, each in others.items()}
    assert found == {"policies": None, "threshold": Thresholds(0.3, 0.6, 0.3), "bytes too": None, "none": None}
    assert Compared("binary", 1.0, (0.3, 0.6)).alone is None

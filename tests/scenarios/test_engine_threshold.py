"""What a window shows of the answers is of those that its unit gave, at the threshold that it has."""

from pathlib import Path
from typing import Any

from engine_world import AT_ONCE, DAY, Model, Project, spec_of

from flyball.records.unit import Unit

MONITOR = {"min_rows": 20, "mature_share": 0.99}


def project_of(root: Path, *policies: dict[str, Any], **more: Any) -> Project:
    return Project(root, spec_of(AT_ONCE, list(policies), monitor=MONITOR, **more))


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
    change = {"name": "better", "when": "window.predictions > 30", "do": "rethreshold", "cooldown": "300d"}
    project = project_of(tmp_path, change)
    project.version()
    project.live(6 * DAY, rows=40)
    assert project.door.get("unit", project.champion().unit, Unit).threshold == 0.42
    told = {window.unit: window.metrics["f1"].method.rpartition(", ")[2] for window in project.windows() if window.mature}
    assert sorted(told.values()) == ["positive from 0.42 on", "positive from 0.5 on"]
    assert told[project.champion().unit] == "positive from 0.42 on"
    project.holds()

"""Whatever flyball.yaml says meanwhile, a run that is refused say: what was made under an earlier one is judged by what it answers."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of
from test_engine_effects import effects, project_of

from flyball.control.measuring import Measuring
from flyball.records import codec
from flyball.records.captured import Captured, PredictionBatch
from flyball.records.release import Phase
from flyball.records.unit import Unit
from flyball.release.decide import policy_of

OTHERS = ("multiclass", "regression")
MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}
OTHER_FEATURES = {
    "source": {"files": "*.csv"}, "features": {"z": {"type": "number"}}, "time": "at", "key": "id", "label": "y", "label_delay": "1h",
}  # fmt: skip


def edited(project: Project, **more: Any) -> None:
    """Control has started again with what somebody has written into flyball.yaml."""
    spec = project.spec.model_dump(mode="json", by_alias=True) | more
    project.spec = project.door.spec = type(project.spec).model_validate_json(codec.encode(spec))
    project.restart()
    project.tick()


def evidence(project: Project) -> dict[str, bytes]:
    engine, policy = project.engine, policy_of(project.spec)
    found = Measuring(engine.world, engine.shelf, engine.observation).look(project.release(), policy).evidence
    return {each.name: codec.encode(each) for each in found}


@pytest.mark.parametrize("task", OTHERS)
def test_a_release_is_judged_by_what_its_units_answer(tmp_path: Path, task: str) -> None:
    project = Project(tmp_path)
    project.first_champion()
    project.version(Model(wrong=0.1))
    project.live(6 * HOUR, rows=120)
    edited(project)
    assert project.release().phase is Phase.SHADOW
    before = evidence(project)
    edited(project, task=task)
    assert evidence(project) == before
    assert not any(b"could not be measured" in each for each in before.values())


def judged(root: Path, **more: Any) -> list[bytes]:
    """All that is said of a champion whose world turns, after flyball.yaml was edited."""
    project = Project(root, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    edited(project, **more)
    project.turned = 0.9
    project.live(27 * HOUR, rows=120, step=9 * HOUR)
    labels = [event.payload["case"]["labels"] for event in project.ledger.events(kinds=("incident.diagnosed",))]
    assert any(labels)
    return [codec.encode(each) for each in (*project.windows(), *project.findings(), *labels)]


def test_windows_and_incidents_are_judged_by_what_the_champion_answers(tmp_path: Path) -> None:
    assert judged(tmp_path / "edited", task="regression") == judged(tmp_path / "left")


def measured(root: Path, **more: Any) -> list[bytes]:
    """What a retraining brought, where flyball.yaml was edited while its release watched."""
    project = project_of(root)
    project.live(20 * DAY, rows=90, until=lambda: len(project.releases()) == 2 and project.release().phase is Phase.WATCHING)
    edited(project, **more)
    project.live(4 * DAY, rows=90)
    return [codec.encode(each) for each in effects(project)]


def test_what_an_act_brought_is_measured_by_what_the_units_answer(tmp_path: Path) -> None:
    left = measured(tmp_path / "left")
    assert b'"missed":' in left[0] or b'"expected":[' in left[0], "it was measured"
    assert measured(tmp_path / "edited", task="multiclass") == left


def test_a_unit_has_a_threshold_if_its_version_answers_two_classes(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, task="regression"))
    unit = project.door.get("unit", project.version(), Unit)
    assert unit is not None
    assert unit.threshold == 0.5


class Silent(Project):
    """Clients who send no `x` any more, once `silent`."""

    silent = False

    def _answers(self, *given: Any) -> list[Captured]:
        found = super()._answers(*given)
        return [
            msgspec.structs.replace(each, columns={}) if self.silent and isinstance(each, PredictionBatch) else each
            for each in found
        ]


def test_a_column_that_is_a_feature_no_more_is_missed_as_long_as_the_champion_takes_it(tmp_path: Path) -> None:
    def told(root: Path, **more: Any) -> list[str]:
        project = Silent(root, spec_of(AT_ONCE, monitor=MONITOR))
        project.version(Model(estimates=True))
        project.live(DAY)
        edited(project, **more)
        project.silent = True
        project.live(2 * DAY)
        return [each.words for each in project.findings()]

    left = told(tmp_path / "left")
    assert left
    assert told(tmp_path / "edited", data=OTHER_FEATURES) == left

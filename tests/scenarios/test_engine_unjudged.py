"""Windows that are not judged, now or ever: what policies are told at their end, and what becomes of the next ones."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.adapters.registry_memory import MemoryRegistry
from flyball.control.estimating import EstimateState
from flyball.control.loop import tick_once
from flyball.control.world import draft, put
from flyball.errors import StoreUnavailable, TrackingFailed
from flyball.records.release import Phase


def project_in(root: Path, **given: Any) -> Project:
    """A champion that answers for two days."""
    project = Project(root, spec_of(AT_ONCE, monitor={"min_rows": 20}), **given)
    project.version()
    project.live(2 * DAY)
    return project


def lived(project: Project, days: float, rows: int = 60) -> list[str]:
    """What ticks complained of."""
    words = []
    for _ in range(int(days * 4)):
        project.send(rows)
        project.clock.sleep(6 * HOUR)
        project.deliver()
        words.append(tick_once(project.engine))
    return words


def told_since(project: Project, began: datetime) -> list[dict[str, Any]]:
    looks = [event.payload for event in project.ledger.events(kinds=("signals.gathered",))]
    return [look["signals"] for look in looks if datetime.fromisoformat(look["window"]) >= began]


def fails(unit: str) -> Any:
    raise KeyError(f"reference of {unit}")


def away(unit: str) -> Any:
    raise TrackingFailed("the registry does not answer")


@pytest.mark.parametrize(("rows", "reachable"), [(0, True), (4, True), (60, False)])
def test_what_was_estimated_of_one_window_is_told_at_the_end_of_no_other(tmp_path: Path, rows: int, reachable: bool) -> None:
    project = project_in(tmp_path)
    world, began = project.engine.world, project.clock.now()
    worse = put("estimates", project.windows()[-1].unit, EstimateState(increase=0.2))
    world.record(draft(world.now(), "window.matured", "window:earlier", {}, (worse,)))
    if not reachable:
        project.engine.observation.files.reference = away  # type: ignore[method-assign]
    lived(project, 3, rows)
    told = told_since(project, began)
    assert [signals["performance.estimated_increase"] for signals in told] == [0.0] * 3
    assert [signals["window.predictions"] for signals in told] == [4 * rows] * 3


def test_a_window_after_one_that_was_closed_unjudged_is_tried_for_as_long(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    files, began = project.engine.observation.files, project.clock.now()
    read, files.reference = files.reference, fails  # type: ignore[method-assign]
    assert all("KeyError" in words for words in lived(project, 2)[3:5])
    files.reference = read  # type: ignore[method-assign]
    lived(project, 0.25)
    assert [bool(window.void) for window in project.windows() if window.end > began] == [True, False]


def test_windows_that_were_over_when_the_trouble_began_are_closed_together(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    files, began = project.engine.observation.files, project.clock.now()
    for _ in range(3):
        project.send(60)
        project.clock.sleep(DAY)
    files.reference = fails  # type: ignore[method-assign]
    tick_once(project.engine)
    assert [window for window in project.windows() if window.end > began] == []
    lived(project, 0.25)
    assert [bool(window.void) for window in project.windows() if window.end > began] == [True] * 3


class Unreadable(MemoryRegistry):
    """A registry whose own store is locked, or lies on a bad place of the disk."""

    locked = False

    def fetch(self, model: str, number: int, manifest_digest: str | None = None) -> Path:
        if self.locked:
            raise StoreUnavailable("MLflow's store cannot be used: database is locked", next_step="look at mlflow.db")
        return super().fetch(model, number, manifest_digest)


def test_a_registry_that_cannot_be_read_costs_policies_no_look_at_another_units_windows(tmp_path: Path) -> None:
    registry = Unreadable(tmp_path / "registry")
    project = project_in(tmp_path, wrap=lambda ports: ports._replace(registry=registry))
    first, began = project.windows()[-1].unit, project.clock.now()
    project.live(6 * HOUR)
    second = project.version()
    project.live(12 * HOUR)
    assert project.release().phase is Phase.SETTLED
    registry.locked = True
    project.restart()
    assert all("database is locked" in words for words in lived(project, 2.25))
    assert [(window.unit, window.void) for window in project.windows() if window.end > began] == [(second, "")] * 3
    assert len(told_since(project, began)) == 3
    registry.locked = False
    lived(project, 0.25)
    judged = sorted((window.unit, window.void) for window in project.windows() if window.end > began)
    assert judged == sorted([(first, "")] + [(second, "")] * 3)


@pytest.mark.parametrize("asked", ["served", "holds"])
def test_a_registry_that_cannot_be_read_is_a_registry_that_is_away(tmp_path: Path, asked: str) -> None:
    registry = Unreadable(tmp_path / "registry")
    project = Project(tmp_path, wrap=lambda ports: ports._replace(registry=registry))
    unit = project.version()
    registry.locked = True
    project.engine.shelf._served.clear()
    shutil.rmtree(tmp_path / "registry")  # so that what stands does not help
    with pytest.raises(TrackingFailed, match=r"database is locked\. Next: look at mlflow\.db"):
        getattr(project.engine.shelf, asked)(unit)

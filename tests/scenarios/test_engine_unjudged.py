"""Windows that are not judged, now or ever: what policies are told at their end, and what becomes of the next ones."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.control.estimating import EstimateState
from flyball.control.loop import tick_once
from flyball.control.world import draft, put
from flyball.errors import TrackingFailed


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
    worse = put("estimates", project.champion().unit, EstimateState(increase=0.2))
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

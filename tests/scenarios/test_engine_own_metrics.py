"""Metrics of the user's own where labels are no sample of a window's rows: corrected, refused and awaited like those beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from engine_world import AT_ONCE, HOUR, Project, _draw, spec_of
from test_engine_labels import LEARNED, MONITOR, lived_with_one_class, slow

from flyball.adapters.user_metrics import MemoryMetrics
from flyball.records.captured import LabelBatch


def error(labels: np.ndarray, scores: np.ndarray) -> float:
    """The Brier score, by another name: what a metric of one's own says can be held against what the platform says."""
    return float(np.mean((labels - scores) ** 2))


def rate(labels: np.ndarray, _scores: np.ndarray) -> float:
    """A half of all rows; of those with a score above a half 0.85."""
    return float(np.mean(labels))


def project_of(path: Path, **spec: Any) -> Project:
    monitor = MONITOR | {"metrics": {"error": "mine:error", "rate": "mine:rate"}}
    metrics = MemoryMetrics({"mine:error": error, "mine:rate": rate})
    project = Project(path, spec_of(AT_ONCE, monitor=monitor, **spec), wrap=lambda ports: ports._replace(metrics=metrics))
    project.version()
    return project


def thinned(project: Project, keep: Callable[[float, str, int], bool]) -> None:
    """Of the labels that wait to be delivered those stay that `keep` says, of (x, label, number of the row)."""

    def part(batch: LabelBatch) -> LabelBatch:
        said = zip(batch.ids, batch.values, strict=True)
        left = [(name, one) for name, one in said if keep(_draw(name, "x") * 4 - 2, str(one), int(name[1:]))]
        ids, values = [name for name, _ in left], [one for _, one in left]
        return LabelBatch(at_us=batch.at_us, model=batch.model, ids=ids, values=values, observed_us=[None] * len(ids))

    project.late = [(at, part(batch)) for at, batch in project.late]


def live(project: Project, keep: Callable[[float, str, int], bool]) -> None:
    for _ in range(16):
        project.send(120)
        thinned(project, keep)
        project.clock.sleep(6 * HOUR)
        project.deliver()
        project.tick()


def test_where_labels_hang_on_the_score_it_is_corrected_as_the_others_are_and_says_so(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    live(project, lambda x, _, row: x <= 0 or row % 3 == 0)
    mature = [window for window in project.windows() if window.mature and "weighted by the inverse" in window.labels_note]
    assert len(mature) >= 2
    for window in mature:
        mine, brier = window.metrics["error"], window.metrics["brier"]
        assert window.labels_note in mine.note
        assert abs(mine.value - brier.value) < 0.01
        assert mine.lower < brier.value < mine.upper
        assert window.metrics["rate"].lower < 0.5 < window.metrics["rate"].upper
        assert "drawn by the inverse chance" in mine.method
    known = [window.metrics["error"] for window in mature]
    project.restart()
    project.tick()
    assert [window.metrics["error"] for window in project.windows() if window.mature][-len(known) :] == known
    project.holds()


def test_where_labels_are_refused_it_has_no_value_and_their_reason(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    for window in lived_with_one_class(project):
        assert (window.metrics["error"].value, window.metrics["error"].note) == (None, window.labels_note)
        assert window.metrics["error"].note == window.metrics["brier"].note
    project.holds()


def test_while_labels_still_come_it_says_that_it_waits_for_them(tmp_path: Path) -> None:
    project = project_of(tmp_path, data=LEARNED)
    slow(project, 14)
    completed = [window for window in project.windows() if not window.mature and window.live]
    assert completed
    for window in completed:
        assert window.live["error"].value is None
        assert "once the window is mature" in window.live["error"].note
        assert window.live["brier"].value is not None
    assert all(window.metrics["error"].value is not None for window in project.windows() if window.mature)
    project.holds()

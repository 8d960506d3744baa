"""What is told of the window in which a unit takes over: which of its rows users got another's answer to, and whose it is."""

import re

import numpy as np
import pytest
from engine_world import DAY, Project, spec_of

from flyball.control.replay_diary import Diary
from flyball.control.replay_position import Sent
from flyball.control.window_words import labelled
from flyball.control.world import micros
from flyball.stats.metrics import METRICS

RELEASE = {"shadow": {"at_least": "12h", "at_most": "4d", "min_labels": 60}, "steps": [], "watch": "2d", "margin": 0.3}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The second version takes over in the middle of a day, after a shadow."""
    made = Project(tmp_path_factory.mktemp("takeover"), spec_of(RELEASE))
    made.version()
    made.live(3 * DAY)
    made.version()
    made.live(4 * DAY, until=lambda: len(made.champion().verified) == 2)
    return made


def told(project: Project) -> str:
    Diary(project.engine, ("log_loss",)).day(project.clock.now(), Sent(), Sent())
    return project.said[-1][1]


def test_a_window_says_which_of_its_rows_were_scored_in_shadow_and_the_diary_whose_it_is(project: Project) -> None:
    new = project.champion().unit
    assert " of v1 (" in told(project), "the newest that is mature is of whom the champion came after"
    project.live(2 * DAY)
    first = next(window for window in project.windows() if window.unit == new and window.mature)
    join = project.engine.observation.join
    shown = int(np.isfinite(join.outcomes(new, micros(first.start), micros(first.end)).labels).sum())
    assert (shown > 0, first.shadow > 0) == (True, True)
    assert first.metrics["log_loss"].n == shown + first.shadow
    assert labelled(first) == f"{shown + first.shadow} rows, of them {first.shadow} in shadow"
    assert shown <= first.predictions < shown + first.shadow
    project.live(DAY)
    later = max((window for window in project.windows() if window.unit == new and window.mature), key=lambda each: each.start)
    assert (later.shadow, labelled(later)) == (0, str(later.metrics["log_loss"].n))
    assert f"{later.start:%m-%d} ({later.labels}/{later.predictions} labels)  champion v" in told(project)
    project.holds()


def test_a_window_that_waits_counts_its_own_labels(project: Project) -> None:
    for window in project.windows():
        assert window.labels <= window.predictions or window.mature


def test_of_windows_that_do_not_measure_the_reports_metric_the_diary_tells_the_tasks_next(project: Project) -> None:
    """Two classes are led by roc_auc where no primary metric is declared, and windows measure what `evaluate.metrics` lists alone."""
    mature = [window for window in project.windows() if window.mature]
    lacking = next(name for name in METRICS if name not in mature[0].metrics)
    Diary(project.engine, (lacking, "roc_auc", "log_loss")).day(project.clock.now(), Sent(), Sent())
    assert re.search(r"  roc_auc \d\.\d{3} on \d\d-\d\d ", project.said[-1][1]), project.said[-1][1]

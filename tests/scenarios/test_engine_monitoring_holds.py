"""Nothing that monitoring meets may stop the loop: another release's package, a file that cannot be read, a changed window, labels of nobody."""

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_models import Model
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.control import commands, findings, queries
from flyball.control.loop import tick_once
from flyball.control.ports import UserFigure
from flyball.control.world import micros
from flyball.errors import ArtifactDamaged
from flyball.monitoring import reference
from flyball.monitoring.realised import Weighting
from flyball.records.findings import FindingKind, WindowSummary
from flyball.records.jobs import FINISHED, Job

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}


def days(project: Project, n: float, *, step: timedelta = 6 * HOUR, rows: int = 60) -> list[str]:
    """What went wrong in the ticks."""
    told = []
    for _ in range(int(n * (DAY // step))):
        project.send(rows)
        project.clock.sleep(step)
        project.deliver()
        told.append(tick_once(project.engine))
    return [words for words in told if words]


def test_a_package_of_another_release_is_said_not_to_be_monitored_and_everything_else_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(2 * DAY)
    monkeypatch.setattr(reference, "FORMAT", 99)
    project.restart()
    assert days(project, 2) == []
    found = [each for each in project.findings() if each.subject == "reference"]
    assert len(found) == 1
    assert "cannot be monitored" in found[0].words
    order = commands.order(project.door, "run", "user:me", "")
    tick_once(project.engine)
    assert project.door.get("command", order.id, commands.Command).status == "done"
    assert all(job.status in FINISHED for job in project.door.all("job", Job)[:1])
    assert project.engine.supervises()


def test_labels_of_none_of_the_champions_own_rows_judge_nothing_and_keep_no_window_waiting(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version(Model(estimates=True))
    project.live(5 * DAY)
    assert days(project, 1, step=12 * HOUR) == []
    project.version(Model(estimates=True, run="b"))
    project.unlabelled = True
    assert days(project, 1) == []
    project.unlabelled = False
    assert days(project, 3) == []
    assert sum(window.mature for window in project.windows()) >= 7
    project.restart()
    assert tick_once(project.engine) == ""
    project.holds()


STEP = {"1d": 6 * HOUR, "6h": 2 * HOUR, "1h": HOUR}


def with_windows(
    project: Project, length: str, monitor: dict[str, Any] | None = None, data: dict[str, Any] | None = None
) -> None:
    """flyball.yaml has changed, and control was started again."""
    more = {} if data is None else {"data": data}
    project.spec = spec_of(AT_ONCE, monitor=MONITOR | {"min_rows": 5, "window": length} | (monitor or {}), **more)
    project.door.spec = project.spec
    project.restart()


def assert_every_row_is_in_one_window(project: Project) -> list[WindowSummary]:
    """But for those since the newest window has closed, and between the last window of one length and the first of another. All windows, in order of time."""
    windows = sorted(project.windows(), key=lambda window: window.start)
    assert all(one.end <= other.start for one, other in itertools.pairwise(windows))
    at_us = project.engine.observation.join.answers(0, 2**62)[1]
    within = [(at_us >= micros(window.start)) & (at_us < micros(window.end)) for window in windows]
    assert [window.predictions for window in windows] == [int(rows.sum()) for rows in within]
    left = at_us[~np.any(within, axis=0)]
    after = next(other.start for one, other in itertools.pairwise(windows) if one.end - one.start != other.end - other.start)
    begun = [window.end for window in windows if window.end <= after][-1]
    assert all(micros(begun) <= at < micros(after) or at >= micros(windows[-1].end) for at in left.tolist())
    assert after - begun < windows[-1].end - windows[-1].start
    return windows


@pytest.mark.parametrize(("before", "after"), [("1d", "1h"), ("1h", "1d"), ("1d", "6h"), ("6h", "1d")])
def test_another_length_of_windows_is_gone_on_with(tmp_path: Path, before: str, after: str) -> None:
    project = Project(tmp_path)
    with_windows(project, before)
    project.version()
    assert days(project, 10.5, step=STEP[before], rows=30) == []
    old = {window.start for window in project.windows()}
    judged = len(project.ledger.events(kinds=("operations.judged",)))
    with_windows(project, after)
    assert days(project, 1.5, step=STEP[after], rows=30) == []
    project.restart()
    assert days(project, 2, step=STEP[after], rows=30) == []
    assert len(project.ledger.events(kinds=("operations.judged",))) >= judged + {"1d": 3, "6h": 12, "1h": 48}[after]
    windows = assert_every_row_is_in_one_window(project)
    assert len(windows) - len(old) == {"1d": 3, "6h": 16 if before == "1d" else 14, "1h": 2 + 84}[after]
    assert len(project.ledger.events(kinds=("window.closed",))) == len(windows)
    assert all(window.mature for window in windows[:-2])
    project.holds()


def test_labels_of_windows_of_another_length_are_judged_and_corrected_in_those(tmp_path: Path) -> None:
    data = {"source": {"files": "*.csv"}, "features": {"x": {"type": "number"}}, "time": "at", "key": "id", "label": "y"}
    more = {"slices": [{"name": "high", "where": "x > 0"}]}, data | {"label_delay": "2d"}
    project = Project(tmp_path)
    with_windows(project, "1d", *more)
    project.version(Model(estimates=True))
    project.send(60)
    late, project.late = project.late, []
    assert days(project, 3) == []
    project.label_delay = 30 * HOUR
    assert days(project, 2.5) == []
    assert [window.mature for window in project.windows()] == [True] * 4 + [False]
    with_windows(project, "6h", *more)
    assert days(project, 2) == []
    project.capture.hand_over([batch for _, batch in late])
    assert days(project, 1) == []
    old = [window for window in assert_every_row_is_in_one_window(project) if window.end - window.start == DAY]
    assert [window.labels for window in old] == [300, 240, 240, 240, 240]
    assert old[-1].slices["high"].n > 100
    project.holds()


def test_a_file_that_cannot_be_read_once_costs_no_window_and_no_row(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(2 * DAY)
    files = project.engine.observation.files
    read, asked = files.norms, iter(range(10_000))

    def norms(unit: str) -> object:
        if next(asked) == 0:
            raise ArtifactDamaged("norms.json cannot be read now")
        return read(unit)

    files.norms = norms  # type: ignore[method-assign]
    assert any("cannot be read" in words for words in days(project, 3))
    assert [window.predictions for window in project.windows()] == [240] * len(project.windows())
    assert np.diff([window.start.day for window in project.windows()]).tolist() == [1] * (len(project.windows()) - 1)


def test_metrics_of_the_users_own_are_measured_once_on_the_same_rows(tmp_path: Path) -> None:
    measured: list[int] = []

    class Counting:
        def measure(
            self, entrypoints: dict[str, str], scores: np.ndarray, labels: np.ndarray, weighting: Weighting | None
        ) -> dict[str, UserFigure]:
            measured.append(len(labels))
            return {name: UserFigure(value=1.0) for name in entrypoints}

    monitor = MONITOR | {"metrics": {"profit": "mine:profit"}}
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=monitor), wrap=lambda ports: ports._replace(metrics=Counting()))
    project.version()
    project.live(6 * DAY)
    assert len(measured) == sum(window.mature for window in project.windows()) >= 5
    project.restart()
    project.tick()
    assert len(measured) == sum(window.mature for window in project.windows())


def test_rows_of_windows_whose_labels_do_not_come_are_bounded_and_gone_when_they_are_given_up(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.unlabelled = True
    assert days(project, 100, step=DAY, rows=5) == []
    assert len(project.engine.observation._samples) == 91
    project.restart()
    assert days(project, 1, step=DAY, rows=5) == []
    assert len(project.engine.observation._samples) == 91


def test_a_finding_of_long_ago_shows_the_windows_around_it(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(4 * DAY)
    project.shift = 1.5
    project.live(8 * DAY, until=lambda: bool(project.findings()))
    project.unlabelled = True
    assert days(project, 70, step=DAY, rows=30) == []
    first = project.findings()[0]
    report = findings.explain(project.door, first.id)
    assert first.window_end in [point.end for point in report.series]


def test_a_bad_window_that_is_no_alarm_by_itself_says_how_many_more_like_it_are(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(5 * DAY)
    assert queries.status(project.door, controller_alive=True).outlook == ""
    project.turned = 0.1  # too little to be told by its first window
    foretold = ""
    for _ in range(20):
        project.live(DAY)
        if any(each.kind is FindingKind.PERFORMANCE for each in project.findings()):
            break
        foretold = queries.status(project.door, controller_alive=True).outlook
    assert foretold.endswith(("more windows like it raise an alarm", "one more window like it raises an alarm")), foretold
    assert ": mean loss 0." in foretold
    (told,) = [each.number for each in project.findings() if each.kind is FindingKind.PERFORMANCE]
    project.live(3 * DAY, until=lambda: queries.status(project.door, controller_alive=True).outlook != "")
    beside = queries.status(project.door, controller_alive=True).outlook
    assert beside.startswith(f"finding {told} stands; window until "), "it says of another alarm, where one was raised"
    assert beside.endswith(("raise another alarm", "raises another alarm", "raise no other alarm yet"))


def test_status_says_what_monitors_of_the_service_still_learn(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE))
    project.version()
    project.live(2 * DAY)
    learning = queries.status(project.door, controller_alive=True).learning
    assert learning.startswith("still learning what is usual: requests (")
    assert "more windows" in learning

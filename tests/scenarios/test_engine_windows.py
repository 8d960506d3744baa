"""Windows: closed once, judged when their labels have come, and the same whoever controls and however often control is started again."""

from pathlib import Path
from typing import Any

import numpy as np
from engine_world import AT_ONCE, DAY, HOUR, Project, spec_of

from flyball.adapters.capture_memory import MemoryCapture
from flyball.adapters.packages import LocalPackages
from flyball.adapters.user_metrics import MemoryMetrics
from flyball.control import decisions
from flyball.control.loop import tick_once
from flyball.errors import TrackingFailed
from flyball.records.findings import FindingKind

MONITOR = {"min_rows": 20, "mature_share": 0.99, "false_alarms": "1 per 10 windows"}
TELL = {"name": "tell", "when": "performance.alarm || drift.alarm", "do": "notify", "cooldown": "2d"}


def lived(root: Path, *, restarts: bool, again: bool = False, at_once: int | None = None) -> Project:
    """Twenty days of which the last eight go wrong; labels come a step late."""
    project = Project(root, spec_of(AT_ONCE, [TELL], monitor=MONITOR))
    project.capture = MemoryCapture(at_once)
    project._ports = project._ports._replace(capture=project.capture)
    project.door.ports = project._ports
    project.restart()
    project.version()
    for day in range(20):
        project.shift, project.turned = (1.5, 0.8) if day >= 12 else (0.0, 0.0)
        for _ in range(4):
            project.send(60)
            project.clock.sleep(6 * HOUR)
            late = list(project.late)
            project.deliver()
            if again:
                project.capture.hand_over([batch for _, batch in late])
            if restarts:
                project.restart()
            project.tick()
    project.holds()
    return project


def seen(project: Project) -> dict[str, Any]:
    kinds = ("window", "finding", "signals", "drift", "performance", "acts", "champion", "todo")
    states = {place: text for place, (text, _) in project.ledger.projection.items() if place[0] in kinds}
    return {"states": states, "decisions": [(made.now, made.plan) for made in decisions.recorded(project.door)]}


def test_every_window_is_closed_once_and_a_restart_before_each_tick_changes_nothing(tmp_path: Path) -> None:
    whole = lived(tmp_path / "whole", restarts=False)
    restarted = lived(tmp_path / "restarted", restarts=True)
    assert seen(restarted) == seen(whole)
    for project in (whole, restarted):
        for kind in ("window.closed", "window.matured", "signals.gathered"):
            subjects = [event.payload.get("window", event.subject) for event in project.ledger.events(kinds=(kind,))]
            assert len(subjects) == len(set(subjects)) >= 19, kind
    kinds = {finding.kind for finding in whole.findings()}
    assert {FindingKind.FEATURE_DRIFT, FindingKind.PERFORMANCE} <= kinds
    assert len(whole.told.heard) >= 2
    assert whole.engine.observation.join.counts() == restarted.engine.observation.join.counts()


def test_duplicated_labels_and_small_portions_change_nothing(tmp_path: Path) -> None:
    whole = seen(lived(tmp_path / "whole", restarts=False))
    assert seen(lived(tmp_path / "again", restarts=False, again=True)) == whole
    assert seen(lived(tmp_path / "portions", restarts=True, at_once=3)) == whole


def test_late_labels_mature_a_window_later_and_none_never_do(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.unlabelled = True
    project.live(3 * DAY)
    assert len(project.windows()) == 3
    assert not any(window.mature or window.metrics for window in project.windows())
    project.restart()
    project.unlabelled = False
    project.live(DAY)
    assert [window.mature for window in project.windows()] == [False, False, False, True]
    project.holds()


def test_segments_of_two_workers_are_the_same_traffic_in_whatever_order_they_are_read_again(tmp_path: Path) -> None:
    """A restart reads one worker's whole history before the other's: whose window a row belongs to must not hang on that."""
    project = Project(
        tmp_path, spec_of({"shadow": None, "steps": [{"traffic": "50%", "at_least": "2d", "at_most": "9d"}], "watch": "2d"})
    )
    project.version()

    def day() -> None:
        # The second worker starts in the middle of the canary, and the first that it writes is a canary's answer.
        for segment in ("0", "1", "1", "0") if project.release().phase == "canary" else "0000":
            project.send(40, segment=segment)
            project.clock.sleep(6 * HOUR)
            project.deliver()
            project.tick()

    for _ in range(3):
        day()
    project.version()
    for _ in range(8):
        day()
    assert len(project.champion().verified) == 2
    before = seen(project)
    project.restart()
    project.tick()
    assert seen(project) == before
    project.holds()


def test_no_row_is_lost_to_a_registry_that_is_away(tmp_path: Path) -> None:
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    project.version()
    project.live(DAY + 6 * HOUR)
    fetch = project.registry.fetch

    def away(*_: object) -> None:
        raise TrackingFailed("the tracking server does not answer")

    class Unsure(LocalPackages):
        def is_whole(self, package: Path, manifest_digest: str) -> bool:
            return False

    project.registry.fetch = away
    known, project._ports = project._ports, project._ports._replace(packages=Unsure())
    project.restart()  # what it knew of packages is gone, and what the routing table names is not whole
    for _ in range(4):
        project.send(60)
        project.clock.sleep(6 * HOUR)
        project.deliver()
        tick_once(project.engine)
    assert any("does not answer" in words for style, words in project.said if style == "bad")
    project.registry.fetch, project._ports = fetch, known
    project.tick()
    assert [window.predictions for window in project.windows()][:2] == [240, 240]
    project.holds()


def test_metrics_of_the_users_own_stand_beside_the_others_and_one_that_raises_stops_nothing(tmp_path: Path) -> None:
    def profit(labels: np.ndarray, scores: np.ndarray) -> float:
        return float(np.where(labels == 1, 10.0, -4.0)[scores > 0.5].sum())

    metrics = {"profit": "mine:profit", "wrong": "mine:wrong"}
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR | {"metrics": metrics}))
    project._ports = project._ports._replace(
        metrics=MemoryMetrics({"mine:profit": profit, "mine:wrong": lambda _labels, _scores: 1 / 0})
    )
    project.door.ports = project._ports
    project.restart()
    project.version()
    project.live(3 * DAY)
    windows = [window for window in project.windows() if window.mature]
    assert len(windows) >= 2
    for window in windows:
        told = window.metrics["profit"]
        assert told.value is not None
        assert told.lower is not None
        assert told.lower < told.value
        assert (window.metrics["wrong"].value, window.metrics["wrong"].note) == (None, "it raised ZeroDivisionError")
        assert window.metrics["log_loss"].value is not None
    project.holds()


def test_rows_of_a_champion_that_breaks_at_once_are_in_its_window_whoever_answered_them(tmp_path: Path) -> None:
    """It never answers in the revision that made it champion, so no record of that revision says whose traffic it was."""
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=MONITOR))
    old = project.version()
    project.live(2 * DAY)
    new = project.version()
    while project.answering() != new:
        project.clock.sleep(HOUR)
        project.tick()
    project.failing.add(new)
    table = project.gateways.served[min(project.gateways.served)]
    ids = [f"broken-{number}" for number in range(60)]
    x = np.linspace(-2, 2, 60)
    failed = project._batch(table, table.routes[0].champion, "champion", ids, x)
    project.capture.hand_over([failed, project._batch(table, table.routes[0].fallback, "fallback", ids, x)])
    project.tick()
    project.live(2 * DAY)
    assert project.answering() == old
    assert [window.predictions for window in project.windows() if window.unit == new] == [60]
    project.holds()

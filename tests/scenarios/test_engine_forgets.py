"""`capture.keep`: what is old is forgotten and its segments are removed; what is younger is as if nothing had been, however often control starts again."""

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_world import AT_ONCE, DAY, HOUR, START, Project, spec_of

from flyball.adapters.capture_files import CaptureFiles
from flyball.adapters.clock import SimulatedClock
from flyball.capture.framing import MAGIC, frame
from flyball.control import commands
from flyball.control.forgetting import Horizon
from flyball.control.world import draft, micros, moment, put
from flyball.errors import StoreUnavailable
from flyball.records.captured import Captured, LabelBatch

MONITOR = {"min_rows": 20, "mature_share": 0.99}
KEPT = 3


class Daily:
    """A worker that begins a segment a day, as its files lie on the disk."""

    def __init__(self, root: Path, clock: SimulatedClock) -> None:
        self.directory, self._clock = root / "capture", clock
        self.directory.mkdir(parents=True)

    def hand_over(self, records: Iterable[Captured], segment: str = "0") -> None:
        day = (self._clock.now() - START) // DAY
        path = self.directory / f"{segment}-1-{day:06d}.seg"
        data = b"".join(frame(msgspec.msgpack.encode(one)) for one in records)
        with path.open("ab") as file:
            file.write(data if path.stat().st_size else MAGIC + data)
        now = micros(self._clock.now()) * 1_000
        os.utime(path, ns=(now, now))

    def days(self) -> list[int]:
        return sorted(int(path.stem[-6:]) for path in self.directory.glob("*.seg"))


class Unremovable(CaptureFiles):
    """Of a directory in which this account may not delete."""

    def remove(self, before_us: int) -> Any:
        raise StoreUnavailable(f"cannot remove what is older than {before_us}")


def project_on_disk(root: Path, keep: str | None = f"{KEPT}d", reader: type[CaptureFiles] = CaptureFiles, **more: Any) -> Project:
    capture = {} if keep is None else {"capture": {"keep": keep}}
    project = Project(root, spec_of(more.pop("release", AT_ONCE), monitor=MONITOR, **capture, **more))
    project.capture = Daily(root, project.clock)  # type: ignore[assignment]
    read_by(project, reader)
    return project


def read_by(project: Project, reader: type[CaptureFiles]) -> None:
    project._ports = project._ports._replace(capture=reader(project.capture.directory.parent))  # type: ignore[attr-defined]
    project.door.ports = project._ports
    project.restart()


def days(project: Project, number: int, *, restarts: bool = False) -> None:
    for _ in range(2 * number):
        project.send(60)
        project.clock.sleep(12 * HOUR)
        project.deliver()
        if restarts:
            project.restart()
        project.tick()


def held(project: Project) -> Any:
    """Ids, times, scores and labels of all rows, in no order."""
    ids, at, scores, labels, units = project.engine.observation.join.answers(0, 1 << 62)
    return sorted(zip(ids, at.tolist(), scores[:, 0].tolist(), labels.tolist(), units, strict=True))


def horizon(project: Project) -> int:
    return project.engine.observation.horizon_us


def test_old_segments_go_young_ones_stay_and_a_restart_at_every_tick_changes_nothing(tmp_path: Path) -> None:
    whole, again, all_kept = (project_on_disk(tmp_path / name, keep) for name, keep in (("a", "3d"), ("b", "3d"), ("c", None)))
    for project in (whole, again, all_kept):
        project.version()
        days(project, 9, restarts=project is again)
    until = micros(START + 6 * DAY)
    assert horizon(whole) == horizon(again) == until
    assert whole.capture.days() == again.capture.days() == [6, 7, 8, 9]  # type: ignore[attr-defined]
    assert held(whole) == held(again) == [row for row in held(all_kept) if row[1] >= until]
    states = {
        place: text for place, (text, _) in whole.ledger.projection.items() if place[0] in ("window", "horizon", "performance")
    }
    assert states == {place: again.ledger.projection[place][0] for place in states}
    assert {each.start for each in whole.windows()} == {each.start for each in all_kept.windows()}
    assert all_kept.capture.days() == list(range(10))  # type: ignore[attr-defined]
    told = [event.payload for event in whole.ledger.events(kinds=("capture.forgotten",))]
    assert [(each["windows"], each["predictions"], each["waiting"]) for each in told] == [(1, 120, 0)] * len(told)
    assert any(words.startswith("Removed from capture/ are segments that hold nothing younger: 1, ") for _, words in whole.said)
    whole.holds()


def test_a_label_for_what_is_forgotten_joins_nothing_and_moves_no_window(tmp_path: Path) -> None:
    project = project_on_disk(tmp_path)
    project.version()
    days(project, 7)
    before = project.windows()
    late = [f"p{number}" for number in range(60)]
    at_us = micros(project.clock.now())
    project.capture.hand_over([LabelBatch(at_us=at_us, model="shop", ids=late, values=["yes"] * 60, observed_us=[None] * 60)])
    project.clock.sleep(6 * HOUR)
    project.tick()
    counts = project.engine.observation.join.counts()
    assert counts.labels_unknown == 60
    assert [window for window in project.windows() if window in before] == list(before)
    days(project, KEPT + 2)
    counts = project.engine.observation.join.counts()
    assert (counts.labels_unknown, counts.labels_given_up) == (0, 60)
    project.holds()


def test_a_control_that_was_down_for_longer_than_that_first_judges_what_was_captured_meanwhile(tmp_path: Path) -> None:
    project = project_on_disk(tmp_path)
    project.version()
    days(project, 4)
    closed = len(project.windows())
    for _ in range(2 * 8):
        project.send(60)
        project.clock.sleep(12 * HOUR)
        project.deliver()
    project.restart()
    project.tick()
    assert len(project.windows()) == closed + 8
    assert all(window.mature and window.predictions == 120 for window in project.windows()[:-1])
    assert horizon(project) == micros(START + 9 * DAY)
    project.holds()


def test_what_an_open_release_compares_is_held_until_it_ends(tmp_path: Path) -> None:
    release = {"shadow": {"at_least": "6h", "at_most": "30d", "min_labels": 5000}, "steps": [], "watch": "6h", "margin": 0.05}
    project = project_on_disk(tmp_path, release=release)
    project.version()
    days(project, 5)
    project.version()
    opened = project.release().opened_at
    days(project, 7)
    assert horizon(project) == micros(opened.replace(hour=0))
    (rule,) = [each for each in project.engine.releases._measuring._answered.values() if each[1].name == "loss"]
    compared = rule[1].n
    assert compared >= 7 * 120 - 60
    commands.order(project.door, "hold", "user:me", "wait")
    days(project, 2)
    assert horizon(project) == micros(opened.replace(hour=0))
    project.roll_back()
    days(project, 1)
    assert horizon(project) == micros(START + 12 * DAY)
    project.holds()


def test_who_is_killed_before_old_segments_are_removed_loses_nothing_that_is_younger(tmp_path: Path) -> None:
    project = project_on_disk(tmp_path, reader=Unremovable)
    project.version()
    days(project, KEPT)
    with pytest.raises(StoreUnavailable, match="cannot remove"):
        days(project, 1)
    assert horizon(project) == micros(START + DAY)
    young, everything = held(project), project.capture.days()  # type: ignore[attr-defined]
    assert everything == list(range(KEPT + 2))
    read_by(project, CaptureFiles)
    project.tick()
    assert held(project) == young
    assert project.capture.days() == everything[1:]  # type: ignore[attr-defined]


def test_what_was_forgotten_stays_so_when_keep_is_prolonged_or_taken_away_and_nothing_more_is_removed(tmp_path: Path) -> None:
    project = project_on_disk(tmp_path)
    project.version()
    days(project, 6)
    before, on_disk = horizon(project), project.capture.days()  # type: ignore[attr-defined]
    project.door.spec = project.spec = spec_of(AT_ONCE, monitor=MONITOR)
    project.restart()
    days(project, 3)
    assert horizon(project) == before
    assert project.capture.days() == [*on_disk, 7, 8, 9]  # type: ignore[attr-defined]


def test_a_horizon_that_a_wrong_clock_has_reckoned_keeps_nothing_from_being_captured(tmp_path: Path) -> None:
    project = project_on_disk(tmp_path)
    project.version()
    days(project, 2)
    world, leapt = project.engine.world, put("horizon", "shop", Horizon(until=START + 2_000 * DAY))
    world.record(draft(world.now(), "capture.forgotten", "model:shop", {}, (leapt,)))
    before = held(project)
    project.restart()
    days(project, 1)
    assert {row[0] for row in held(project)} == {row[0] for row in before} | {f"p{number}" for number in range(240, 360)}


@pytest.mark.parametrize(("every", "keep", "window"), [(30, "90d", "1d"), (7, "14d", "1d"), (15, "90d", "30d")])
def test_where_traffic_is_sparse_what_is_old_goes_too_and_where_control_starts_again_some_windows_later(
    tmp_path: Path, every: int, keep: str, window: str
) -> None:
    monitor = MONITOR | {"window": window}
    project = Project(tmp_path, spec_of(AT_ONCE, monitor=monitor, capture={"keep": keep}))
    project.version()
    kept = 14 if keep == "14d" else 90

    def behind(rounds: int, *, restarts: bool) -> int:
        """Days from the horizon to the end of the newest window, beyond what is kept."""
        for _ in range(rounds):
            project.send(30)
            for _ in range(every):
                project.clock.sleep(DAY)
                project.deliver()
                project.engine.tick()
            if restarts:
                project.restart()
        newest = max(each.end for each in project.windows())
        return (newest - timedelta(days=kept) - moment(horizon(project))) // DAY

    whole = behind(16, restarts=False)
    whole_steps = max(kept / 16, 30 if window == "30d" else 1)
    assert 0 <= whole <= whole_steps
    assert 0 <= behind(6, restarts=True) <= whole + 2 * every
    assert 0 <= behind(12, restarts=False) <= whole_steps


def test_time_without_traffic_makes_no_way_for_a_leap_of_the_clock(tmp_path: Path) -> None:
    project = project_on_disk(tmp_path, "16d")
    project.version()
    days(project, 18)
    for _ in range(4):
        project.clock.sleep(DAY)
        project.tick()
    project.clock.sleep(20_000 * DAY)
    project.send(60)
    for _ in range(2):
        project.clock.sleep(DAY)
        project.tick()
    assert max(window.end for window in project.windows()) > START + 20_000 * DAY
    lived, a_part = 22 + 3, 4
    assert START + 2 * DAY < moment(horizon(project)) <= START + (lived + a_part - 16) * DAY
    assert len(held(project)) >= 120 * (18 - (lived + a_part - 16))


def set_clock(project: Project, at: datetime) -> None:
    """On a machine that is started again."""
    project.clock = project.capture._clock = SimulatedClock(at)  # type: ignore[attr-defined]
    project._ports = project._ports._replace(clock=project.clock)
    project.door.ports = project._ports
    project.restart()


def test_a_clock_that_was_in_another_year_for_a_while_does_not_take_everything_with_it(tmp_path: Path) -> None:
    project = project_on_disk(tmp_path)
    project.version()
    days(project, 6)
    right, before = project.clock.now(), held(project)
    until = horizon(project)
    set_clock(project, START + 20_000 * DAY)
    days(project, 1)
    assert max(window.end for window in project.windows()) == START + 20_001 * DAY
    set_clock(project, right)
    days(project, 1)
    young = micros(START + 4 * DAY)
    assert horizon(project) <= young
    assert until <= horizon(project)
    assert {row for row in before if row[1] >= young} <= set(held(project))
    assert {4, 5} <= set(project.capture.days())  # type: ignore[attr-defined]
    assert max(window.end for window in project.windows() if window.end <= project.clock.now()) == right + DAY
    signals = project.ledger.events(kinds=("signals.gathered",))[-1]
    assert signals.payload["window"] == right.isoformat()
    project.holds()

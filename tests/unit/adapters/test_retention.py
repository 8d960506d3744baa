"""How long segments of a gateway without a control plane stay."""

import fcntl
import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from flyball.adapters.standalone import retention
from flyball.adapters.standalone.retention import Reckoning, Retention, hand_over

DAY = 86_400
DAY_US = DAY * 1_000_000
KEEP = 30.0 * DAY


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_keep_is_counted_back_from_the_newest_record_and_never_from_the_future() -> None:
    assert Reckoning().before_us(KEEP, 100 * DAY_US, 200 * DAY_US) == 70 * DAY_US
    assert Reckoning().before_us(KEEP, 900 * DAY_US, 200 * DAY_US) == 170 * DAY_US


def test_a_clock_that_leaps_moves_it_by_a_quarter_of_keep_a_day_and_no_more() -> None:
    passed = Clock()
    reckoning = Reckoning(passed)
    reckoning.before_us(KEEP, 100 * DAY_US, 100 * DAY_US)
    passed.seconds += DAY
    assert reckoning.before_us(KEEP, 101 * DAY_US, 101 * DAY_US) == 71 * DAY_US
    passed.seconds += DAY / 2
    assert reckoning.before_us(KEEP, 466 * DAY_US, 466 * DAY_US) == (71 * 2 + 1) * DAY_US // 2 + 15 * DAY_US // 4
    passed.seconds += DAY
    assert reckoning.before_us(KEEP, 466 * DAY_US, 103 * DAY_US) == 73 * DAY_US  # set right again


def test_time_without_traffic_counts_once_there_is_some_again() -> None:
    passed = Clock()
    reckoning = Reckoning(passed)
    reckoning.before_us(KEEP, 0, 0)
    while passed.seconds < 30 * DAY:
        passed.seconds += 300
        assert reckoning.before_us(KEEP, 0, int(passed.seconds * 1e6)) == -30 * DAY_US
    assert reckoning.before_us(KEEP, 30 * DAY_US, 30 * DAY_US) == 0
    passed.seconds += 300
    leapt = reckoning.before_us(KEEP, 400 * DAY_US, 400 * DAY_US)  # it gives a leap no more room than traffic does
    assert leapt == 300_000_000 + 30 * DAY_US // 4 * 300 // DAY


def test_a_gateway_that_was_off_keeps_to_it_at_once_and_so_does_one_whose_clock_began_in_1970() -> None:
    passed = Clock()
    off, reset = Reckoning(passed), Reckoning(passed)
    assert off.before_us(KEEP, 100 * DAY_US, 200 * DAY_US) == 70 * DAY_US
    assert reset.before_us(KEEP, 200 * DAY_US, 0) == -30 * DAY_US
    passed.seconds += 300
    now = 200 * DAY_US + 300_000_000
    assert off.before_us(KEEP, now, now) == reset.before_us(KEEP, now, now) == now - 30 * DAY_US


class State:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "capture").mkdir()

    def segment(self, name: str, days: float) -> Path:
        path = self.directory / "capture" / f"{name}.seg"
        path.write_bytes(b"x")
        at = time.time() - days * DAY
        os.utime(path, (at, at))
        return path

    def left(self) -> list[str]:
        return sorted(path.stem for path in (self.directory / "capture").glob("*.seg"))

    def told(self, times: int = 1) -> list[str]:
        """What is said first, within 20 s."""
        said: list[str] = []
        enough = threading.Event()

        def say(_style: str, words: str) -> None:
            said.append(words)
            if len(said) == times:
                enough.set()

        with Retention(self.directory, say):
            assert enough.wait(20)
        return said


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def test_what_is_older_goes_unless_somebody_writes_it(state: State) -> None:
    for name, days in (("w0-1", 40), ("w0-2", 31), ("w0-3", 29), ("w0-4", 0), ("w1-1", 40)):
        state.segment(name, days)
    hand_over(state.directory, timedelta(days=30))
    with (state.directory / "capture" / "w1-1.seg").open("rb") as written:
        fcntl.flock(written, fcntl.LOCK_SH)
        assert state.told() == ["Removed from capture/ by capture.keep: 2 segments, 0.0 MB."]
    assert state.left() == ["w0-3", "w0-4", "w1-1"]


def test_all_that_are_old_go_without_a_pause_between(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOOK_SECONDS", 600)
    for at in range(70):
        state.segment(f"w0-{at:02}", 40)
    state.segment("w0-99", 0)
    hand_over(state.directory, timedelta(days=30))
    assert len(state.told(2)) == 2
    assert state.left() == ["w0-99"]


@pytest.mark.parametrize("handed", ["for ever", "not handed over"])
def test_without_a_bound_everything_stays(state: State, handed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.01)
    state.segment("w0-1", 4000)
    state.segment("w0-2", 0)
    if handed == "for ever":
        hand_over(state.directory, timedelta(days=1))
        hand_over(state.directory, None)
    with Retention(state.directory, lambda _style, words: pytest.fail(words)):
        threading.Event().wait(0.1)
    assert state.left() == ["w0-1", "w0-2"]


def test_what_cannot_be_read_is_told_once_and_removes_nothing(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.01)
    state.segment("w0-1", 4000)
    (state.directory / "capture.keep").write_text("a month")
    said: list[str] = []
    with Retention(state.directory, lambda _style, words: said.append(words)):
        threading.Event().wait(0.2)
    assert len(said) == 1
    assert said[0].startswith("Old segments were not removed from capture/: could not convert")
    assert state.left() == ["w0-1"]

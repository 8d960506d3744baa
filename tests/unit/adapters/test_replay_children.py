"""Replays in processes of their own: so many at a time, and none after the command that started them was interrupted."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flyball.adapters.replay_children import run_children

LIVES = """
import json, os, pathlib, sys, time
place = pathlib.Path(sys.argv[1])
(place / "pid").write_text(str(os.getpid()))
for style, words in (("plain", "2026-01-01"), ("finding", "drift"), ("plain", "2026-01-02"), ("step", "over")):
    print(json.dumps({"style": style, "words": words}), flush=True)
if place.name != "short":
    time.sleep(600)
"""
COMMAND = (sys.executable, "-c", LIVES)


def places(directory: Path, *names: str) -> dict[str, Path]:
    for name in names:
        (directory / name).mkdir()
    return {name: directory / name for name in names}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As in a terminal: a shell starts what runs behind it deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_the_replay_that_runs_and_begins_no_other(tmp_path: Path) -> None:
    def interrupt(style: str, _words: str) -> None:
        if style == "step":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_children(places(tmp_path, "first", "second", "third"), 1, interrupt, COMMAND)
    assert [path.parent.name for path in tmp_path.glob("*/pid")] == ["first"]
    assert not psutil.pid_exists(int((tmp_path / "first" / "pid").read_text()))


def test_days_are_told_now_and_then_steps_always_and_findings_never(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    ended = run_children(places(tmp_path, "short"), 1, lambda style, words: said.append((style, words)), COMMAND)
    assert said == [("plain", "short  2026-01-01"), ("step", "short  over")]
    assert ended["short"].exit_code == 0

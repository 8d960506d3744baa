"""Several processes over one cache: a step is done once, whoever asks for it first."""

import fcntl
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flyball.adapters.steps.cache import StepCache
from flyball.adapters.steps.situation import LABEL, TIME, read_rows, write_rows
from flyball.errors import StoreUnavailable
from flyball.records.jobs import Progress


def ask(root: Path, step: str, key: str, told: Any) -> None:
    def work(directory: Path) -> dict[str, Any]:
        (directory / "made").write_text(str(os.getpid()))
        with (root.parent / "done").open("a") as file:
            file.write(f"{key}\n")
        time.sleep(0.3)
        return {"by": os.getpid()}

    lines: list[str] = []
    result = StepCache(root, lambda progress: lines.append(progress.status)).do(step, key, work)
    told.put((result.values["by"], next(line for line in lines if line not in ("waiting", "waited"))))


def test_a_step_that_several_ask_for_at_once_is_done_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    children = [context.Process(target=ask, args=(tmp_path / "cache", "train", "a" * 64, told)) for _ in range(3)]
    for child in children:
        child.start()
    answers = [told.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert len({by for by, _ in answers}) == 1, "all have the result of the same one"
    assert sorted(status for _, status in answers) == ["cached", "cached", "started"]
    assert (tmp_path / "done").read_text().splitlines() == ["a" * 64]


def test_a_step_that_fails_leaves_no_lock_behind(tmp_path: Path) -> None:
    def fails(_: Path) -> dict[str, Any]:
        raise RuntimeError

    said: list[Progress] = []
    cache = StepCache(tmp_path, said.append)
    for _ in range(2):
        try:
            cache.do("train", "b" * 64, fails)
        except RuntimeError:
            continue
    assert [progress.status for progress in said] == ["started", "started"]
    assert cache.do("train", "b" * 64, lambda _: {"n": 1}).values == {"n": 1}


def say_nothing(_progress: Progress) -> None:
    """Nobody listens."""


def test_a_step_that_is_done_is_found_while_its_lock_is_held(tmp_path: Path) -> None:
    cache = StepCache(tmp_path / "cache", say_nothing)
    made = cache.do("train", "a" * 64, lambda _: {"n": 1})
    (lock,) = (tmp_path / "locks").iterdir()
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(cache.do("train", "a" * 64, lambda _: {"n": 2})), daemon=True)
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        asking.start()
        asking.join(20)
        assert found == [made]


def test_who_waits_for_another_says_so_and_how_long(tmp_path: Path) -> None:
    said: list[Progress] = []
    cache = StepCache(tmp_path / "cache", said.append)
    inside, leave = threading.Event(), threading.Event()

    def work(_: Path) -> dict[str, Any]:
        inside.set()
        return {"left": leave.wait(20.0)}

    first = threading.Thread(target=lambda: StepCache(tmp_path / "cache", say_nothing).do("train", "a" * 64, work))
    first.start()
    assert inside.wait(20.0)
    second = threading.Thread(target=lambda: cache.do("train", "a" * 64, work))
    second.start()
    deadline = time.monotonic() + 20.0
    while not said and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert [line.status for line in said] == ["waiting"]
    leave.set()
    for thread in (first, second):
        thread.join()
    assert [line.status for line in said] == ["waiting", "waited", "cached"]
    assert said[1].waited_seconds >= 0.2


@pytest.mark.parametrize(("step", "together"), [("train", True), ("snapshot", False)])
def test_two_steps_are_done_at_the_same_time_and_two_snapshots_are_not(tmp_path: Path, step: str, together: bool) -> None:
    cache, inside, leave = StepCache(tmp_path / "cache", say_nothing), threading.Semaphore(0), threading.Event()

    def work(_: Path) -> dict[str, Any]:
        inside.release()
        return {"told_to_leave": leave.wait(20.0)}

    keys = ["a" + "b" * 63, "a" + "c" * 63]
    results: list[Any] = []
    threads = [threading.Thread(target=lambda key=key: results.append(cache.do(step, key, work))) for key in keys]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=20.0)
    assert inside.acquire(timeout=20.0 if together else 0.5) is together
    leave.set()
    for thread in threads:
        thread.join()
    assert [result.values for result in results] == [{"told_to_leave": True}] * 2


FORKS = """
import os, pathlib, sys, time
from flyball.adapters.steps.cache import StepCache

def work(directory):
    if os.fork() == 0:
        os.closerange(1, 3)
        time.sleep(600)
    return {}

cache = StepCache(pathlib.Path(sys.argv[1]) / "cache", lambda progress: None)
try:
    cache.do("snapshot", "a" * 64, work)
    cache.do("snapshot", "b" * 64, lambda directory: {})
    print("both", flush=True)
finally:
    os.killpg(0, 9)
"""


def test_what_the_users_code_has_forked_keeps_no_lock(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=60, start_new_session=True,
    )  # fmt: skip
    assert done.stdout == "both\n", done.stderr


def test_a_place_where_no_lock_can_lie_is_told(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file")
    with pytest.raises(StoreUnavailable, match="locks"):
        StepCache(tmp_path / "cache", say_nothing).do("train", "a" * 64, lambda _: {})


def test_a_result_that_is_not_good_any_more_is_made_anew_and_told_as_such(tmp_path: Path) -> None:
    said: list[Progress] = []
    cache = StepCache(tmp_path, said.append)
    for n in (1, 2):
        cache.do("package", "e" * 64, lambda _, n=n: {"n": n}, lambda made: made.values["n"] > 1)
    assert cache.do("package", "e" * 64, lambda _: {"n": 3}, lambda made: made.values["n"] > 1).values == {"n": 2}
    assert [progress.status for progress in said] == ["started", "done", "started", "done", "cached"]
    assert [path.name for path in tmp_path.glob("*")] == ["package-" + "e" * 16]


def test_rows_of_a_project_with_a_star_in_its_path_are_not_those_of_its_neighbour(tmp_path: Path) -> None:
    for name, value in (("shop*", 1.0), ("shop2", 2.0)):
        (tmp_path / name).mkdir()
        rows = pl.DataFrame({LABEL: [value], TIME: [datetime(2026, 1, 1, tzinfo=UTC)], "key": ["k"]})
        write_rows(tmp_path / name, pl.DataFrame({"price": [value]}), rows)
    assert read_rows(tmp_path / "shop*").labels.tolist() == [1.0]
    assert read_rows(tmp_path / "shop*").features["price"].to_list() == [1.0]

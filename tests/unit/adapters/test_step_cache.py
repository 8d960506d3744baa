"""Several processes over one cache: a step is done once, whoever asks for it first."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

from flyball.adapters.steps.cache import StepCache
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
    told.put((result.values["by"], lines[0]))


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

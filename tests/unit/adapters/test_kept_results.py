"""What a year of trainings leaves on the disk is bounded, and nothing is taken from a run that goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from projects import LOGISTIC, Told, package_in, project, request, rows, spec

from flyball.adapters import kept_results
from flyball.adapters.kept_results import KEPT, LOG_BYTES, YOUNG_SECONDS, in_use, remove_old, shorten_logs
from flyball.adapters.packages import LocalPackages
from flyball.adapters.steps import run_steps
from flyball.adapters.steps.cache import StepCache
from flyball.records.jobs import Progress

LATER = time.time() + 2 * YOUNG_SECONDS


def trained(cache: Path, count: int, first: int = 0) -> None:
    """Each a minute after the one before, the last one now."""
    kept = StepCache(cache, lambda _: None)
    for number in range(first, first + count):
        for step in ("validate", "train"):
            key = f"{number:064d}"[::-1]
            kept.do(step, key, lambda directory: {"n": (directory / "rows").write_bytes(b"x" * 100)})
            os.utime(kept.directory(step, key), (time.time() + 60 * number,) * 2)


def there(cache: Path) -> dict[str, int]:
    names = [each.name.partition("-")[0] for each in cache.iterdir()]
    return {name: names.count(name) for name in sorted(set(names))}


def test_the_newest_results_of_each_step_stay_and_their_locks(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trained(cache, KEPT + 3)
    newest = sorted(each.name for each in cache.iterdir() if each.name.partition("-")[2].startswith(("3", "4", "5")))
    assert remove_old(cache, LATER)
    assert there(cache) == {"train": KEPT, "validate": KEPT}
    assert sorted(each.name for each in cache.iterdir()) == newest
    assert sorted(each.stem for each in (tmp_path / "locks").glob("*-*")) == newest


def test_what_was_used_lately_stays_however_much_it_is(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trained(cache, KEPT + 3)
    assert remove_old(cache, time.time())
    assert there(cache) == {"train": KEPT + 3, "validate": KEPT + 3}
    for each in cache.iterdir():
        os.utime(each, (0, 0))
    trained(cache, 1)
    assert remove_old(cache, time.time())
    assert [(cache / f"train-{'0' * 16}").is_dir(), there(cache)["train"]] == [True, KEPT]


def test_nothing_is_removed_while_any_run_goes_on(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trained(cache, KEPT + 3)
    with in_use(cache), in_use(cache):
        assert not remove_old(cache, LATER)
    assert there(cache)["train"] == KEPT + 3
    assert remove_old(cache, LATER)
    assert there(cache)["train"] == KEPT


def test_a_clean_up_that_was_killed_leaves_nothing_half(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trained(cache, KEPT + 2)
    code = (
        "import os, shutil, signal, sys, pathlib\n"
        "from flyball.adapters.kept_results import remove_old\n"
        "def dies(place, **_):\n"
        "    next(pathlib.Path(place).iterdir()).unlink()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "shutil.rmtree = dies\n"
        f"remove_old(pathlib.Path(sys.argv[1]), {LATER})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(cache)], check=False)
    assert killed.returncode == -signal.SIGKILL
    whole = [each for each in cache.iterdir() if not each.name.startswith(".")]
    assert len(whole) == 2 * (KEPT + 2) - 1
    assert all((each / "result.json").is_file() and (each / "rows").is_file() for each in whole)
    assert remove_old(cache, LATER)
    assert there(cache) == {"train": KEPT, "validate": KEPT}


def test_the_log_of_a_job_that_is_over_keeps_its_end(tmp_path: Path) -> None:
    for job, size in (("j-0001", 5 * LOG_BYTES), ("j-0002", 10)):
        (tmp_path / job).mkdir()
        (tmp_path / job / "log").write_bytes(b"a" * size + b"the end")
    shorten_logs(tmp_path)
    long, short = (tmp_path / job / "log" for job in ("j-0001", "j-0002"))
    assert (long.stat().st_size, long.read_bytes()[-7:]) == (LOG_BYTES, b"the end")
    assert short.stat().st_size == 17


CHANCE = LOGISTIC.replace(
    "return make_pipeline(prepare",
    "import os; parameters = {'C': 0.01 + os.urandom(1)[0] / 99}\n    return make_pipeline(prepare",
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, str]]:
    """A run whose training comes out otherwise each time."""
    directory = project(tmp_path_factory.mktemp("shop"), CHANCE, rows(400))
    asked = request(directory, spec())
    return asked, {each.step: each.key for each in run_steps(asked, Told())}


def again(asked: Any) -> tuple[dict[str, str], dict[str, str], Path]:
    last: dict[str, str] = {}

    def tell(progress: Progress) -> None:
        if progress.status in ("done", "cached"):
            last[progress.step] = progress.status

    results = run_steps(asked, tell)
    return {each.step: each.key for each in results}, last, package_in(asked.project_dir, results)


def test_a_run_whose_results_are_gone_is_the_same_run(ran: tuple[Any, dict[str, str]]) -> None:
    asked, keys = ran
    shutil.rmtree(asked.state_dir / "cache")
    found, how, package = again(asked)
    assert found == keys
    assert set(how.values()) == {"done"}
    assert LocalPackages().evaluation(package)


def test_what_was_judged_of_an_estimator_that_is_gone_is_not_said_of_the_one_that_was_fitted_in_its_place(
    ran: tuple[Any, dict[str, str]],
) -> None:
    asked, keys = ran
    (gone,) = (asked.state_dir / "cache").glob("train-*")
    kept_results.remove_directory_at_once(gone)
    found, how, _ = again(asked)
    assert found == keys
    assert how == {"snapshot": "cached", "validate": "cached", "train": "done", "evaluate": "done", "package": "done"}
    assert set(again(asked)[1].values()) == {"cached"}

"""Kill -9 at any moment, then the same command again: the same result, nothing half-written, nothing twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable
from projects import LIGHTGBM, Told, project, request

from flyball.adapters.packages import verify_package
from flyball.adapters.steps import run_steps
from flyball.records import codec

CODE = (
    LIGHTGBM.format(kind="Classifier")
    .replace("def train", "def fit")
    .__add__("""
import time
from pathlib import Path

def train(features, label, parameters, seed):
    with (Path(__file__).parent / "trained.txt").open("a") as file:
        file.write("begun ")
    time.sleep(0.3)
    model = fit(features, label, parameters, seed)
    return model
""")
)


def child(directory: Path) -> subprocess.Popen:
    command = [sys.executable, str(Path(__file__).parent / "step_child.py"), str(directory)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_a_run_killed_again_and_again_ends_as_if_it_never_had_been(tmp_path: Path) -> None:
    directory = project(tmp_path / "p", CODE)
    cache = directory / ".flyball" / "cache"
    draw = random.Random(7)
    killed = 0
    for _ in range(5):
        before = set(os.listdir(cache)) if cache.exists() else set()
        process = child(directory)
        # Kill soon after something new appears, aside or in place: where work is being written.
        until = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < until:
            if cache.exists() and set(os.listdir(cache)) - before:
                time.sleep(draw.random() * 0.15)
                break
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        for result in cache.glob("[!.]*"):
            assert json.loads((result / "result.json").read_bytes())["step"] == result.name.split("-")[0]
    assert killed >= 3
    last = child(directory)
    assert last.wait(60) == 0, last.stderr.read().decode()
    last.stderr.close()
    steps = sorted(path.name.split("-")[0] for path in cache.iterdir())
    assert steps == ["evaluate", "package", "snapshot", "train", "validate"]
    assert DeltaTable(str(directory / ".flyball" / "snapshots" / "flights")).version() == 0
    results = json.loads((directory / "results.json").read_bytes())
    assert [result["step"] for result in results] == ["snapshot", "validate", "train", "evaluate", "package"]
    verify_package(directory / ".flyball" / results[-1]["values"]["package"], results[-1]["values"]["manifest_digest"])
    begun = (directory / "trained.txt").read_text().split()
    again = json.loads(codec.encode(run_steps(request(directory), Told())))
    assert again == results
    assert (directory / "trained.txt").read_text().split() == begun

    unkilled = json.loads(codec.encode(run_steps(request(project(tmp_path / "clean", CODE)), Told())))
    assert [result["key"] for result in unkilled] == [result["key"] for result in results]
    assert unkilled[3]["values"] == results[3]["values"]


@pytest.mark.parametrize("step", ["snapshot", "validate", "train", "evaluate", "package"])
def test_leftovers_of_the_dead_are_removed(tmp_path: Path, step: str) -> None:
    directory = project(tmp_path / "p")
    results = {result.step: result for result in run_steps(request(directory), Told())}
    cache = directory / ".flyball" / "cache"
    name = f"{step}-{results[step].key[:16]}"
    dead = subprocess.Popen(["true"])
    dead.wait()
    (cache / name).rename(cache / f".{name}.{dead.pid}.tmp")
    told = Told()
    again = {result.step: result for result in run_steps(request(directory), told)}
    assert told.statuses("done") == [step]
    assert again[step].key == results[step].key
    assert not list(cache.glob(".*"))

"""A replay that is killed goes on where it was, and comes to the same, decision for decision."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from late_rows import write_rows

from flyball.adapters.ledger import SqliteLedger
from flyball.records import codec

PIPELINE = """
from sklearn.linear_model import LogisticRegression

def train(features, label, parameters, seed):
    return LogisticRegression(C=parameters.get("C", 1.0)).fit(features.to_numpy(), label.to_numpy())
"""
SPEC = """
project: shop
model: shop
task: binary
data:
  source: {files: rows.parquet}
  time: at
  key: id
  label: late
  label_delay: 6h
  features: {hour: number, wind: number}
train: {entrypoint: "pipeline:train"}
evaluate: {holdout: 1d}
gates: {absolute: [{metric: roc_auc, at_least: 0.5}], latency_p99_ms: 1000}
release: {shadow: {at_least: 6h, at_most: 2d, min_labels: 20}, steps: [{traffic: 30%, at_least: 6h}], watch: 12h, margin: 0.2, max_error_rate_increase: 0.5}
policies:
  - {name: refresh, when: champion.data_age_days > 2, do: retrain, cooldown: 1d}
replay: {train_until: 2026-01-09T00:00:00Z, until: 2026-01-13T00:00:00Z, late_labels: 10%, duplicate_labels: 5%, late_by_at_most: 1d}
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
Ledger = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lived through once, without interruption: what was trained for it is there for those that are killed."""
    directory = tmp_path_factory.mktemp("shop")
    write_rows(directory / "rows.parquet", 14 * 96)
    (directory / "pipeline.py").write_text(PIPELINE)
    (directory / "flyball.yaml").write_text(SPEC)
    done = run(directory)
    assert done.returncode == 0, done.stderr
    (directory / "said").write_text(done.stderr)
    return directory


def days(said: str) -> list[str]:
    """The diary."""
    return re.findall(r"2026-01-\d\d +\d+ requests.*", said)


def command(directory: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "flyball", "replay", "--json", "--project", str(directory), *more]


def run(directory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(directory, *more), capture_output=True, text=True, check=False, timeout=300, env=ENVIRONMENT, cwd=directory
    )


def told(directory: Path, state: str = "replay") -> Ledger:
    """All that the ledger says, but who wrote it and what MLflow called its run."""
    ledger = SqliteLedger(directory / ".flyball" / state)
    try:
        assert ledger.verify() == ()
        return [
            (event.at, event.kind, event.subject, event.key, plain(event.payload), plain([codec.plain(put) for put in event.puts]))
            for event in ledger.events() if event.kind != "control.claimed"
        ]  # fmt: skip
    finally:
        ledger.close()


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(below) for key, below in value.items() if key not in ("mlflow_run", "package")}
    return [plain(below) for below in value] if isinstance(value, list) else value


def report_of(directory: Path) -> dict[str, Any]:
    found = json.loads((directory / "report.json").read_bytes())
    return {key: value for key, value in found.items() if key not in ("wall_seconds", "training_seconds")}


def kill_at(directory: Path, words: str, *more: str) -> str:
    """Start it and kill it, as `kill -9` does, once it has said these words; what it had said."""
    process = subprocess.Popen(
        command(directory, *more), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=ENVIRONMENT, cwd=directory
    )
    said = ""
    assert process.stderr is not None
    with process, process.stderr as lines:
        for line in lines:
            said += line
            if words in line:
                process.send_signal(signal.SIGKILL)
                break
    assert words in said, said
    return said


def test_three_kills_change_nothing_that_was_decided_or_measured(project: Path) -> None:
    ledger, report = told(project), report_of(project)
    assert sum(event[1] == "decision.made" for event in ledger) > 6, "a release with shadow and canary is in it"
    assert report["decisions"] == report["decisions_replayed_equal"]
    kill_at(project, "Training the first version", "--fresh")
    kill_at(project, "2026-01-10")
    assert "Going on at 2026-01-1" in kill_at(project, "in canary" if "canary" in str(ledger) else "2026-01-11")
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert "Going on at 2026-01-1" in done.stderr
    wanted = days((project / "said").read_text())
    assert len(wanted) >= 4
    assert days(done.stderr) == wanted[-len(days(done.stderr)) :] != []
    assert told(project) == ledger
    assert report_of(project) == report


def test_a_replay_that_is_over_is_told_again_and_not_lived_again(project: Path) -> None:
    before = told(project)
    done = run(project)
    assert (done.returncode, told(project)) == (0, before)
    assert "its report again. --fresh lives it anew" in done.stderr
    assert "Going on" not in done.stderr


def test_one_that_was_begun_from_something_else_is_not_gone_on_with(project: Path) -> None:
    kill_at(project, "2026-01-10", "--fresh")
    try:
        (project / "flyball.yaml").write_text(SPEC.replace("cooldown: 1d", "cooldown: 2d"))
        refused = run(project)
        assert refused.returncode == 2
        assert "was begun before this changed: policies: of flyball.yaml" in refused.stderr
        assert "flyball replay --fresh begins anew; or change it back, and it goes on" in refused.stderr
    finally:
        (project / "flyball.yaml").write_text(SPEC)
    assert "Going on at 2026-01-1" in run(project).stderr


@pytest.mark.nightly
def test_policies_are_lived_through_beside_one_another_and_go_on_one_by_one(project: Path) -> None:
    (project / "cache.yaml").write_text(
        "policies: [{name: often, when: champion.data_age_days > 1, do: retrain, cooldown: 1d}]\n"
    )
    arguments = ("--policy", "never", "current", "cache.yaml", "--jobs", "2")
    said = kill_at(project, "is champion", *arguments)
    assert "current  " in said
    wait_for_children(project)
    done = run(project, *arguments)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [line["name"] for line in report["policies"]] == ["never", "current", "cache"], (
        "a policy may be called as what replays share is"
    )
    never, current, often = report["policies"]
    assert never["retrainings"] == 0 < current["retrainings"] <= often["retrainings"]
    assert all(
        line["decisions"] == line["decisions_replayed_equal"] and line["failed_requests"] == 0 for line in report["policies"]
    )
    assert never["regret"] >= 0.0
    alone = run(project)
    assert alone.returncode == 0, alone.stderr
    assert [event for event in told(project, "replays/policies/current/state") if event[1] == "decision.made"] == [
        event for event in told(project) if event[1] == "decision.made"
    ], "the project's own policies decide beside others as they do alone, of models that were trained once for both"
    again = run(project, *arguments)
    assert again.stderr.count("its report again") == 3


def wait_for_children(project: Path) -> None:
    """Those of a killed parent end within a second or two; the next command would wait for them, too."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = subprocess.run(["pgrep", "-f", f"replay-child {project}"], capture_output=True, text=True, check=False)
        if not found.stdout.strip():
            return
        time.sleep(0.1)
    raise AssertionError("children of a killed comparison live on")

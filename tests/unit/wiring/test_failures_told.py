"""What a person reads when their own code or data fail a run: once, with the right next step, and nothing private in the ledger."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "postgresql://me:hunter2@db"


def made(directory: Path, train: str) -> Path:
    subprocess.run([sys.executable, "-m", "flyball", "init", "shop"], cwd=directory, check=True, capture_output=True)
    if train:
        (directory / "shop" / "pipeline.py").write_text(
            f"import os, sys\n\ndef train(features, label, parameters, seed):\n    {train}\n"
        )
    return directory / "shop"


def run(project: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flyball", "run", *more], cwd=project, capture_output=True, text=True, timeout=120, check=False
    )


def ledger_bytes(project: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (project / ".flyball").glob("flyball.db*"))


def test_what_the_users_code_said_is_shown_and_not_recorded(tmp_path: Path) -> None:
    project = made(tmp_path, f"raise ValueError({SECRET!r})")
    done = run(project)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert said.count("pipeline:train failed: ValueError at pipeline.py:4") == 1
    assert said.count(SECRET) == 1
    assert said.count(".flyball/jobs/j-0001/log") == 1
    assert "look at what did not pass" not in said
    assert said.rstrip().endswith("Next: mend that, then flyball run.")
    assert b"hunter2" not in ledger_bytes(project)
    log = (project / ".flyball" / "jobs" / "j-0001" / "log").read_text()
    assert SECRET in log
    assert "Traceback" in log


@pytest.mark.parametrize(
    ("train", "words"), [("sys.exit(3)", "SystemExit at pipeline.py:4"), ("os._exit(3)", "ended by itself with exit code 3")]
)
def test_an_exit_is_an_answer_and_not_tried_again(tmp_path: Path, train: str, words: str) -> None:
    project = made(tmp_path, train)
    done = run(project, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert words in report["job"]["error"]
    assert (report["job"]["status"], report["job"]["attempt"]) == ("failed", 1)


def test_a_missing_source_is_told_once_with_its_own_next_step(tmp_path: Path) -> None:
    project = made(tmp_path, "")
    (project / "data" / "orders.csv").unlink()
    said = run(project).stdout
    assert said.count("no file matches 'data/*.csv'") == 1
    assert said.count("Next: ") == 1
    assert "look at what did not pass" not in said


def test_a_value_of_the_data_that_a_reader_stumbles_over_is_not_recorded(tmp_path: Path) -> None:
    project = made(tmp_path, "")
    (project / "data" / "orders.csv").write_bytes(b'order_id,ordered_at\n"a"hunter2,2\n1,2,3,hunter2\n')
    run(project)
    assert b"hunter2" not in ledger_bytes(project)


def test_the_controller_is_said_to_run_only_while_it_does(tmp_path: Path) -> None:
    project = made(tmp_path, "sys.exit(3)")
    run(project)
    status = subprocess.run([sys.executable, "-m", "flyball", "status", "--json"], cwd=project, capture_output=True, check=True)
    assert json.loads(status.stdout)["controller_alive"] is False

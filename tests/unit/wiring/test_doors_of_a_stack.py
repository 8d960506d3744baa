"""`flyball up` as a person types it, on ports of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.ports import free_ports

Done = subprocess.CompletedProcess[str]


class Project:
    """A made project and the command in it."""

    def __init__(self, parent: Path) -> None:
        self.directory = parent / "shop"
        self.state = self.directory / ".flyball"
        subprocess.run([sys.executable, "-m", "flyball", "init", "shop"], cwd=parent, check=True, capture_output=True)
        self.port, self.control_port = free_ports(2)
        path = self.directory / "flyball.yaml"
        path.write_text(
            path.read_text().replace(
                "port: 8400, control_port: 8401", f"port: {self.port}, control_port: {self.control_port}, tick: 0.2s"
            )
        )

    def __call__(self, *arguments: str, umask: int = 0o022) -> Done:
        command = [sys.executable, "-m", "flyball", *arguments]
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=120, check=False, umask=umask)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made("down")


def test_a_taken_control_port_is_told_at_once_in_one_sentence(project: Project) -> None:
    with socket.create_server(("127.0.0.1", project.control_port)):
        started = time.monotonic()
        done = project("up", "--detach")
        assert time.monotonic() - started < 15
    assert done.returncode == 3
    assert done.stderr.count("✗") == 1
    assert done.stderr.startswith(f"✗ port {project.control_port} of 127.0.0.1 is taken by process {os.getpid()} (")
    assert not (project.state / "run" / "supervisor.json").exists()


def open_to_others(directory: Path) -> list[str]:
    """What others could read or change, if they could come that far."""
    return [
        f"{path.stat().st_mode & 0o777:04o} {path}"
        for path in (directory, *directory.rglob("*"))
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]


def test_a_controller_is_told_while_it_runs_and_nobody_else_reads_the_state_and_the_projects_own_files_stay_as_the_user_has_them(
    project: Project,
) -> None:
    project.state.mkdir(mode=0o755)  # as an earlier Flyball left it
    assert project("run").returncode == 0
    assert not json.loads(project("status", "--json").stdout)["controller_alive"]
    assert project("up", "--detach").returncode == 0
    assert json.loads(project("status", "--json").stdout)["controller_alive"]
    assert open_to_others(project.state) == []
    assert len(list(project.state.rglob("*"))) > 60
    mine = [
        path
        for path in project.directory.rglob("*")
        if path.is_file() and project.state not in path.parents and "__pycache__" not in path.parts
    ]
    assert {path.name: f"{path.stat().st_mode & 0o777:04o}" for path in mine} == dict.fromkeys(
        ["flyball.yaml", "pipeline.py", "README.md", ".gitignore", "orders.csv", "schema.yaml"], "0644")  # fmt: skip
    assert project("down").returncode == 0
    assert not json.loads(project("status", "--json").stdout)["controller_alive"]


@pytest.mark.slow
def test_a_training_gives_way_to_a_gateway_that_serves_and_to_nobody_else(project: Project) -> None:
    pipeline = project.directory / "pipeline.py"
    pipeline.write_text(pipeline.read_text() + "\nimport os\n\nprint('niceness', os.nice(0))\n")
    logs = project.state / "jobs"
    assert project("run").returncode == 0
    assert f"niceness {os.nice(0)}\n" in (logs / "j-0001" / "log").read_text()
    assert project("up", "--detach").returncode == 0
    pipeline.write_text(pipeline.read_text() + "# other code is trained anew\n")
    assert project("run").returncode == 0
    assert f"niceness {min(os.nice(0) + 10, 19)}\n" in (logs / "j-0002" / "log").read_text()


@pytest.mark.slow
def test_a_renamed_project_serves_on_and_its_copy_ends_nobody(project: Project) -> None:
    assert project("run").returncode == 0
    assert project("up", "--detach").returncode == 0
    assert project("down").returncode == 0
    project.directory = project.directory.rename(project.directory.with_name("renamed & moved"))
    project.state = project.directory / ".flyball"
    done = project("up", "--detach")
    assert (done.returncode, "Running." in done.stdout) == (0, True), done.stdout
    assert [worker["error"] for worker in json.loads(project("status", "--json").stdout)["gateways"]] == [""]
    assert project("verify").returncode == 0

    original = project.directory
    project.directory = original.with_name("copy")
    shutil.copytree(original, project.directory, symlinks=True)
    assert json.loads(project("down", "--json").stdout) == {"stopped": False}
    assert project("verify").returncode == 0
    project.directory = original
    assert json.loads(project("status", "--json").stdout)["controller_alive"]
    assert json.loads(project("down", "--json").stdout) == {"stopped": True}


@pytest.mark.slow
def test_damage_is_told_wherever_a_person_looks(project: Project) -> None:
    assert project("run").returncode == 0
    model = next((project.state / "mlartifacts").rglob("model.onnx"))
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = project("up", "--detach")
    assert done.returncode == 1
    assert "version 1: " in done.stdout
    assert "model.onnx has the digest" in done.stdout
    assert "Nothing is served yet" not in done.stdout
    assert "Nothing is served: " in project("status").stdout
    told = project("doctor")
    assert told.returncode == 1
    assert "model.onnx has the digest" in told.stdout
    project("down")
    model.write_bytes(whole)
    assert project("doctor").returncode == 0

    head = project.state / "HEAD"
    head.rename(project.directory / "kept")
    for command, code in ((("up", "--detach"), 1), (("status",), 0), (("doctor",), 1), (("run",), 3), (("verify",), 1)):
        done = project(*command)
        assert done.returncode == code, (command, done.stdout, done.stderr)
        assert "head file" in done.stdout + done.stderr, command
        assert "flyball run" not in done.stdout, command
    assert done.stdout.count("not looked at") == 2
    project("down")

    (project.state / "flyball.db").unlink()
    for command in ("doctor", "verify"):
        done = project(command)
        assert done.returncode == 1
        assert "version 1 is in MLflow and not in the ledger" in done.stdout


@pytest.mark.slow
def test_a_project_that_is_brought_up_while_it_trains_is_looked_after_at_once(project: Project) -> None:
    pipeline = project.directory / "pipeline.py"
    pipeline.write_text(pipeline.read_text() + "\nimport time\n\ntime.sleep(10)\n")
    command = [sys.executable, "-m", "flyball", "run", "--json"]
    with subprocess.Popen(command, cwd=project.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 120
        while not (project.state / "jobs" / "j-0001" / "child.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert project("up", "--detach").returncode == 0
        while not json.loads(project("status", "--json").stdout)["controller_alive"]:
            assert time.monotonic() < deadline
        assert run.poll() is None, "it still trains"
        out, err = run.communicate(timeout=400)
    report = json.loads(out)
    assert (run.returncode, report["version"], report["up"], report["job"]["id"]) == (0, 1, True, "j-0001"), err
    log = (project.state / "logs" / "control.log").read_text()
    assert "another process controls" not in log
    assert json.loads((project.state / "run" / "supervisor.json").read_text())["failing"] == []
    assert len(list((project.state / "jobs").iterdir())) == 1

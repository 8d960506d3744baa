"""`flyball up` as a person types it, on ports of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]


class Project:
    """A made project and the command in it."""

    def __init__(self, parent: Path) -> None:
        self.directory = parent / "shop"
        self.state = self.directory / ".flyball"
        subprocess.run([sys.executable, "-m", "flyball", "init", "shop"], cwd=parent, check=True, capture_output=True)
        with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
            self.port, self.control_port = first.getsockname()[1], second.getsockname()[1]
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

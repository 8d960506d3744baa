"""What a door leaves behind in the process that serves it, and what that process says."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_project import YAML

from flyball.errors import NotFound
from flyball.wiring.workspace import Workspace, open_workspace


def no_job(workspace: Workspace) -> None:
    with pytest.raises(NotFound):
        workspace.autopilot.explain_job("j-0009")


READS: dict[str, Callable[[Workspace], object]] = {
    "status": Workspace.status,
    "versions": Workspace.versions,
    "decisions": lambda workspace: workspace.decisions(False),
    "findings": lambda workspace: workspace.findings.rows(False),
    "releases": lambda workspace: workspace.releases.rows(),
    "a job": no_job,
    "verify": Workspace.verify,
}


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Control's collector looks seldom: what only it would free adds up until then."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("name", READS)
@pytest.mark.usefixtures("without_collector")
def test_fifty_reads_leave_no_file_open(name: str, tmp_path: Path) -> None:
    (tmp_path / "flyball.yaml").write_text(YAML)
    workspace = open_workspace(tmp_path)
    workspace.tokens()
    for _ in range(3):
        READS[name](workspace)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        READS[name](workspace)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_control_says_to_a_full_disk_is_lost_and_no_more() -> None:
    code = "import sys; from flyball.wiring.workspace import say_to_log\nfor _ in range(9000): say_to_log('bad', 'x')\nsys.stderr.write('whole')"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.startswith("whole")

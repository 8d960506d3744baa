"""The backup of docs/operations.md, typed as it stands there."""

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from flyball.adapters.environment import code_digest

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def backed_up(project: Path) -> Path:
    """The backup."""
    block = re.search(r"## Backup\n.*?```sh\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert block is not None
    done = subprocess.run(["bash", "-ec", block[1]], cwd=project, capture_output=True, text=True, check=False, umask=0o022)
    assert done.returncode == 0, done.stderr
    return project.parent / "backup"


def database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute("pragma journal_mode=wal")
        made.execute("create table kept (name text)")


def files_below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_nobody_else_reads_a_backup_that_is_made_under_the_usual_umask(tmp_path: Path) -> None:
    state = tmp_path / "project" / ".flyball"
    for name in ("mlartifacts", "snapshots", "capture", "jobs"):
        (state / name).mkdir(parents=True)
        (state / name / "kept").write_text(name)
    for name in ("flyball.db", "mlflow.db"):
        database(state / name)
    for name in ("HEAD", "token", "token.viewer", "capture.key"):
        (state / name).write_text(name)
    there = files_below(state)
    backup = backed_up(state.parent)
    assert files_below(backup) == there
    assert [path.name for path in (backup, *backup.rglob("*")) if path.stat().st_mode & 0o077] == []


def test_a_backup_before_the_first_version_leaves_nothing_in_the_project(tmp_path: Path) -> None:
    state = tmp_path / "project" / ".flyball"
    state.mkdir(parents=True)
    database(state / "flyball.db")
    (state / "HEAD").touch()
    (state.parent / "pipeline.py").touch()
    before = code_digest(state.parent)
    assert files_below(backed_up(state.parent)) == ["HEAD", "flyball.db"]
    assert not (state / "mlflow.db").exists()
    assert code_digest(state.parent) == before

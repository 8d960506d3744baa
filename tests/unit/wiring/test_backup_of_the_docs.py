"""The backup of docs/operations.md, typed as it stands there."""

import re
import sqlite3
import subprocess
from pathlib import Path

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def test_nobody_else_reads_a_backup_that_is_made_under_the_usual_umask(tmp_path: Path) -> None:
    state = tmp_path / ".flyball"
    for name in ("mlartifacts", "snapshots", "capture", "jobs"):
        (state / name).mkdir(parents=True)
        (state / name / "kept").write_text(name)
    for name in ("flyball.db", "mlflow.db"):
        with sqlite3.connect(state / name) as made:
            made.execute("create table kept (name text)")
    for name in ("HEAD", "token", "capture.key"):
        (state / name).write_text(name)
    block = re.search(r"## Backup\n.*?```sh\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert block is not None
    done = subprocess.run(["bash", "-ec", block[1]], cwd=tmp_path, capture_output=True, text=True, check=False, umask=0o022)
    assert done.returncode == 0, done.stderr
    backup = tmp_path / "backup"
    copied = sorted(path.relative_to(backup).as_posix() for path in backup.rglob("*") if path.is_file())
    assert copied == sorted(path.relative_to(state).as_posix() for path in state.rglob("*") if path.is_file())
    assert [path.name for path in (backup, *backup.rglob("*")) if path.stat().st_mode & 0o077] == []

"""A registration in MLflow that is cut off anywhere is completed by the next one, with nothing there twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_registry import AT, empty_database, lineage, package, register, state  # noqa: F401

from flyball.adapters.registry_mlflow import PACKAGE, MlflowRegistry
from flyball.errors import ArtifactDamaged

CALLS = (
    "create_experiment", "create_run", "log_batch", "log_artifacts", "set_tag", "set_terminated",
    "create_registered_model", "create_model_version",
)  # fmt: skip


class Killed(BaseException):
    """Stands for kill -9: nothing that runs afterwards in this process may tidy up."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_a_kill_around_any_call_leaves_nothing_twice(state: Path, package, call: str, moment: str, monkeypatch) -> None:  # noqa: F811
    made = package("tree")
    first = MlflowRegistry(state)
    real = getattr(first._client, call)

    def cut(*arguments: object, **named: object) -> object:
        if moment == "after":
            real(*arguments, **named)
        raise Killed

    monkeypatch.setattr(first._client, call, cut, raising=True)
    with pytest.raises(Killed):
        register(first, made)
    monkeypatch.undo()
    second = MlflowRegistry(state)
    version = register(second, made)
    assert version.number == 1
    assert second.versions("shop") == (version,)
    assert (second.fetch("shop", 1) / "model" / "model.lgb").read_text() == "tree"
    experiment = second._client.get_experiment_by_name("shop")
    runs = second._client.search_runs([experiment.experiment_id])
    assert len(runs) == 1
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"roc_auc": 0.75, "log_loss": 0.5}
    assert run.data.params == {"depth": "3", "sampling.rows": "0.5"}
    assert [item.path for item in second._client.list_artifacts(run.info.run_id)] == [PACKAGE]


def test_a_half_uploaded_package_is_uploaded_anew(state: Path, package, monkeypatch) -> None:  # noqa: F811
    made = package("tree")
    first = MlflowRegistry(state)

    def half(run_id: str, *_: object) -> None:
        place = Path(first._client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / PACKAGE
        place.mkdir(parents=True)
        (place / "signature.json").write_text("{")
        raise Killed

    monkeypatch.setattr(first._client, "log_artifacts", half)
    with pytest.raises(Killed):
        register(first, made)
    second = MlflowRegistry(state)
    synced: list[Path] = []
    sync, tag = os.fsync, second._client.set_tag

    def noted(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def said(run_id: str, name: str, value: object) -> None:
        # A power cut after the word that all is there must not find it gone.
        run = state / "mlartifacts" / run_id
        files = (run / "artifacts" / PACKAGE).rglob("*")
        assert {*files, run / "artifacts" / PACKAGE, run / "artifacts", run, state / "mlartifacts", state} <= set(synced)
        tag(run_id, name, value)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(second._client, "set_tag", said)
    register(second, made)
    assert (second.fetch("shop", 1) / "signature.json").read_bytes() == (made[0] / "signature.json").read_bytes()


def test_people_can_load_it_by_its_alias(state: Path, package) -> None:  # noqa: F811
    registry = MlflowRegistry(state)
    version = register(registry, package("tree"))
    registry.mark("shop", version.number, "champion")
    found = registry._client.get_model_version_by_alias("shop", "champion")
    assert found.source.endswith(f"{PACKAGE}/model")
    assert found.run_id == version.lineage.mlflow_run
    assert lineage().run_key == version.lineage.run_key
    assert version.created_at == AT


def test_a_kill_while_the_database_is_made_leaves_none_that_cannot_be_opened(tmp_path: Path) -> None:
    """MLflow makes its tables in many steps; this child ends, as by `kill -9`, after the first dozen statements."""
    cut = """
import os, sys, sqlite3
import subprocess
import sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from flyball.adapters.registry_mlflow import MlflowRegistry
left = [12]
@event.listens_for(Engine, "after_cursor_execute")
def count(*_):
    left[0] -= 1
    if left[0] == 0:
        os._exit(9)
MlflowRegistry(Path(sys.argv[1])).versions("shop")
"""
    done = subprocess.run([sys.executable, "-c", cut, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 9, done.stderr
    assert not (tmp_path / "mlflow.db").exists()
    assert MlflowRegistry(tmp_path).versions("shop") == ()
    assert [path.name for path in tmp_path.glob("*mlflow.db*")] == ["mlflow.db"]


def test_what_the_ledger_knows_by_its_digest_is_found_while_the_store_is_away(state: Path, package) -> None:  # noqa: F811
    digest = register(MlflowRegistry(state), package("tree")).manifest_digest
    away = MlflowRegistry(state, server_url="http://127.0.0.1:9")
    place = away.fetch("shop", 1, digest)
    assert "_client" not in vars(away), "nobody was asked"
    assert place == MlflowRegistry(state).fetch("shop", 1)
    (place / "model" / "model.lgb").write_text("Tree")
    with pytest.raises(ArtifactDamaged):
        MlflowRegistry(state).fetch("shop", 1, digest)


def test_a_link_to_what_is_gone_is_made_anew(state: Path, package) -> None:  # noqa: F811
    digest = register(MlflowRegistry(state), package("tree")).manifest_digest
    place = MlflowRegistry(state).fetch("shop", 1)
    (link,) = (state / "packages").iterdir()
    link.unlink()
    link.symlink_to(state / "nowhere")
    assert MlflowRegistry(state).fetch("shop", 1, digest) == place == link.resolve()
    assert not link.readlink().is_absolute()

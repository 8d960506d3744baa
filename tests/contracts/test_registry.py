"""What every registry keeps to: MLflow and the one in memory."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flyball.adapters.packages import MANIFEST, make_manifest, verify_package
from flyball.adapters.registry_memory import MemoryRegistry
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.control.ports import Registry
from flyball.errors import ArtifactDamaged, DataError, NotFound, StoreUnavailable, TrackingFailed
from flyball.records import codec
from flyball.records.signature import Column, ColumnType, Signature
from flyball.records.unit import Lineage, Manifest, SnapshotRef, Version

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

SNAPSHOT = SnapshotRef(table="shop", version=0, content_digest="c" * 64, schema_digest="d" * 64, rows=100, since=AT, until=AT)

SIGNATURE = Signature(task="regression", columns=(Column(name="hour", type=ColumnType.NUMBER),), classes=())


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes two seconds to make its tables: once for all tests."""
    state = tmp_path_factory.mktemp("mlflow")
    assert MlflowRegistry(state).versions("shop") == ()
    return state / "mlflow.db"


@pytest.fixture
def state(tmp_path: Path, empty_database: Path) -> Path:
    (tmp_path / "state").mkdir()
    shutil.copy(empty_database, tmp_path / "state" / "mlflow.db")
    return tmp_path / "state"


@pytest.fixture(params=[MemoryRegistry, MlflowRegistry])
def registry(request: pytest.FixtureRequest, state: Path) -> Registry:
    return request.param(state)


@pytest.fixture
def package(tmp_path: Path) -> Callable[[str], tuple[Path, Manifest]]:
    def make(content: str = "tree") -> tuple[Path, Manifest]:
        root = tmp_path / f"package-{content}"
        (root / "model").mkdir(parents=True)
        (root / "model" / "model.lgb").write_text(content)
        (root / "signature.json").write_bytes(codec.encode(SIGNATURE))
        manifest = make_manifest(root, "lightgbm")
        (root / MANIFEST).write_bytes(codec.encode(manifest))
        return root, manifest

    return make


def lineage(run_key: str = "k" * 64, parameters: dict[str, Any] | None = None) -> Lineage:
    return Lineage(
        run_key=run_key, mlflow_run="", git_commit=None, git_dirty=False, code_digest="a" * 64, environment_digest="b" * 64,
        snapshot=SNAPSHOT, parameters=parameters or {"depth": 3, "sampling": {"rows": 0.5}}, seed=1,
    )  # fmt: skip


def register(registry: Registry, made: tuple[Path, Manifest], run_key: str = "k" * 64, at: datetime = AT) -> Version:
    return registry.register("shop", made[0], lineage(run_key), made[1], {"roc_auc": 0.75, "log_loss": 0.5}, at)


def test_a_version_says_what_it_was_registered_with(registry: Registry, package: Callable) -> None:
    made = package("tree")
    version = register(registry, made)
    assert (version.model, version.number, version.format) == ("shop", 1, "lightgbm")
    assert version.manifest_digest == codec.digest(made[1])
    assert version.created_at == AT
    assert version.metrics == {"roc_auc": 0.75, "log_loss": 0.5}
    assert version.lineage.mlflow_run
    assert version.lineage.parameters == {"depth": 3, "sampling": {"rows": 0.5}}
    assert registry.versions("shop") == (version,)
    assert registry.versions("nothing") == ()


ODD_NAMES: dict[str, Any] = {
    "class_weight": {"<=50K": 1, ">50K": 2, "€": 3},
    "a": {"b": 1, "": 2}, "a.b": 3, "a//b": 4, "/a": 5, "../a": 6, ".": 7, "a/": 8, "": 9, "Größe": 10,
    "x" * 400: 11, "x" * 401: 12, "long": "y" * 7000, "nothing": None, "list": [1, {"a": 2}],
}  # fmt: skip


def test_parameters_of_any_name_are_registered_and_kept_as_they_are(registry: Registry, package: Callable) -> None:
    root, manifest = package("tree")
    version = registry.register("shop", root, lineage(parameters=ODD_NAMES), manifest, {}, AT)
    assert version.lineage.parameters == ODD_NAMES
    assert registry.versions("shop") == (version,)


def test_mlflow_shows_each_parameter_under_a_name_of_its_own(state: Path, package: Callable) -> None:
    root, manifest = package("tree")
    registry = MlflowRegistry(state)
    version = registry.register("shop", root, lineage(parameters=ODD_NAMES), manifest, {}, AT)
    shown = registry._client.get_run(version.lineage.mlflow_run).data.params
    assert len(shown) == 18
    assert (shown["class_weight.__50K"], shown["class_weight._50K"], shown["Größe"]) == ("1", "2", "10")
    assert (shown["a.b"], shown["a.b_2"], shown["a."]) == ("1", "3", "2")
    assert {shown["x" * 249], shown["x" * 242 + "_2"]} == {"11", "12"}


def test_a_version_that_mlflow_does_not_take_is_told_as_such_and_not_as_a_store_that_is_away(
    state: Path, package: Callable
) -> None:
    root, manifest = package("tree")
    whole = lineage(parameters={"vocabulary": "y" * 200_000})
    with pytest.raises(DataError, match=r"MLflow does not take the version: .* Next: look at train\.parameters"):
        MlflowRegistry(state).register("shop", root, whole, manifest, {}, AT)


def test_what_mlflow_refuses_for_the_state_that_it_is_in_is_tried_again(
    state: Path, package: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, manifest = package("tree")
    registry = MlflowRegistry(state)
    client = registry._client
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("the source is not one that this server takes", error_code=INVALID_PARAMETER_VALUE)

    with monkeypatch.context() as patched:
        patched.setattr(client, "create_model_version", refuse)
        with pytest.raises(TrackingFailed, match="the source is not one"):
            registry.register("shop", root, lineage(), manifest, {}, AT)
    assert registry.register("shop", root, lineage(), manifest, {}, AT).number == 1


def test_the_same_bytes_of_a_run_are_registered_once(registry: Registry, package: Callable) -> None:
    made = package("tree")
    first = register(registry, made)
    again = register(registry, made, at=datetime(2027, 1, 1, tzinfo=UTC))
    assert again == first
    assert len(registry.versions("shop")) == 1


def test_other_bytes_of_a_run_are_a_version_of_their_own_and_leave_the_first_whole(registry: Registry, package: Callable) -> None:
    theirs, ours = package("tree"), package("other")
    first, second = register(registry, theirs), register(registry, ours)
    assert (first.number, second.number) == (1, 2)
    assert (register(registry, theirs), register(registry, ours)) == (first, second)
    for version in (first, second):
        verify_package(registry.fetch("shop", version.number), version.manifest_digest)


def test_another_run_is_the_next_version(registry: Registry, package: Callable) -> None:
    first = register(registry, package("tree"))
    second = register(registry, package("other"), "l" * 64)
    assert [version.number for version in registry.versions("shop")] == [first.number, second.number] == [1, 2]


def test_fetched_bytes_are_those_that_were_registered(registry: Registry, package: Callable) -> None:
    register(registry, package("tree"))
    fetched = registry.fetch("shop", 1)
    assert (fetched / "model" / "model.lgb").read_text() == "tree"
    assert fetched == registry.fetch("shop", 1) == registry.fetch("shop", 1, registry.versions("shop")[0].manifest_digest)


@pytest.mark.parametrize("damage", ["flip", "remove", "add", "link", "manifest"])
def test_damaged_bytes_are_never_fetched(registry: Registry, package: Callable, damage: str) -> None:
    register(registry, package("tree"))
    fetched = registry.fetch("shop", 1)
    if damage == "flip":
        (fetched / "model" / "model.lgb").write_text("Tree")
    elif damage == "remove":
        (fetched / "signature.json").unlink()
    elif damage == "add":
        (fetched / "model" / "code.py").write_text("")
    elif damage == "link":  # to a directory: what lies behind it would be importable in a library's place
        (fetched / "model" / "polars").symlink_to(Path(__file__).parent, target_is_directory=True)
    else:
        manifest = json.loads((fetched / MANIFEST).read_bytes())
        del manifest["files"]["signature.json"]
        (fetched / "signature.json").unlink()
        (fetched / MANIFEST).write_bytes(codec.encode(manifest))
    with pytest.raises(ArtifactDamaged):
        registry.fetch("shop", 1)
    with pytest.raises(ArtifactDamaged):
        registry.fetch("shop", 1, registry.versions("shop")[0].manifest_digest)


def test_damaged_bytes_are_never_registered(registry: Registry, package: Callable) -> None:
    made = package("tree")
    (made[0] / "signature.json").write_text("{ }")
    with pytest.raises(ArtifactDamaged):
        register(registry, made)
    assert registry.versions("shop") == ()


def test_what_is_not_there_is_not_found(registry: Registry, package: Callable) -> None:
    with pytest.raises(NotFound):
        registry.fetch("shop", 1)
    register(registry, package("tree"))
    with pytest.raises(NotFound):
        registry.fetch("shop", 2)
    with pytest.raises(NotFound):
        registry.mark("shop", 2, "champion")


@pytest.mark.parametrize("name", ["moved", "mit Ümlaut & blank", "state-2"])
def test_a_project_that_was_moved_finds_what_it_registered(package: Callable, tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    register(MlflowRegistry(state), package())
    moved = state.rename(tmp_path / name)
    registry = MlflowRegistry(moved)
    digest = registry.versions("shop")[0].manifest_digest
    for fetched in (MlflowRegistry(moved).fetch("shop", 1), MlflowRegistry(moved).fetch("shop", 1, digest)):
        assert fetched.is_relative_to(moved)
    register(registry, package("other"), "l" * 64)
    assert registry.fetch("shop", 2).is_relative_to(moved)
    back = moved.rename(state)
    assert [MlflowRegistry(back).fetch("shop", number).is_relative_to(back) for number in (1, 2)] == [True, True]


def test_a_project_that_was_moved_asks_no_mlflow_for_what_it_knows_by_its_digest(package: Callable, tmp_path: Path) -> None:
    state = tmp_path / "state"
    registry = MlflowRegistry(state)
    register(registry, package())
    digest = registry.versions("shop")[0].manifest_digest
    moved = state.rename(tmp_path / "moved")
    (moved / "mlflow.db").unlink()
    assert MlflowRegistry(moved).fetch("shop", 1, digest).is_relative_to(moved)


@pytest.mark.parametrize("links", ["as they are made", "absolute, of an earlier release"])
def test_a_copy_of_a_project_has_nothing_in_common_with_it(package: Callable, tmp_path: Path, links: str) -> None:
    state = tmp_path / "state"
    original = MlflowRegistry(state)
    register(original, package())
    digest = original.versions("shop")[0].manifest_digest
    if links != "as they are made":
        link = state / "packages" / digest[:16]
        target = link.resolve()
        link.unlink()
        link.symlink_to(target)
    shutil.copytree(state, tmp_path / "copy", symlinks=True)
    copy = MlflowRegistry(tmp_path / "copy")
    assert copy.fetch("shop", 1, digest).is_relative_to(tmp_path / "copy")
    register(copy, package("other"), "l" * 64)
    assert copy.fetch("shop", 2).is_relative_to(tmp_path / "copy")
    assert len(MlflowRegistry(state).versions("shop")) == 1
    assert MlflowRegistry(state).fetch("shop", 1).is_relative_to(state)
    shutil.rmtree(state)
    assert MlflowRegistry(tmp_path / "copy").fetch("shop", 1, digest).is_relative_to(tmp_path / "copy")


def test_a_store_whose_first_experiment_mlflow_made_by_itself_is_led_home_too(package: Callable, tmp_path: Path) -> None:
    state = tmp_path / "state"
    register(MlflowRegistry(state), package())
    with closing(sqlite3.connect(state / "mlflow.db")) as connection:
        connection.execute("UPDATE experiments SET artifact_location = '/somewhere/mlruns/0' WHERE experiment_id = 0")
        connection.commit()
    moved = state.rename(tmp_path / "moved")
    for _ in range(2):
        assert MlflowRegistry(moved).fetch("shop", 1).is_relative_to(moved)


def test_what_lies_outside_a_project_stays_where_it_is_when_the_project_is_moved(package: Callable, tmp_path: Path) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "state-of-others"
    registry = MlflowRegistry(state)
    registry.versions("shop")
    registry._client.create_experiment("shop", artifact_location=elsewhere.as_uri())
    register(registry, package())
    moved = state.rename(tmp_path / "moved")
    assert MlflowRegistry(moved).fetch("shop", 1).is_relative_to(elsewhere)


def test_a_store_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database, but longer than the header of one" * 20)
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        MlflowRegistry(tmp_path).versions("shop")


@pytest.mark.parametrize("pragma", ["", "pragma user_version=0", "pragma journal_mode=wal"])
def test_a_database_without_a_table_is_made_as_one_that_is_not_there(tmp_path: Path, package: Callable, pragma: str) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute(pragma)
    registry = MlflowRegistry(tmp_path)
    assert registry.versions("shop") == ()
    assert register(registry, package()).number == 1


def test_an_alias_can_be_set_again(registry: Registry, package: Callable) -> None:
    register(registry, package("tree"))
    register(registry, package("other"), "l" * 64)
    for number in (1, 1, 2):
        registry.mark("shop", number, "champion")


def test_a_tag_that_somebody_edited_keeps_no_other_version_from_being_made_or_fetched(state: Path, package: Callable) -> None:
    registry = MlflowRegistry(state)
    register(registry, package("tree"))
    made = package("other")
    second = register(registry, made, "l" * 64)
    registry._client.set_model_version_tag("shop", "1", "flyball.metrics", "about 0.8")
    assert register(registry, made, "l" * 64) == second
    assert register(registry, package("third"), "m" * 64).number == 3
    assert registry.fetch("shop", 2) == registry.fetch("shop", 2, second.manifest_digest)
    with pytest.raises(ArtifactDamaged, match="version 1 in MLflow were changed"):
        registry.fetch("shop", 1)


def test_of_two_versions_that_say_they_are_of_a_run_the_first_one_is(state: Path, package: Callable) -> None:
    registry = MlflowRegistry(state)
    made = package("tree")
    first = register(registry, made)
    register(registry, package("other"), "l" * 64)
    for tag, value in (("run_key", "k" * 64), ("manifest", first.manifest_digest)):
        registry._client.set_model_version_tag("shop", "2", f"flyball.{tag}", value)
    assert register(registry, made) == first

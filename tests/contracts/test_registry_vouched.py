"""Bytes are certified by what the ledger has of a version: MLflow's tags are whoever's who may write to its server."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from test_registry import AT, empty_database, package, register, state  # noqa: F401

from flyball.adapters.clock import SystemClock
from flyball.adapters.export import exported_of
from flyball.adapters.ledger import SqliteLedger
from flyball.adapters.registry_mlflow import MlflowRegistry
from flyball.control import jobs, replay_result, verification
from flyball.control.world import World, draft, put
from flyball.errors import ArtifactDamaged, NotFound
from flyball.records.keeping import Keeping
from flyball.records.routing import Route, RoutingTable, ServedUnit
from flyball.records.signature import Signature
from flyball.records.unit import Format, Version
from flyball.registry.unit import unit_of
from flyball.spec.load import load_project
from flyball.wiring import health
from flyball.wiring.exporting import export_version, package_of
from flyball.wiring.worlds import Home, say_nothing, world_of

YAML = """
project: shop
model: shop
task: regression
data: {source: {files: rows.csv}, time: at, key: id, label: y, label_delay: 1h, features: {hour: number}}
train: {entrypoint: "pipeline:train"}
"""


class Kept:
    """A project with one version, that the ledger has."""

    def __init__(self, directory: Path, state_dir: Path, made: tuple[Path, object]) -> None:
        self.directory = directory
        (directory / "flyball.yaml").write_text(YAML)
        state_dir.rename(directory / ".flyball")
        self.home = Home(load_project(directory), directory, directory / ".flyball", SystemClock())
        self.registry = MlflowRegistry(self.home.state_dir)
        self.version = register(self.registry, made)  # type: ignore[arg-type]

    def record(self) -> World:
        world, unit = world_of(self.home, say_nothing), unit_of(self.version, None, "p" * 64)
        world.record(draft(AT, "version.registered", "version:1", {}, jobs.version_puts(self.version, unit)))
        return world

    def tag(self, name: str, value: str) -> None:
        self.registry._client.set_model_version_tag("shop", "1", f"flyball.{name}", value)

    def led_astray(self, other: Version) -> None:
        """Version 1's tags say that it is the other one."""
        self.tag("manifest", other.manifest_digest)
        self.tag("lineage", msgspec.json.encode(other.lineage).decode())
        shutil.rmtree(self.home.state_dir / "packages")  # where it lies is asked for anew


@pytest.fixture
def kept(tmp_path: Path, state: Path, package: Callable) -> Kept:  # noqa: F811
    (tmp_path / "shop").mkdir()
    return Kept(tmp_path / "shop", state, package("tree"))


def test_what_the_ledger_has_is_fetched_whatever_a_tag_says_of_its_digest(kept: Kept) -> None:
    kept.tag("manifest", "e" * 64)
    shutil.rmtree(kept.home.state_dir / "packages")
    assert (kept.registry.fetch("shop", 1, kept.version.manifest_digest) / "model" / "model.lgb").read_text() == "tree"


def test_other_bytes_are_damage_wherever_they_are_looked_at(kept: Kept, package: Callable, tmp_path: Path) -> None:  # noqa: F811
    world = kept.record()
    assert verification.verify(world, SqliteLedger(kept.home.state_dir)).ok
    assert export_version(kept.directory, 1, tmp_path / "whole") == (kept.version.manifest_digest, ())

    kept.led_astray(register(kept.registry, package("other"), "l" * 64))
    report = verification.verify(world, SqliteLedger(kept.home.state_dir))
    assert not report.ok
    assert "manifest.json has the digest" in report.artifact_faults[0]
    assert report.artifact_faults[1] == (
        "version 1 has another manifest_digest, lineage in the registry than in the ledger: its tags were changed"
    )
    (versions,) = (check for check in health.checks(kept.home) if check.name == "versions")
    assert not versions.ok
    assert "manifest.json has the digest" in versions.words
    with pytest.raises(ArtifactDamaged, match=r"manifest\.json has the digest"):
        export_version(kept.directory, 1, tmp_path / "target")
    first = replay_result.first_unit(world)
    with pytest.raises(ArtifactDamaged, match=r"manifest\.json has the digest"):
        kept.registry.fetch("shop", first.version, first.manifest_digest)


def test_what_only_mlflow_tells_of_is_neither_exported_nor_measured(kept: Kept) -> None:
    with pytest.raises(NotFound, match="has no version 1"):
        package_of(kept.directory, 1)
    assert not (kept.home.state_dir / "flyball.db").exists()
    kept.record()
    with pytest.raises(NotFound, match="has no version 2"):
        package_of(kept.directory, 2)
    assert package_of(kept.directory, 1).is_dir()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda kept: kept.tag("metrics", '{"roc_auc":0.9}'), "version 1 has another metrics in the registry than in the ledger"),
        (lambda kept: kept.tag("metrics", "about 0.9"), "the tags of shop version 1 in MLflow were changed"),
        (
            lambda kept: kept.registry._client.delete_model_version("shop", "1"),
            "version 1 is in the ledger and not in the registry",
        ),
    ],
)
def test_verify_tells_what_was_changed_in_mlflow(kept: Kept, harm: Callable[[Kept], None], words: str) -> None:
    world = kept.record()
    harm(kept)
    report = verification.verify(world, SqliteLedger(kept.home.state_dir))
    assert not report.ok
    assert words in report.artifact_faults[0]
    assert len(report.artifact_faults) == 1
    assert all(isinstance(words, str) for words in health.strangers(kept.home, world))


def test_an_export_says_its_version_and_what_the_project_declares_of_capture(kept: Kept, tmp_path: Path) -> None:
    """Also of a column that is no feature any more, while older versions take it."""
    world = kept.record()
    (kept.directory / "flyball.yaml").write_text(
        YAML.replace("hour: number", "hour: number, email: category, anzahl: number")
        + "capture: {fields: {email: hash, anzahl: drop}, keys: drop, keep: 60d}\n"
    )
    digest, _ = export_version(kept.directory, 1, tmp_path / "first")
    said = exported_of(tmp_path / "first", digest)
    assert said is not None
    rules = Keeping(drop=("anzahl",), hash=("email",), keys="drop")
    assert (said.version, said.keeping, said.keep) == (1, rules, "60d")

    unit = unit_of(kept.version, None, "p" * 64)
    served = ServedUnit(
        unit=unit, package="", format=Format.LIGHTGBM, signature=Signature(task="regression", columns=(), classes=())
    )
    table = RoutingTable(revision=1, written_at=AT, routes=(Route(model="shop", champion=served, keeping=rules),))
    world.record(draft(AT, "routing.declared", "model:shop", {}, (put("routing", "shop", table),)))
    (kept.directory / "flyball.yaml").write_text(YAML)
    export_version(kept.directory, 1, tmp_path / "later")
    later = exported_of(tmp_path / "later", digest)
    assert later is not None
    assert later.keeping == Keeping(drop=("anzahl",), hash=("email",))


def test_a_column_that_left_with_its_rule_before_anything_was_served_is_not_captured(kept: Kept, tmp_path: Path) -> None:
    """Nothing but flyball.yaml knew its rule, and there it cannot stay: a rule is for a feature."""
    kept.record()
    (kept.directory / "flyball.yaml").write_text(YAML.replace("hour: number", "minute: number"))
    digest, notes = export_version(kept.directory, 1, tmp_path / "target")
    said = exported_of(tmp_path / "target", digest)
    assert said is not None
    assert said.keeping == Keeping(drop=("hour",))
    (note,) = notes
    assert note.startswith("Version 1 takes hour, which flyball.yaml does not have any more")
    assert "capture: {fields: {hour: keep}} in the routing file" in note

"""A package taken out of the registry is whole, or is not there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flyball.adapters.export import export_package, exported_of
from flyball.adapters.packages import MANIFEST, verify_package
from flyball.errors import ArtifactDamaged, Conflict
from flyball.records import codec
from flyball.records.exported import FILE, Exported
from flyball.records.keeping import Keeping
from flyball.records.unit import Format, Manifest

RULES = Keeping(drop=("anzahl",), hash=("email",), sample={"age": 0.1}, keys="hash")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {"model/model.onnx": b"model", "model/code/a.py": b"a = 1", "signature.json": b"{}"}
    directory = tmp_path / "package"
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    manifest = Manifest(files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()}, format=Format.ONNX)
    (directory / MANIFEST).write_bytes(codec.encode(manifest))
    return directory


def test_the_copy_has_the_same_bytes_and_nothing_else(package: Path, tmp_path: Path) -> None:
    (package / "model" / "registered_model_meta").write_text("left by MLflow")
    target = tmp_path / "far" / "away"
    export_package(package, target, 3, RULES)
    assert verify_package(target) == verify_package(package)
    assert not (target / "model" / "registered_model_meta").exists()


def test_a_damaged_package_leaves_nothing_behind(package: Path, tmp_path: Path) -> None:
    (package / "model" / "model.onnx").write_bytes(b"mode1")
    with pytest.raises(ArtifactDamaged, match="digest"):
        export_package(package, tmp_path / "target", 3, RULES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package"]


def test_what_is_there_is_not_overwritten(package: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(Conflict, match="there already"):
        export_package(package, tmp_path / "target", 3, RULES)


def test_the_copy_says_which_version_it_is_and_what_may_be_captured(package: Path, tmp_path: Path) -> None:
    export_package(package, tmp_path / "target", 3, RULES)
    digest = codec.digest(verify_package(package))
    said = exported_of(tmp_path / "target", digest)
    assert said == Exported(version=3, manifest_digest=digest, keeping=RULES).sealed()
    assert exported_of(package, digest) is None
    export_package(tmp_path / "target", tmp_path / "again", 4, Keeping())  # of this export, not of the one before
    again = exported_of(tmp_path / "again", digest)
    assert again is not None
    assert (again.version, again.keeping) == (4, Keeping())


def resealed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """As another release might write it."""
    entries = json.loads(path.read_bytes())
    change(entries)
    del entries["digest"]
    path.write_bytes(codec.encode({**entries, "digest": codec.digest(entries)}))


def test_a_rule_that_a_later_release_knows_is_refused_and_one_that_an_earlier_did_not_know_is_its_default(
    package: Path, tmp_path: Path
) -> None:
    export_package(package, tmp_path / "target", 3, RULES)
    digest, path = codec.digest(verify_package(package)), tmp_path / "target" / FILE
    resealed(path, lambda entries: entries["keeping"].pop("sample"))
    said = exported_of(tmp_path / "target", digest)
    assert said is not None
    assert said.keeping == Keeping(drop=RULES.drop, hash=RULES.hash, keys=RULES.keys)
    resealed(path, lambda entries: entries["keeping"].update(dropped=["email"]))
    with pytest.raises(ArtifactDamaged, match="cannot be read: an unknown entry 'dropped' of keeping"):
        exported_of(tmp_path / "target", digest)
    resealed(path, lambda entries: entries.update(keeping={}, keep_s=1))
    with pytest.raises(ArtifactDamaged, match=r"cannot be read: .*keep_s"):
        exported_of(tmp_path / "target", digest)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.write_bytes(path.read_bytes().replace(b"0.1", b"0.9")), "was changed"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b'"keeping"', b'"keep_s":1,"keeping"')), "was changed"),
        (lambda path: path.write_bytes(b"[]"), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"0.1", b"1e999")), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"0.1", b"1" * 400)), "cannot be read|was changed"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"0.1", b"[" * 900 + b"]" * 900)), "cannot be read|was changed"),
        (lambda path: path.write_bytes(b"{"), "cannot be read"),
        (lambda path: path.write_bytes(codec.encode(Exported(version=3, manifest_digest="e" * 64, keeping=RULES).sealed())), "for the manifest"),
        (lambda path: path.unlink() or path.symlink_to("manifest.json"), "cannot be read"),
    ],
)  # fmt: skip
def test_what_it_says_is_taken_whole_or_refused(package: Path, tmp_path: Path, harm: Callable[[Path], object], told: str) -> None:
    export_package(package, tmp_path / "target", 3, RULES)
    harm(tmp_path / "target" / FILE)
    with pytest.raises(ArtifactDamaged, match=told):
        exported_of(tmp_path / "target", codec.digest(verify_package(package)))
